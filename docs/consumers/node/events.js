// Prints every event of `events` as one line of JSON, each field in the schema's order. Copy it.
//
// Usage: node events.js BOOTSTRAP_SERVERS REGISTRY_URL [TOPIC [COUNT]]; without COUNT it goes on for ever.

import registry from '@kafkajs/confluent-schema-registry'
import avro from 'avsc'
import kafkajs from 'kafkajs'

const [servers, url, topic = 'events', count = Infinity] = process.argv.slice(2)

// Amounts become text, for a decimal library of your choice: a number would lose digits.
class Decimal extends avro.types.LogicalType {
  constructor(schema, options) {
    super(schema, options)
    this.scale = schema.scale
  }
  _fromValue(bytes) {
    const unscaled = BigInt.asIntN(bytes.length * 8, BigInt('0x' + bytes.toString('hex')))
    const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(this.scale + 1, '0')
    const point = digits.length - this.scale
    return (unscaled < 0n ? '-' : '') + digits.slice(0, point) + '.' + digits.slice(point)
  }
  _toValue(text) {
    const unscaled = BigInt(text.replace('.', ''))
    let size = 1
    while (BigInt.asIntN(size * 8, unscaled) !== unscaled) size++
    const digits = BigInt.asUintN(size * 8, unscaled).toString(16)
    return Buffer.from(digits.padStart(size * 2, '0'), 'hex')
  }
  _resolve(writer) {
    // Under another scale the same bytes are another amount.
    if (writer instanceof Decimal && writer.scale === this.scale) return (bytes) => this._fromValue(bytes)
  }
}

// Times become text too: a Date would lose the microseconds.
class Micros extends avro.types.LogicalType {
  _fromValue(micros) {
    const millis = Math.floor(micros / 1000)
    const rest = String(micros - millis * 1000).padStart(3, '0')
    return new Date(millis).toISOString().replace('Z', rest + 'Z')
  }
  _toValue(text) {
    return Date.parse(text.slice(0, 23) + 'Z') * 1000 + Number(text.slice(23, 26))
  }
  _resolve(writer) {
    if (writer instanceof Micros) return this._fromValue
  }
}

const decoder = new registry.SchemaRegistry(
  { host: url },
  { [registry.SchemaType.AVRO]: { logicalTypes: { decimal: Decimal, 'timestamp-micros': Micros } } },
)
const kafka = new kafkajs.Kafka({ brokers: servers.split(','), logLevel: kafkajs.logLevel.WARN })
const consumer = kafka.consumer({
  groupId: 'example-node',
  readUncommitted: false, // kafkajs's default, said here because it matters
})

let read = 0
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
await new Promise((resolve, reject) => {
  // Else kafkajs starts again and again at a record that cannot be read.
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
  consumer.run({
    eachMessage: async ({ message }) => {
      if (read >= count) return
      process.stdout.write(JSON.stringify(await decoder.decode(message.value)) + '\n')
      if (++read >= count) resolve()
    },
  })
})
await consumer.disconnect()

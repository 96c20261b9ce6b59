"""A plain transactional loop of aiokafka: the reference work, told as often as it comes.

Set well: transactions of at most 2,000 events, one batch per partition built at once, and
everything in flight awaited together. It keeps no state, so that duplicates pass.
"""

import asyncio
from zlib import crc32

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from options import Options, options

_BATCH = 2_000


async def main(told: Options) -> None:
    consumer = AIOKafkaConsumer(
        *told.inputs,
        bootstrap_servers=told.bootstrap,
        group_id=told.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=2 * 2**20,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=told.bootstrap,
        transactional_id=told.group,
        linger_ms=0,
        max_batch_size=2**20,
    )
    await consumer.start()
    await producer.start()
    count = len(await producer.partitions_for(told.output))
    while True:
        if records := await consumer.getmany(timeout_ms=200, max_records=_BATCH):
            await transact(told, producer, records, count)


async def transact(
    told: Options,
    producer: AIOKafkaProducer,
    records: dict[TopicPartition, list[ConsumerRecord]],
    count: int,
) -> None:
    encoded = told.encoded
    by_partition: list[list[tuple[bytes, bytes]]] = [[] for _ in range(count)]
    for some in records.values():
        for record in some:
            event = orjson.loads(record.value)
            key = event["id"].encode()
            by_partition[crc32(key) % count].append((key, encoded(event)))
    await producer.begin_transaction()
    sent = []
    for partition, pairs in enumerate(by_partition):
        batch = producer.create_batch()
        for key, value in pairs:
            if batch.append(key=key, value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(batch, told.output, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        if batch.record_count():
            batch.close()
            sent.append(await producer.send_batch(batch, told.output, partition=partition))
    await asyncio.gather(*sent)
    offsets = {at: some[-1].offset + 1 for at, some in records.items()}
    await producer.send_offsets_to_transaction(offsets, told.group)
    await producer.commit_transaction()


if __name__ == "__main__":
    asyncio.run(main(options()))

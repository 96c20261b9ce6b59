"""An example ledger: posts money from `events` by Penstock's contract. Copy it.

| type                   | what is posted, by account, side and currency                        |
|------------------------|----------------------------------------------------------------------|
| `conversion.completed` | `paid` and `crypto`, final only now                                  |
| `conversion.refunded`  | `paid`, on its own line: it may never have been completed            |
| `invoice.paid`         | `paid`; the short form tells `amount` alone, and it is paid whole    |
| `invoice.expired`      | `paid`: one that expired underpaid still holds money                 |
| `payment.completed`    | `amount`, of one attempt; the invoice is the truth about what it got |

`change` says what to do: `status` is posted, `stakes` replaces what was posted for this entity
and status, `none` posts nothing. `is_stale` does not matter to posting; a correction that a
later one (`occurred_at`) overtook does not count. `authority`: what is not trusted waits until
somebody who is, on `witnesses`, tells it too. A ledger that keeps its balances keeps the offsets
that it has read in the same database transaction. What is posted is `amount`, to 18 decimals.
"""

import argparse
from collections import defaultdict
from decimal import Context, Decimal

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

POSTED = {  # type → line → fields, of which the first that is told counts
    "conversion.completed": {"paid": ["paid"], "crypto": ["crypto"]},
    "conversion.refunded": {"paid": ["paid"]},
    "invoice.paid": {"paid": ["paid", "amount"]},
    "invoice.expired": {"paid": ["paid"]},
    "payment.completed": {"amount": ["amount"]},
}
EXACT = Context(prec=100)  # amounts have up to 38 digits, the usual context 28
READER = {"group.id": "ledger", "isolation.level": "read_committed", "enable.auto.commit": False}


class Ledger:
    """Feed it `events` and `witnesses`, in any order of the two; `balances` is the result."""

    def __init__(self, trusted=("best_effort", "signed", "read_back")):
        self.balances = defaultdict(Decimal)  # (provider, account, line, currency) → sum
        self._trusted, self._posted, self._waiting, self._vouched = trusted, {}, {}, set()

    def witness(self, told):
        if told["authority"] in self._trusted:
            self._vouched.add(told["id"])
            if event := self._waiting.pop(told["id"], None):
                self._post(event)

    def event(self, event):
        if event["authority"] in self._trusted or event["id"] in self._vouched:
            self._post(event)
        else:
            self._waiting[event["id"]] = event

    def _post(self, event):
        entity = (event["provider"], event["account"], event["entity_kind"], event["entity_id"])
        at, before = self._posted.get((entity, event["type"]), (event["occurred_at"], {}))
        if event["occurred_at"] < at:
            return
        now = before if before and event["change"] == "none" else dict(amounts(event))
        self._posted[entity, event["type"]] = event["occurred_at"], now
        for line in {**before, **now}:
            change = EXACT.subtract(now.get(line, Decimal(0)), before.get(line, Decimal(0)))
            self.balances[line] = EXACT.add(self.balances[line], change)


def amounts(event):
    """Yield the key of each line that an event is posted to, and the amount."""
    payload = event[event["type"].partition(".")[0]]
    for name, fields in POSTED.get(event["type"], {}).items():
        for money in [payload[field] for field in fields if payload[field]][:1]:
            line = "/".join(filter(None, [event["type"], payload.get("side"), name]))
            yield (event["provider"], event["account"], line, money["currency"]), money["amount"]


def read(ledger, bootstrap_servers, registry_url):
    """Feed a ledger everything that both topics hold now."""
    take = {"events": ledger.event, "witnesses": ledger.witness}
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "enable.partition.eof": True, **READER}
    )
    known = consumer.list_topics(timeout=30).topics
    unread = {(topic, number) for topic in take for number in known[topic].partitions}
    consumer.assign([TopicPartition(*at, OFFSET_BEGINNING) for at in unread])
    with SchemaRegistryClient({"url": registry_url}) as registry:
        decode = AvroDeserializer(registry)
        while unread:
            for message in consumer.consume(1000, timeout=1):
                topic, error = message.topic(), message.error()
                if error is None:
                    # The headers say what an event is: most need no decoding.
                    if (
                        topic == "witnesses"
                        or dict(message.headers())["ce_type"].decode() in POSTED
                    ):
                        context = SerializationContext(topic, MessageField.VALUE)
                        take[topic](decode(message.value(), context))
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard((topic, message.partition()))
                else:
                    raise KafkaException(error)
    consumer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(epilog="Example: ledger.py --trust signed --trust read_back")
    parser.add_argument("--bootstrap-servers", default="127.0.0.1:9092")
    parser.add_argument("--registry-url", default="http://127.0.0.1:8081/apis/ccompat/v7")
    parser.add_argument("--trust", action="append", help="an authority; default: all of them")
    asked = parser.parse_args()
    ledger = Ledger(asked.trust) if asked.trust else Ledger()
    read(ledger, asked.bootstrap_servers, asked.registry_url)
    for line, balance in sorted(ledger.balances.items()):
        print(*line, f"{balance:f}")

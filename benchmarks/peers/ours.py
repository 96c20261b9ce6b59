"""Ours on the reference work: the task as it is, but for what it does with a record.

Fetch, transaction, outbox, durable ``state`` in RocksDB and on its topic, positions and
notes against poison: all of it is ``processors.task``. Its records are not read as raw ones
and its events get no headers, because those of the peers have none either.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import time_ns
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import msgspec

from processors.__main__ import tune_garbage_collection
from processors.aiokafka_private import Record, quicken
from processors.app import Worker
from processors.attempts import Attempts
from processors.batch import Batch
from processors.mapper import Keys, Mapper
from processors.outbox import Outbox
from processors.settings import KeyRing, Processors
from processors.store import Buffers
from processors.task import Arrived, Task, Work
from schemas import topics
from schemas.avro_writer import encoder
from schemas.codec import confluent, hundredths, path_bit
from schemas.connection import Connection
from schemas.records import Authority, FactSeen, Via

_SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("reference.avsc").read_text("utf-8"))
PREFIX = confluent(1234)
_SOCKET = path_bit(Via.SOCKET, Authority.BEST_EFFORT)
_NO_STAKES = bytes(8)
_NEVER_ASKED = Mapper(provider="reference", version=1, open=lambda _raw, _keys: (), routes={})
"""The task itself knows what to do with a record."""


def _without_enums(schema: dict[str, Any]) -> str:
    """Return a schema whose records have the same bytes: an enum is the number of its word.

    Our contract has no enums, and so our encoder knows none.
    """
    fields = [
        field | {"type": "int"} if field["name"] == "status" else field
        for field in schema["fields"]
    ]
    return json.dumps(schema | {"fields": fields})


encoded = encoder(_without_enums(_SCHEMA))
(_STATUSES,) = (
    {word: number for number, word in enumerate(field["type"]["symbols"])}
    for field in _SCHEMA["fields"]
    if field["name"] == "status"
)


class Payment(msgspec.Struct):
    """The JSON, and the record that is made of it; of amounts the digits, which Avro gets."""

    event_id: str = msgspec.field(name="id")
    source: str = msgspec.field(name="src")
    event_type: str = msgspec.field(name="type")
    occurred_at: int = msgspec.field(name="ts")
    account_id: str = msgspec.field(name="acct")
    customer_id: str | None = msgspec.field(name="cust")
    currency: str = msgspec.field(name="ccy")
    amount: str
    fee: str
    tax: str | None
    rate: str
    word: str = msgspec.field(name="status")
    country: str | None
    channel: str
    merchant: str | None
    reference: str = msgspec.field(name="ref")
    sequence: int = msgspec.field(name="seq")
    is_test: bool = msgspec.field(name="test")
    version: int = msgspec.field(name="v")
    tags: list[str]
    ingested_at: int = 1732000000999999

    @property
    def status(self) -> int:
        return _STATUSES[self.word]


decoded = msgspec.json.Decoder(Payment).decode


class ReferenceTask(Task):
    """Does the reference work, and is a task in everything else."""

    def _tried(self, arrived: Sequence[Arrived]) -> Batch:
        self._told: list[tuple[str, bytes]] = []
        self._received_at = hundredths(time_ns() // 1000)
        return super()._tried(arrived)

    def _process(self, topic: str, record: Record, batch: Batch, guard: Attempts | None) -> None:  # noqa: ARG002
        payment = decoded(record.value or b"")
        key = bytes.fromhex(payment.event_id.replace("-", ""))
        if batch.fact(key) is not None:
            batch.duplicates.append(("reference", "socket"))
            return
        batch.facts[key] = FactSeen(
            stakes=_NO_STAKES,
            recipe=1,
            is_fact=True,
            paths=_SOCKET,
            received_at=self._received_at,
            offset=record.offset,
        )
        self._told.append((payment.event_id, PREFIX + encoded(payment)))

    def _outbox(self, batch: Batch, learnt: Sequence[bytes]) -> Outbox:
        outbox = super()._outbox(batch, learnt)
        for key, value in self._told:
            outbox.put(topics.EVENTS, key, value)
        return outbox


def _work(bootstrap: str, group: str, inputs: Sequence[str], state: Path) -> Work:
    return Work(
        kafka=Connection(bootstrap),
        application=group,
        linger=Processors.model_fields["linger_ms"].default / 1000,
        inputs=dict.fromkeys(inputs, _NEVER_ASKED),
        keys=KeyRing({}, Keys(reference_id="none", reference=b"none")),
        prefixes={},
        state_directory=state,
        buffers=Buffers(),
        turns=asyncio.Semaphore(2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--inputs", required=True)
    parser.add_argument("--state", type=Path, required=True)
    asked = parser.parse_args()
    work = _work(asked.bootstrap, asked.group, asked.inputs.split(","), asked.state)
    quicken()
    tune_garbage_collection()
    asyncio.run(Worker(work, ReferenceTask).run())


if __name__ == "__main__":
    main()

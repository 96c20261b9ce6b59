"""Gives rejected parts to ``redrive``, and to ``audit`` who did it, in one transaction each time.

https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html#producer
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import uuid4

from confluent_kafka import KafkaException, Producer

from penstock.avro_records import Records
from penstock.cluster import Cluster
from penstock.errors import OperatorError
from penstock.rejections import Filters, Rejection
from penstock.topic_reader import Span, read, record_at
from schemas import topics
from schemas.connection import Connection
from schemas.records import Position, Rejected
from schemas.redrive import Asked, NotRedriven, Redrive, encode_asked, redrive

_PARTS: Final = 1_000
"""Of one transaction, so that a record of ``audit`` can name them all."""
_BYTES: Final = 8 * 2**20
_SECONDS: Final = 30.0
"""Before a transaction that was left open is given up, and tasks read on behind it."""


@dataclass(frozen=True, slots=True)
class Run:
    """One redrive, as an operator asked for it."""

    by: str
    filters: Filters
    chosen: Sequence[Rejection]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did."""

    run: str
    written: int
    gone: Sequence[Rejection]
    """Whose frame ``rejected`` holds in part only, and raw no longer at all."""


class Redriver:
    """Writes one run. A second one that begins meanwhile ends this one: there is one at a time."""

    def __init__(self, kafka: Connection, registry_url: str, run: Run) -> None:
        self._id = uuid4().hex
        self._gone: list[Rejection] = []
        self._kafka = kafka
        self._read = Records(Rejected, registry_url)
        self._run = run
        counts = Cluster(kafka).partitions([topics.REDRIVE, topics.AUDIT])
        self._audit = topics.partition_of(self._id, counts[topics.AUDIT])
        self._producer = Producer(
            {
                **kafka.for_librdkafka(),
                "transactional.id": "penstock-operator",
                "transaction.timeout.ms": int(_SECONDS * 1000),
                "message.max.bytes": topics.MAX_RECORD_BYTES,
                "log_level": 0,
            }
        )

    def write(self, told: Callable[[int], object]) -> Outcome:
        """Write all of it. ``told`` hears how many parts are done.

        Raises ``OperatorError``; what was committed until then stands, and ``audit`` names it.
        """
        written = 0
        with self._translated():
            self._producer.init_transactions(_SECONDS)
            for parts in _chunks(self._records()):
                self._transact(parts)
                written += len(parts)
                told(written + len(self._gone))
        return Outcome(self._id, written, tuple(self._gone))

    def _transact(self, parts: Mapping[Rejection, Redrive]) -> None:
        self._producer.begin_transaction()
        for partition, key, value, headers in parts.values():
            self._producer.produce(topics.REDRIVE, value, key, partition, headers=[*headers])
        asked = Asked(
            run=self._id,
            asked_at=time.time_ns() // 1000,
            by=self._run.by,
            filters=self._run.filters.told(),
            chosen=len(self._run.chosen),
            parts=tuple(one.again for one in parts),
        )
        self._producer.produce(topics.AUDIT, encode_asked(asked), self._id, self._audit)
        self._producer.commit_transaction(_SECONDS)

    def _records(self) -> Iterator[tuple[Rejection, Redrive]]:
        """Yield what is to be written, read again from ``rejected``: now with its bytes."""
        chosen = {one.at: one for one in self._run.chosen}
        for message in read(self._kafka, _around(self._run.chosen)):
            one = chosen.get(f"{message.partition()}/{message.offset()}")
            if one is None:
                continue
            try:
                yield one, redrive(self._read(message), self._frame(one))
            except NotRedriven:
                self._gone.append(one)

    def _frame(self, one: Rejection) -> bytes | None:
        return None if one.is_whole else original(self._kafka, one.of)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise OperatorError(
                f"redrive at {self._kafka} stopped: {error.args[0].str()}; what `penstock tail "
                "audit --from-beginning` names was written, say it again for the rest"
            ) from error


def original(kafka: Connection, of: Position) -> bytes | None:
    """Return a frame's bytes from raw; None where raw no longer holds it."""
    found = record_at(kafka, of)
    return None if found is None else found.value()


def _around(chosen: Iterable[Rejection]) -> Iterator[Span]:
    """Yield, by partition of ``rejected``, the span in which all that was chosen lies."""
    places = sorted(tuple(map(int, one.at.split("/"))) for one in chosen)
    for partition, group in groupby(places, key=lambda place: place[0]):
        offsets = [offset for _, offset in group]
        yield Span(topics.REJECTED, partition, offsets[0], offsets[-1] + 1)


def _chunks(
    records: Iterable[tuple[Rejection, Redrive]],
) -> Iterator[Mapping[Rejection, Redrive]]:
    """Yield as many at once as one transaction takes."""
    chunk: dict[Rejection, Redrive] = {}
    size = 0
    for one, record in records:
        if chunk and (len(chunk) == _PARTS or size + len(record.value) > _BYTES):
            yield chunk
            chunk, size = {}, 0
        chunk[one] = record
        size += len(record.value)
    if chunk:
        yield chunk

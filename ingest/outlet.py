"""The one producer of this process: started when there is a broker, made anew when it broke.

https://aiokafka.readthedocs.io/en/stable/producer.html
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from ingest.aiokafka_private import answered_within, dropped, knock
from ingest.batches import Batch, Partition
from ingest.errors import OperatorError
from ingest.metrics import Metrics
from schemas import topics
from schemas.connection import Connection
from schemas.records import Raw

_log = structlog.get_logger()

IN_FLIGHT_BYTES: Final = 8 * 2**20
RECORD_OVERHEAD: Final = 64 * 2**10
_BATCH_BYTES: Final = 256 * 2**10
_NEVER_MS: Final = 366 * 24 * 3600 * 1000
"""After which a record that no partition takes is given up. aiokafka must have a limit, and
what it drops tears a gap into an idempotent producer's numbers."""
_ANSWER_MS: Final = 15_000
"""How long a broker may take for an answer: then another one may lead, and is asked."""
_STOP_WITHIN: Final = 2.0
_RETRY: Final = 1.0
_SLOW: Final = 5.0
_SAY_AGAIN: Final = 60.0
"""Seconds: one line per outage, and not one per record that was in flight."""


class Away(Exception):
    """There is no broker to send to at the moment."""


class Outlet:
    """Sends in order, with bounded bytes on their way."""

    def __init__(self, kafka: Connection, metrics: Metrics) -> None:
        self.reached = asyncio.Event()
        """Set once a broker answered, and the topics were found there."""
        self.partitions: dict[str, int] = {}
        self._kafka = kafka
        self._metrics = metrics
        self._in_flight = 0
        self._room = asyncio.Event()
        self._quiet_until = 0.0
        self._producer: AIOKafkaProducer = None
        self._broken = asyncio.Event()
        self._ways: dict[tuple[str, str], Partition] = {}
        """Provider and account → the way of this producer on which their records go."""
        metrics.in_flight.set_function(lambda: self._in_flight)

    @property
    def is_away(self) -> bool:
        """Return whether nothing can be sent at the moment."""
        return self._producer is None

    async def run(self, providers: Iterable[str]) -> None:
        """Keep a producer until cancelled. Raises ``OperatorError``."""
        wanted = {topics.raw(provider) for provider in providers}
        while True:
            self._broken.clear()
            producer = await self._started()
            try:
                if await self._look_up(producer, wanted):
                    self._producer = producer
                    self.reached.set()
                    await self._broken.wait()
            finally:
                self._producer = None
                await self._retire(producer)
            await asyncio.sleep(_RETRY)

    async def _look_up(self, producer: AIOKafkaProducer, wanted: Iterable[str]) -> bool:
        try:
            # All topics, and not ours by name: a broker may create what it is asked about.
            cluster = await producer.client.fetch_all_metadata()
        except KafkaError:
            return False  # It went away again.
        for topic in sorted(wanted):
            partitions = cluster.partitions_for_topic(topic)
            if not partitions:
                raise OperatorError(
                    f"topic {topic} is missing on {self._kafka}; run: penstock topics apply"
                )
            self.partitions[topic] = len(partitions)
        return True

    async def _started(self) -> AIOKafkaProducer:
        while True:
            producer = self._made()
            try:
                await producer.start()
            except (KafkaError, OSError):
                await producer.stop()
                await knock(self._kafka)
                self._say("waiting for kafka", bootstrap_servers=str(self._kafka))
                await asyncio.sleep(_RETRY)
            except asyncio.CancelledError:
                await producer.stop()
                raise
            else:
                return producer

    def _made(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._kafka.for_aiokafka(),
            client_id="penstock-ingest",
            acks="all",
            enable_idempotence=True,
            max_batch_size=_BATCH_BYTES,
            max_request_size=topics.MAX_RAW_BYTES + RECORD_OVERHEAD,
            request_timeout_ms=_NEVER_MS,
        )
        answered_within(producer, _ANSWER_MS)
        return producer

    def take(self, raw: Raw) -> asyncio.Future[object] | None:
        """Hand a record over; return what is done once every in-sync replica has it.

        Returns None while more than ``IN_FLIGHT_BYTES`` are on their way. Raises ``Away``.
        """
        if self._producer is None:
            raise Away
        size = len(raw.value)
        if self._in_flight and self._in_flight + size > IN_FLIGHT_BYTES:
            return None
        way = self._ways.get((raw.provider, raw.account)) or self._way(raw)
        self._in_flight += size
        return way.append(raw)

    async def send(self, raw: Raw) -> asyncio.Future[object]:
        """Hand a record over, as soon as there is room. Raises ``Away``."""
        while (sent := self.take(raw)) is None:
            self._room.clear()
            await self._room.wait()
        return sent

    def _way(self, raw: Raw) -> Partition:
        """Return the partition of an account; several accounts may share it."""
        topic = topics.raw(raw.provider)
        number = topics.partition_of(raw.account, self.partitions[topic])
        way = next((way for way in self._ways.values() if way.name == (topic, number)), None)
        way = way or Partition(self._producer, topic, number, self._settled)
        self._ways[raw.provider, raw.account] = way
        return way

    def _settled(self, batch: Batch) -> None:
        self._in_flight -= batch.size
        self._room.set()
        if batch.acknowledged.cancelled():
            return
        if error := batch.acknowledged.exception():
            self._broken.set()
            self._say("kafka did not take records: they are sent again", **_advice(batch, error))
            return
        seconds = monotonic() - batch.at
        self._metrics.append_seconds.observe(seconds)
        if seconds > _SLOW:
            self._say("kafka was slow to acknowledge", seconds=round(seconds, 1))

    def _say(self, event: str, **what: object) -> None:
        if monotonic() > self._quiet_until:
            self._quiet_until = monotonic() + _SAY_AGAIN
            _log.warning(event, **what)

    async def _retire(self, producer: AIOKafkaProducer) -> None:
        """End a producer; what it could not deliver by then is nobody's any more."""
        ways = set(self._ways.values())
        self._ways.clear()
        for way in ways:
            way.drop()
        with suppress(TimeoutError):
            await asyncio.wait_for(producer.stop(), _STOP_WITHIN)
        await dropped(producer, _STOP_WITHIN)
        for way in ways:
            await way.end()


def _advice(batch: Batch, error: BaseException) -> dict[str, str]:
    """Return what to look at: some refusals stay, until somebody changes something."""
    match error:
        case TopicAuthorizationFailedError():
            do = f"give this user Write on {batch.topic}: nothing leaves the disk before"
        case MessageSizeTooLargeError() | RecordListTooLargeError():
            do = "run penstock topics check: max.message.bytes is below what ingest takes"
        case _:
            do = "look at the broker"
    return {"topic": batch.topic, "reason": type(error).__name__, "do": do}

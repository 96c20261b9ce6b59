"""The raw topics: appending in order, and finding where an account stopped.

Ingest meets Kafka here and nowhere else. https://aiokafka.readthedocs.io/en/stable/producer.html
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from functools import partial
from time import monotonic

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from ingest.aiokafka_private import answered_within, knock
from ingest.errors import OperatorError
from ingest.metrics import Metrics
from schemas import topics
from schemas.codec import raw_headers, raw_record
from schemas.connection import Connection
from schemas.records import Raw

_log = structlog.get_logger()

Ticket = asyncio.Future[object]
"""Done when raw has acknowledged the record, on every in-sync replica."""

IN_FLIGHT_BYTES = 8 * 2**20
_RECORD_OVERHEAD = 64 * 2**10
_BATCH_BYTES = 256 * 2**10
_SURVIVES_MS = 120_000
"""How long a partition may have no leader, or take nothing, before we end. aiokafka retries an
idempotent batch for ever otherwise."""
_ANSWER_MS = 15_000
"""How long a broker may take for an answer: then another one may lead, and is asked."""
_ABANDON_WITHIN = 2.0
_RETRY_START = 1.0
_SAY_EVERY = 5
_SLOW = 5.0
_SAY_AGAIN = 60.0
"""Seconds: one line per outage, and not one per record that was in flight."""
_TAIL = 1_000
_LONGEST_PIECE = 16_000
"""Records read at once: they are held in memory."""


class RawLog:
    """The one producer of this process."""

    def __init__(self, kafka: Connection, metrics: Metrics) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises ``OperatorError`` once a record could not be appended."""
        self._kafka = kafka
        self._metrics = metrics
        self._partitions: dict[str, int] = {}
        self._in_flight = 0
        self._room = asyncio.Event()
        self._quiet_until = 0.0
        self._producer: AIOKafkaProducer = None
        """None until started."""

    async def start(self, providers: Iterable[str]) -> None:
        """Wait for the broker, and check that the raw topics are there."""
        attempt = 0
        while self._producer is None:
            self._producer = await self._started(attempt)
            attempt += 1
        await self._look_up(self._producer, providers)

    async def _look_up(self, producer: AIOKafkaProducer, providers: Iterable[str]) -> None:
        try:
            # All topics, and not ours by name: a broker may create what it is asked about.
            cluster = await producer.client.fetch_all_metadata()
        except KafkaError as error:
            raise OperatorError(f"kafka on {self._kafka} went away; start again") from error
        for provider in providers:
            topic = topics.raw(provider)
            partitions = cluster.partitions_for_topic(topic)
            if not partitions:
                raise OperatorError(
                    f"topic {topic} is missing on {self._kafka}; run: penstock topics apply"
                )
            self._partitions[topic] = len(partitions)

    async def _started(self, attempt: int) -> AIOKafkaProducer | None:
        producer = AIOKafkaProducer(
            **self._kafka.for_aiokafka(),
            client_id="penstock-ingest",
            acks="all",
            enable_idempotence=True,
            max_batch_size=_BATCH_BYTES,
            max_request_size=topics.MAX_RAW_BYTES + _RECORD_OVERHEAD,
            request_timeout_ms=_SURVIVES_MS,
        )
        answered_within(producer, _ANSWER_MS)
        try:
            await producer.start()
        except (KafkaError, OSError):
            await producer.stop()
            await knock(self._kafka)
            if attempt % _SAY_EVERY == 0:
                _log.warning("waiting for kafka", bootstrap_servers=str(self._kafka))
            await asyncio.sleep(_RETRY_START)
            return None
        except asyncio.CancelledError:
            await producer.stop()
            raise
        return producer

    async def append(self, raw: Raw) -> Ticket:
        """Hand a record over, and return its ticket.

        Records of one caller keep their order. Waits while more than ``IN_FLIGHT_BYTES``
        are on their way, so that memory is bounded. Raises ``OperatorError``.
        """
        size = len(raw.value)
        while self._in_flight and self._in_flight + size > IN_FLIGHT_BYTES:
            self._room.clear()
            await self._room.wait()
        self._weigh(size)
        ticket = await self._sent(raw)
        ticket.add_done_callback(partial(self._settled, size, monotonic()))
        return ticket

    async def _sent(self, raw: Raw) -> Ticket:
        topic = topics.raw(raw.provider)
        try:
            ticket: Ticket = await self._producer.send(
                topic,
                value=raw.value,
                key=raw.account.encode(),
                partition=topics.partition_of(raw.account, self._partitions[topic]),
                timestamp_ms=raw.received_at // 1000,
                headers=raw_headers(raw),
            )
        except KafkaError as error:
            raise _lost(topic, error) from error
        return ticket

    def _weigh(self, size: int) -> None:
        self._in_flight += size
        self._metrics.in_flight.set(self._in_flight)
        if size < 0:
            self._room.set()

    def _settled(self, size: int, sent_at: float, ticket: Ticket) -> None:
        self._weigh(-size)
        if ticket.cancelled() or self.failed.done():
            return
        if error := ticket.exception():
            self.failed.set_exception(_lost("raw", error))
        else:
            self._took(monotonic() - sent_at)

    def _took(self, seconds: float) -> None:
        self._metrics.append_seconds.observe(seconds)
        if seconds > _SLOW and monotonic() > self._quiet_until:
            self._quiet_until = monotonic() + _SAY_AGAIN
            _log.warning("kafka was slow to acknowledge", seconds=round(seconds, 1))

    async def close(self) -> None:
        """Wait until everything is acknowledged."""
        if self._producer is not None:
            await self._producer.stop()

    async def abandon(self) -> None:
        """Let go of the broker, whatever is still in flight. After ``close``, do nothing."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.close(), _ABANDON_WITHIN)
        if not self.failed.cancel():
            self.failed.exception()  # Said already; not to be said again when it is collected.

    # ---- reading back ----------------------------------------------------------------

    async def tail(self, provider: str, account: str) -> AsyncIterator[list[Raw]]:
        """Yield an account's newest records, in pieces from the newest backwards.

        Each piece is oldest first. Ends at the beginning of the log; who reads stops where a
        mark of the last hour says all that is to be known.
        """
        topic = topics.raw(provider)
        place = TopicPartition(topic, topics.partition_of(account, self._partitions[topic]))
        consumer = AIOKafkaConsumer(
            **self._kafka.for_aiokafka(),
            client_id="penstock-ingest",
            max_partition_fetch_bytes=topics.MAX_RAW_BYTES + _RECORD_OVERHEAD,
        )
        try:
            await consumer.start()
            consumer.assign([place])
            begin = (await consumer.beginning_offsets([place]))[place]
            end = (await consumer.end_offsets([place]))[place]
            size = _TAIL
            while end > begin:
                start = max(begin, end - size)
                yield await _records(consumer, place, start, end, account)
                end, size = start, min(size * 4, _LONGEST_PIECE)
        except KafkaError as error:
            raise OperatorError(f"cannot read {topic}: {error!r}; look at the broker") from error
        finally:
            with suppress(KafkaError):
                await consumer.stop()


async def _records(
    consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int, account: str
) -> list[Raw]:
    """Return an account's records from offset ``start`` up to, not with, ``end``."""
    consumer.seek(place, start)
    found: list[Raw] = []
    while (position := await consumer.position(place)) < end:
        fetched = await consumer.getmany(place, timeout_ms=1000)
        found += (
            raw_record(record.headers, record.value or b"")
            for record in fetched.get(place, ())
            if position <= record.offset < end and record.key == account.encode()
        )
    return found


def _lost(topic: str, error: BaseException) -> OperatorError:
    return OperatorError(
        f"{topic} did not take a record ({type(error).__name__})"
        "; look at the broker, then start again"
    )

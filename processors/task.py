"""One task: partition p of every raw topic, turned into canonical topics exactly once.

Per transaction: events, rejected parts, witnesses, coverage, and what was learnt (``state``),
with it how far the input was read. A fenced or failed task never goes on: it raises, and
the process ends.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from processors import metrics
from processors.aiokafka_private import Record
from processors.attempts import Attempts
from processors.batch import Batch
from processors.drift_log import tell_new
from processors.errors import OperatorError
from processors.frame import Delivered, foreign
from processors.late_keys import LateKeys
from processors.mapper import Mapper
from processors.outbox import Outbox
from processors.pipeline import process
from processors.restore import cluster_id, reached, restore
from processors.settings import KeyRing
from processors.state import Place, State, open_state
from processors.store import Buffers
from schemas import topics
from schemas.codec import (
    cloud_event_headers,
    encode_coverage,
    encode_open,
    encode_rejected,
    encode_witness,
    pack_state,
    raw_record,
)
from schemas.connection import Connection
from schemas.records import Micros, Position, Reason
from schemas.redrive import again

_log = structlog.get_logger()
_DRIFTS: Final[set[tuple[str, str, tuple[str, ...]]]] = set()
"""Shapes that this process told."""

BATCH_RECORDS: Final = 2_000
"""A transaction takes no more, and as many waiting stop further reading."""
BATCH_BYTES: Final = 8 * 2**20
"""A transaction that has so many takes no more."""
OUTPUTS: Final = (
    topics.EVENTS,
    topics.REJECTED,
    topics.WITNESSES,
    topics.COVERAGE,
    topics.OPEN,
    topics.REDRIVE,
    topics.STATE,
)
_LAST_TRANSACTION: Final = 10.0
"""Seconds that a transaction in flight may take when its task is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What all tasks of a worker share."""

    kafka: Connection
    application: str
    linger: float
    """Seconds: a broker is asked for records at most once in so many."""
    inputs: Mapping[str, Mapper]
    """Raw topic → mapper."""
    keys: KeyRing
    prefixes: Mapping[str, bytes]
    """Avro topic → the bytes that name its schema."""
    state_directory: Path
    """Where tasks keep what they remember."""
    buffers: Buffers
    """The memory that their stores share."""
    turns: asyncio.Semaphore
    """Let few tasks restore at once: more would only hold more memory."""

    def mapper(self, topic: str) -> Mapper:
        """Return who reads a raw topic; ``ValueError`` if nobody does."""
        try:
            return self.inputs[topic]
        except KeyError as error:
            raise ValueError(f"no mapper reads {topic}") from error

    late_keys: LateKeys | None = None
    """None where no provider's key is minted while running."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Return what a task reads: its partition of each."""
        return (*self.inputs, topics.REDRIVE)


class Arrived(NamedTuple):
    """Records of a task's partition of one topic, in their order; at least one."""

    topic: str
    records: Sequence[Record]


class Task:
    def __init__(self, partition: int, work: Work, consumer: AIOKafkaConsumer) -> None:
        self.partition = partition
        self.moved_at = time.monotonic()
        """When a transaction was last committed, on the monotonic clock."""
        self._work = work
        self._consumer = consumer
        self._inputs = [TopicPartition(topic, partition) for topic in work.topics]
        self._waiting: deque[Arrived] = deque()
        self._waiting_records = 0
        self._arrived = asyncio.Event()
        self._paused = False
        self._stopping = False
        self._running: asyncio.Task[None] | None = None
        self._counts: Mapping[str, int] = {}
        self._state: State | None = None
        self._attempts: Attempts | None = None
        self._producer = AIOKafkaProducer(
            **work.kafka.for_aiokafka(),
            transactional_id=f"{work.application}-{partition}",
            transaction_timeout_ms=15_000,
            request_timeout_ms=10_000,  # of a broker that hangs, so that another is asked in time
            linger_ms=0,
            max_batch_size=2**20,
            max_request_size=topics.MAX_RAW_BYTES,
            retry_backoff_ms=3,  # a transaction without retries takes 3.5 ms; 100 is the default
        )

    @property
    def has_work(self) -> bool:
        return bool(self._waiting)

    @property
    def state(self) -> State:
        """What the task remembers, once it took over."""
        if self._state is None:
            raise RuntimeError(f"task {self.partition} has not taken over")
        return self._state

    @property
    def read(self) -> Mapping[TopicPartition, int]:
        """Return where the task would go on reading, as ``state`` has it."""
        positions = self.state.positions
        return {at: positions[at.topic] for at in self._inputs if at.topic in positions}

    @property
    def _noted(self) -> Attempts:
        if self._attempts is None:
            raise RuntimeError(f"task {self.partition} has not taken over")
        return self._attempts

    @property
    def _limit(self) -> int:
        """How many records one transaction may take."""
        return 1 if self._noted.is_alone else BATCH_RECORDS

    # ---- taking over ------------------------------------------------------------------

    async def take_over(self) -> Mapping[TopicPartition, int]:
        """Fence the former owner, restore, and return where to go on reading.

        In this order: committed offsets may still change before the fence.
        """
        await reached(self._producer, self._work.kafka)
        self._counts = {t: len(await self._producer.partitions_for(t)) for t in OUTPUTS}
        await self._restore()
        return {at: await self._position(at) for at in self._inputs}

    async def _restore(self) -> None:
        work = self._work
        place = Place(
            directory=work.state_directory,
            cluster=await cluster_id(work.kafka),
            application=work.application,
            partition=self.partition,
        )
        self._state = open_state(place, work.buffers)
        notes = work.state_directory / work.application / f"{self.partition}.attempts"
        self._attempts = Attempts(notes)
        at = TopicPartition(topics.STATE, self.partition)
        async with work.turns:
            await restore(self._state, at, work.kafka)

    async def _position(self, at: TopicPartition) -> int:
        """Return what ``state`` says, or the group's offset, where that is ahead of it."""
        committed = await self._consumer.committed(at) or 0
        remembered = self.state.positions.get(at.topic, 0)
        if committed > remembered:
            _disagree(at, committed, remembered)
        position = max(committed, remembered)
        end = (await self._consumer.end_offsets([at]))[at]
        if position > end:
            raise OperatorError(
                f"{at.topic} partition {at.partition} ends at {end} but was read up to {position}: "
                "it was made anew; restore it, or delete the group's offsets and the topic state"
            )
        return position

    # ---- working ----------------------------------------------------------------------

    def start(self) -> asyncio.Task[None]:
        """Begin to write transactions; what the returned task raises is about us."""
        self._arrived.set()  # Keys may have come while nobody owned this.
        self._running = asyncio.create_task(self._run(), name=f"task {self.partition}")
        return self._running

    async def stop(self) -> None:
        """End after the transaction in flight, or abandon it to whoever takes over."""
        self._stopping = True
        self._arrived.set()
        if self._running:
            await asyncio.wait([self._running], timeout=_LAST_TRANSACTION)
            self._running.cancel()
        await self._producer.stop()
        if self._state is not None:
            self._state.close()

    def wake(self) -> None:
        """Let the task look at the keys, also where no record comes."""
        self._arrived.set()

    def put(self, topic: str, records: Sequence[Record]) -> None:
        """Take records in; beyond a batch, nothing more is read until it is written."""
        self._waiting.append(Arrived(topic, records))
        self._waiting_records += len(records)
        self._arrived.set()
        if self._waiting_records > BATCH_RECORDS and not self._paused:
            self._paused = True
            self._consumer.pause(*self._inputs)

    async def _run(self) -> None:
        """Write one transaction after another until ``stop``."""
        while not self._stopping:
            await self._arrived.wait()
            await self._look_again()
            if arrived := self._taken():
                await self._transact(arrived)

    def _taken(self) -> list[Arrived]:
        """Take at most one transaction's worth of what waits."""
        taken: list[Arrived] = []
        room, size = self._limit, 0
        while self._waiting and room and size < BATCH_BYTES:
            topic, records = self._waiting.popleft()
            if len(records) > room:
                self._waiting.appendleft(Arrived(topic, records[room:]))
                records = records[:room]
            taken.append(Arrived(topic, records))
            room -= len(records)
            size += sum(len(record.value or b"") for record in records)
        self._waiting_records -= sum(len(arrived.records) for arrived in taken)
        if not self._waiting:
            self._arrived.clear()
        if self._paused and self._waiting_records < BATCH_RECORDS:
            self._paused = False
            self._consumer.resume(*self._inputs)
        return taken

    async def _transact(self, arrived: Sequence[Arrived]) -> None:
        begun = time.monotonic()
        batch = await self._judged(arrived)
        await self._write(batch, {topic: records[-1].offset + 1 for topic, records in arrived})
        metrics.REMEMBERED.labels(self.partition).set(len(self.state))
        metrics.committed(batch, self.moved_at - begun, _now())
        tell_new(batch.drifts, _DRIFTS)

    async def _judged(self, arrived: Sequence[Arrived]) -> Batch:
        """Judge all records; again, if a key of theirs was told and not read yet."""
        log = self._work.late_keys.log if self._work.late_keys else None
        known = log.count if log else 0
        batch = self._tried(arrived)
        if log and any(part.reason == Reason.UNVERIFIED for part in batch.rejected):
            await log.catch_up()
            if log.count > known:
                return self._tried(arrived)
        return batch

    def _tried(self, arrived: Sequence[Arrived]) -> Batch:
        batch = Batch(self.state, _now())
        self._noted.begin({topic: records[-1].offset for topic, records in arrived})
        guard = self._noted if self._noted.is_alone else None
        for topic, records in arrived:
            for record in records:
                self._process(topic, record, batch, guard)
        self._noted.done()
        return batch

    async def _write(self, batch: Batch, read: Mapping[str, int]) -> None:
        """Write one transaction; ``read``: topic → the next offset to read."""
        learnt = [pack_state(record) for record in self.state.learnt(batch, read)]

        await self._producer.begin_transaction()
        # All of it must succeed before the commit: aiokafka does not fail it for a failed batch.
        ends = await self._outbox(batch, learnt).written()
        await self._producer.commit_transaction()

        self.state.apply(learnt, ends[TopicPartition(topics.STATE, self.partition)])
        self.moved_at = time.monotonic()

    async def _look_again(self) -> None:
        """Let be judged again what a key verifies that came since this was last done.

        How far that was is remembered with the last of it: a killed task does it again, and
        tells nothing twice.
        """
        late = self._work.late_keys
        if late is None:
            return
        done = self.state.positions.get(topics.KEYS, 0)
        minted = list(late.log.since(self.partition, done))
        if not minted:
            return
        at = TopicPartition(topics.REJECTED, self.partition)
        async for found in late.verified(at, [one.key for one in minted]):
            if found:
                await self._write(Batch(self.state, _now(), redriven=found), {})
        await self._write(Batch(self.state, _now()), {topics.KEYS: minted[-1].offset + 1})

    def _process(self, topic: str, record: Record, batch: Batch, guard: Attempts | None) -> None:
        position, told, mapper = Position(topic, self.partition, record.offset), None, None
        value = record.value or b""
        try:
            if topic == topics.REDRIVE:
                told = again(record.headers)
                position = told.of
            mapper = self._work.mapper(position.topic)
            raw = raw_record(record.headers, value)
        except ValueError as error:
            delivered = Delivered(record.headers, value, position)
            attempt = told.attempt if told else 1
            refused = foreign(delivered, mapper, error, batch.published_at, attempt)
            batch.rejected.append(refused)
            return
        keys = self._work.keys.of(raw.provider, raw.account)
        process(raw, position, mapper, keys, batch, guard, told)

    def _outbox(self, batch: Batch, learnt: Sequence[bytes]) -> Outbox:
        outbox = Outbox(self._producer, self._counts, batch.published_at // 1000)
        prefix = self._work.prefixes
        for event, encoded in batch.events:
            value = prefix[topics.EVENTS] + encoded
            outbox.put(topics.EVENTS, event.key, value, cloud_event_headers(event))
        for rejected in batch.rejected:
            value = prefix[topics.REJECTED] + encode_rejected(rejected)
            outbox.put(topics.REJECTED, rejected.account, value)
        for witness in batch.witnesses:
            value = prefix[topics.WITNESSES] + encode_witness(witness)
            outbox.put(topics.WITNESSES, witness.id, value)
        for hole in batch.coverage:
            key = topics.joined(hole.provider, hole.account, hole.channel)
            outbox.put(topics.COVERAGE, key, prefix[topics.COVERAGE] + encode_coverage(hole))
        for key, entity in batch.opened.items():
            # Where the account's raw lies: who reads back one account reads one partition.
            outbox.put_at(topics.OPEN, self.partition, key, encode_open(entity) if entity else None)
        for of, key, value, headers in batch.redriven:
            outbox.put_at(topics.REDRIVE, of, key, value, headers)
        for packed in learnt:
            outbox.put_at(topics.STATE, self.partition, str(self.partition), packed)
        return outbox


def _now() -> Micros:
    return time.time_ns() // 1000


def _disagree(at: TopicPartition, committed: int, remembered: int) -> None:
    """Tell that the group's offset, which is told after ``state``, is ahead of it."""
    metrics.DISAGREEMENTS.labels(at.topic).inc()
    _log.warning(
        "the group's offset is ahead of the position in state and is used: what was learnt is gone",
        topic=at.topic,
        partition=at.partition,
        committed=committed,
        state=remembered,
    )

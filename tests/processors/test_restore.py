"""A checkpoint meets its topic on a real Kafka: the tail is read, or all of it again."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import confluent_kafka
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from penstock.stack import Stack
from processors.errors import OperatorError
from processors.restore import cluster_id, restore
from processors.state import Place, State, open_state
from processors.store import Buffers
from schemas.codec import pack_state
from schemas.connection import Connection
from schemas.records import FactSeen, StateRecord

FACT = FactSeen(b"stakes00", 1, True, 1, 1_700_000_000, 7)
BUFFERS = Buffers()


def key(n: int) -> bytes:
    return n.to_bytes(16, "big")


def record(n: int) -> bytes:
    return pack_state(StateRecord({"raw.acme": n + 1}, {key(n): FACT}, {}, {}))


class Log:
    """One partition of a topic of its own, written in transactions."""

    def __init__(self, kafka: Connection) -> None:
        self.kafka = kafka
        self.at = TopicPartition(f"state-{uuid4().hex[:8]}", 0)
        self._admin = AdminClient({**kafka.for_librdkafka(), "log_level": 0})
        self.create()

    def create(self) -> None:
        _done(self._admin.create_topics([NewTopic(self.at.topic, 1, 1)]))

    def cut(self, offset: int) -> None:
        """Remove what is before an offset, as retention does."""
        _done(
            self._admin.delete_records([confluent_kafka.TopicPartition(self.at.topic, 0, offset)])
        )

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            **self.kafka.for_aiokafka(), transactional_id=f"writer-{self.at.topic}"
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def write(self, *values: bytes) -> int:
        """Commit each value in a transaction of its own; return the offset after the last."""
        async with self.producer() as producer:
            for value in values:
                async with producer.transaction():
                    told = await producer.send_and_wait(self.at.topic, value, partition=0)
        return int(told.offset) + 1


def _done(asked: dict[object, object]) -> None:
    for answer in asked.values():
        answer.result()  # type: ignore[attr-defined]


@pytest.fixture
def log(stack: Stack) -> Log:
    return Log(stack.connection)


@pytest.fixture
async def place(stack: Stack, tmp_path: Path) -> Place:
    cluster = await cluster_id(stack.connection)
    return Place(directory=tmp_path, cluster=cluster, application="app", partition=0)


@contextmanager
def opened(place: Place) -> Iterator[State]:
    state = open_state(place, BUFFERS)
    try:
        yield state
    finally:
        state.close()


async def restored(state: State, log: Log) -> int:
    return await restore(state, log.at, log.kafka)


def known(state: State) -> set[int]:
    return {n for n in range(50) if state.fact(key(n)) is not None}


async def test_an_empty_disk_takes_in_the_whole_topic(log: Log, place: Place) -> None:
    end = await log.write(*(record(n) for n in range(20)))
    with opened(place) as state:
        assert await restored(state, log) == 20
        assert known(state) == set(range(20))
        assert state.positions == {"raw.acme": 20}
        assert state.tally.offset == end


async def test_the_same_disk_reads_the_tail_alone(log: Log, place: Place) -> None:
    await log.write(*(record(n) for n in range(20)))
    with opened(place) as state:
        await restored(state, log)
    await log.write(*(record(n) for n in range(20, 23)))
    with opened(place) as state:
        assert await restored(state, log) == 3
        assert known(state) == set(range(23))
    with opened(place) as state:
        assert await restored(state, log) == 0


async def test_an_aborted_transaction_is_not_remembered(log: Log, place: Place) -> None:
    await log.write(record(1))
    async with log.producer() as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(log.at.topic, record(2), partition=0)
        await producer.abort_transaction()
    await log.write(record(3))
    with opened(place) as state:
        await restored(state, log)
        assert known(state) == {1, 3}


async def test_an_empty_topic_leaves_an_empty_memory(log: Log, place: Place) -> None:
    with opened(place) as state:
        assert await restored(state, log) == 0
        assert state.tally.offset == 0


async def test_a_checkpoint_ahead_of_its_topic_is_rebuilt(log: Log, place: Place) -> None:
    with opened(place) as state:
        state.apply([record(40)], 1_000)
    await log.write(record(1))
    with opened(place) as state:
        assert await restored(state, log) == 1
        assert known(state) == {1}


async def test_a_topic_made_anew_is_noticed_even_when_it_is_longer(log: Log, place: Place) -> None:
    await log.write(record(1), record(2))
    with opened(place) as state:
        await restored(state, log)
    other = Log(log.kafka)
    await other.write(*(record(n) for n in range(10, 20)))
    with opened(place) as state:
        assert await restored(state, other) == 10
        assert known(state) == set(range(10, 20))


async def test_what_retention_took_beyond_the_checkpoint_means_a_rebuild(
    log: Log, place: Place
) -> None:
    await log.write(record(0), record(1))
    with opened(place) as state:
        await restored(state, log)
    await log.write(*(record(n) for n in range(2, 10)))
    log.cut(2 * 6)
    with opened(place) as state:
        assert await restored(state, log) == 4
        assert known(state) == {6, 7, 8, 9}


async def test_retention_before_the_checkpoint_takes_nothing_from_it(
    log: Log, place: Place
) -> None:
    await log.write(*(record(n) for n in range(10)))
    with opened(place) as state:
        await restored(state, log)
    log.cut(2 * 6)
    await log.write(record(10))
    with opened(place) as state:
        assert await restored(state, log) == 1
        assert known(state) == set(range(11))


async def test_a_topic_emptied_by_retention_takes_nothing_from_the_disk(
    log: Log, place: Place
) -> None:
    end = await log.write(record(0), record(1))
    with opened(place) as state:
        await restored(state, log)
    log.cut(end)
    with opened(place) as state:
        assert await restored(state, log) == 0
        assert known(state) == {0, 1}


async def test_swapped_checkpoints_of_two_partitions_are_both_rebuilt(
    log: Log, place: Place, tmp_path: Path
) -> None:
    others = Log(log.kafka)
    other = replace(place, partition=1)
    await log.write(record(1), record(2))
    await others.write(record(11), record(12))
    for at, whose in ((place, log), (other, others)):
        with opened(at) as state:
            await restored(state, whose)
    root = tmp_path / "app"
    (root / "0").rename(root / "x")
    (root / "1").rename(root / "0")
    (root / "x").rename(root / "1")
    for at, whose, facts in ((place, log, {1, 2}), (other, others, {11, 12})):
        with opened(at) as state:
            assert await restored(state, whose) == 2
            assert known(state) == facts


async def test_a_torn_record_is_told_with_its_place(log: Log, place: Place) -> None:
    await log.write(record(1), record(2)[:-1], record(3))
    with opened(place) as state:
        with pytest.raises(OperatorError, match=rf"{log.at.topic} partition 0 offset 2 cannot"):
            await restored(state, log)
        assert 3 not in known(state)

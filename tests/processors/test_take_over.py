"""Where a task goes on reading, by ``state`` and by the group's offset."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client import REGISTRY

from penstock.stack import Stack
from processors.errors import OperatorError
from processors.mapper import Keys
from processors.mappers import MAPPERS
from processors.settings import KeyRing
from processors.store import Buffers
from processors.task import Task, Work
from schemas import topics
from schemas.codec import pack_state
from schemas.records import StateRecord

BUFFERS = Buffers()


@pytest.fixture
def source(prepared_stack: Stack) -> TopicPartition:
    """Give an input of its own with ten records."""
    at = TopicPartition(f"raw.{uuid4().hex[:8]}", 0)
    admin = AdminClient({"bootstrap.servers": prepared_stack.bootstrap_servers, "log_level": 0})
    for answer in admin.create_topics([NewTopic(at.topic, 1, 1)]).values():
        answer.result()
    return at


@pytest.fixture
def work(prepared_stack: Stack, source: TopicPartition, tmp_path: Path) -> Work:
    return Work(
        kafka=prepared_stack.connection,
        application=f"test-{uuid4().hex[:8]}",
        linger=0.0,
        inputs={source.topic: MAPPERS["pepay"]},
        keys=KeyRing({}, Keys(reference_id="r", reference=b"r")),
        prefixes={},
        state_directory=tmp_path,
        buffers=BUFFERS,
        turns=asyncio.Semaphore(2),
    )


async def write(work: Work, at: TopicPartition, *values: bytes) -> None:
    producer = AIOKafkaProducer(**work.kafka.for_aiokafka())
    await producer.start()
    for value in values:
        await producer.send_and_wait(at.topic, value, partition=at.partition)
    await producer.stop()


@asynccontextmanager
async def member(work: Work, at: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **work.kafka.for_aiokafka(),
        group_id=work.application,
        enable_auto_commit=False,
    )
    await consumer.start()
    consumer.assign([at])
    try:
        yield consumer
    finally:
        await consumer.stop()


async def taken_over(work: Work, at: TopicPartition, committed: int) -> int:
    """Return where the task goes on when the group's offset is ``committed``."""
    async with member(work, at) as consumer:
        if committed:
            await consumer.commit({at: committed})
        task = Task(0, work, consumer)
        try:
            return (await task.take_over())[at]
        finally:
            await task.stop()


async def remember(work: Work, at: TopicPartition, position: int) -> None:
    record = pack_state(StateRecord({at.topic: position}, {}, {}, {}))
    await write(work, TopicPartition(topics.STATE, 0), record)


def alerts(at: TopicPartition) -> float:
    sample = "penstock_position_disagreements_total"
    return REGISTRY.get_sample_value(sample, {"topic": at.topic}) or 0.0


@pytest.mark.parametrize(
    ("committed", "remembered", "goes_on", "alerted"),
    [(0, 0, 0, 0), (4, 4, 4, 0), (3, 7, 7, 0), (7, 3, 7, 1), (0, 7, 7, 0), (7, 0, 7, 1)],
)
async def test_the_larger_one_wins_and_an_offset_ahead_of_state_alerts(  # noqa: PLR0913, PLR0917
    work: Work,
    source: TopicPartition,
    committed: int,
    remembered: int,
    goes_on: int,
    alerted: int,
) -> None:
    await write(work, source, *[b"x"] * 10)
    if remembered:
        await remember(work, source, remembered)
    assert await taken_over(work, source, committed) == goes_on
    assert alerts(source) == alerted


async def test_a_position_beyond_the_end_of_the_input_is_refused(
    work: Work, source: TopicPartition
) -> None:
    await remember(work, source, 11)
    with pytest.raises(OperatorError, match="it was made anew"):
        await taken_over(work, source, 0)

"""`events` says the same to clients of four languages, to the last digit."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from penstock.cluster import Cluster
from penstock.stack import Stack
from processors.outbox import Outbox
from schemas import topics
from schemas.codec import cloud_event_headers, confluent, encode_event
from schemas.records import Event
from schemas.registry import Registry, schema_ids
from tests.end_to_end.consumers import CONSUMERS, lines
from tests.end_to_end.edge_events import PAYLOADS, edge_events, line

COUNT = 1000
A_TRANSACTION = 100


@dataclass(frozen=True, slots=True)
class Written:
    """A topic like ``events``, and what a consumer of it has to print."""

    topic: str
    expected: Counter[str]


@pytest.fixture(scope="module")
def written(prepared_stack: Stack) -> Written:
    """Write as a task writes; between what is committed lies what never was."""
    events = edge_events(COUNT)
    (like,) = (topic for topic in topics.all_topics([], partitions=4) if topic.name == "events")
    topic = replace(like, name=f"events-{uuid4()}")
    Cluster(prepared_stack.connection).apply([topic])
    asyncio.run(write(prepared_stack, topic, events))
    return Written(topic.name, Counter(map(line, events)))


async def write(stack: Stack, topic: topics.Topic, events: Sequence[Event]) -> None:
    producer = AIOKafkaProducer(
        **stack.connection.for_aiokafka(), transactional_id=topic.name, linger_ms=0
    )
    prefix = confluent(schema_ids(Registry(stack.registry_url))[topics.EVENTS])
    async with producer:
        for start in range(0, len(events), A_TRANSACTION):
            batch = events[start : start + A_TRANSACTION]
            await producer.begin_transaction()
            await put(producer, topic, prefix, batch)
            await producer.abort_transaction()
            await producer.begin_transaction()
            await put(producer, topic, prefix, batch)
            await producer.commit_transaction()


async def put(
    producer: AIOKafkaProducer, topic: topics.Topic, prefix: bytes, events: Sequence[Event]
) -> None:
    outbox = Outbox(producer, {topic.name: topic.partitions}, written_at=0)
    for event in events:
        value = prefix + encode_event(event)
        outbox.put(topic.name, event.key, value, cloud_event_headers(event))
    await outbox.written()


@pytest.mark.timeout(600)  # the first time, it fetches and builds what the consumer needs
@pytest.mark.parametrize("language", CONSUMERS)
def test_every_event_is_one_line_and_the_same_one_in_every_language(
    language: str, written: Written, prepared_stack: Stack
) -> None:
    lacks = CONSUMERS[language].lacks()
    if lacks:
        pytest.skip(f"not run: no {' and no '.join(lacks)}")
    told = lines(
        language,
        prepared_stack.bootstrap_servers,
        prepared_stack.registry_url,
        written.topic,
        str(COUNT),
    )
    read = Counter(told)
    assert read - written.expected == Counter()
    assert written.expected - read == Counter()


def test_events_at_the_edges_have_every_payload_and_leave_no_field_null() -> None:
    events = edge_events(COUNT)
    for payload in PAYLOADS:
        told = [getattr(event, payload) for event in events if getattr(event, payload)]
        assert len(told) >= COUNT // len(PAYLOADS)
        for field in told[0].__struct_fields__:
            assert {getattr(one, field) is None for one in told} >= {False}, (payload, field)

"""What happened while ingest was dead, read back from the provider into a real Kafka."""

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Message

from ingest.open_entities import OpenEntities
from penstock.stack import Stack
from schemas import topics
from schemas.codec import encode_open
from schemas.records import Kind, OpenEntity, Raw, Via
from tests.end_to_end.test_raw import ingest, kept, until
from twins.pepay import PepayTwin

Records = list[tuple[Message, Raw]]


def event_ids(records: Records) -> set[str]:
    found: set[str] = set()
    for _, raw in records:
        if raw.kind is Kind.FRAME:
            body = json.loads(raw.value)
            rows = body["data"]["data"] if raw.via is Via.BACKFILL else [body]
            found |= {row["id"] for row in rows if row["object"] == "event"}
    return found


def is_recovered(records: Records, times: int) -> bool:
    return sum(raw.kind is Kind.RECOVERED for _, raw in records) >= times


@pytest.mark.timeout(120)
async def test_kill_9_and_a_since_that_is_too_old_lose_nothing(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    account = "read-back"
    async with PepayTwin(rate=0, retention=10, snapshot=3, announces=False) as twin:
        async with ingest(tmp_path, prepared_stack, twin, account) as process:
            await until(prepared_stack, "pepay", account, lambda told: is_recovered(told, 1))
            await twin.storm(20)
            listed = {line.key[0] for line in twin.books.lines}
            await until(prepared_stack, "pepay", account, lambda told: listed <= event_ids(told))
            process.kill()
            await process.wait()
        await twin.storm(300)
        listed = {line.key[0] for line in twin.books.lines}
        async with ingest(tmp_path, prepared_stack, twin, account):
            await until(prepared_stack, "pepay", account, lambda told: is_recovered(told, 2))
    records = kept(prepared_stack, "pepay", account)
    assert event_ids(records) == listed
    by_socket = {
        json.loads(raw.value).get("id")
        for _, raw in records
        if raw.kind is Kind.FRAME and raw.via is Via.SOCKET
    }
    assert len(listed - by_socket) > 200, "the list was not needed: the test shows nothing"


def order(entity_id: str, since: int) -> OpenEntity:
    return OpenEntity(
        provider="paymium",
        account="opens",
        entity_kind="order",
        entity_id=entity_id,
        status="open",
        since=since,
    )


@pytest.mark.timeout(60)
async def test_what_is_open_is_known_at_the_start_and_kept_up_with(prepared_stack: Stack) -> None:
    """Records of a transaction that was aborted are none."""
    kafka = prepared_stack.connection
    producer = AIOKafkaProducer(**kafka.for_aiokafka(), transactional_id="test-opens")
    await producer.start()
    opens = OpenEntities(kafka, {"paymium"})

    async def write(entity: OpenEntity, *, is_open: bool) -> None:
        value = encode_open(entity) if is_open else None
        await producer.send_and_wait(topics.OPEN, key=entity.key.encode(), value=value)

    try:
        async with producer.transaction():
            for number in range(3):
                await write(order(f"o{number}", 10 - number), is_open=True)
            await write(order("o1", 9), is_open=False)
        await producer.begin_transaction()
        await write(order("never", 1), is_open=True)
        await producer.abort_transaction()
        await opens.start()
        assert [found.entity_id for found in opens.of("paymium", "opens")] == ["o2", "o0"]
        following = asyncio.create_task(opens.follow())
        async with producer.transaction():
            await write(order("o0", 10), is_open=False)
        async with asyncio.timeout(20):
            while len(opens.of("paymium", "opens")) > 1:
                await asyncio.wait({following}, timeout=0.05)
        following.cancel()
        await asyncio.wait({following})
    finally:
        await opens.stop()
        await producer.stop()

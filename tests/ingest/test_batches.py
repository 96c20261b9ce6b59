"""One partition's batches, with a producer that acknowledges when it likes."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from ingest.batches import Batch, Partition
from schemas.codec import raw_record
from tests.ingest.test_spool import raw


@dataclass
class Producer:
    """Stands for aiokafka's, whose batches it builds."""

    sent: list[tuple[list[int], asyncio.Future[None]]] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def create_batch(self) -> Any:
        return BatchBuilder(2_000, 0)

    async def send_batch(self, builder: Any, _topic: str, *, partition: int) -> Any:
        assert partition == 3
        acknowledged = asyncio.get_running_loop().create_future()
        builder.close()
        told = DefaultRecordBatch(builder._build())  # noqa: SLF001 - as aiokafka's sender does
        numbers = [raw_record(each.headers, each.value).sequence for each in told]
        self.sent.append((numbers, acknowledged))
        self.more.set()
        return acknowledged

    async def until_sent(self, count: int) -> list[int]:
        async with asyncio.timeout(10):
            while len(self.sent) < count:
                self.more.clear()
                await self.more.wait()
        return self.sent[count - 1][0]


@pytest.fixture
def producer() -> Producer:
    return Producer()


async def test_what_comes_while_a_batch_is_on_its_way_leaves_behind_it_together(
    producer: Producer,
) -> None:
    settled: list[Batch] = []
    partition = Partition(producer, "raw.acme", 3, settled.append)
    first = partition.append(raw(0))
    assert await producer.until_sent(1) == [0]
    rest = [partition.append(raw(number)) for number in range(1, 5)]
    assert len({*rest}) == 1
    producer.sent[0][1].set_result(None)
    await first
    assert await producer.until_sent(2) == [1, 2, 3, 4]
    assert not rest[0].done()
    producer.sent[1][1].set_result(None)
    await rest[0]
    await partition.end()
    assert [batch.size for batch in settled] == [20, 80]


async def test_a_record_that_finds_no_room_begins_the_next_batch(producer: Producer) -> None:
    partition = Partition(producer, "raw.acme", 3, lambda _: None)
    for number in range(4):
        partition.append(raw(number, size=900))
    told = []
    for count in range(1, 5):
        told += await producer.until_sent(count)
        producer.sent[-1][1].set_result(None)
        if len(told) == 4:
            break
    assert told == [0, 1, 2, 3]
    assert len(producer.sent) > 1
    await partition.end()


@pytest.mark.parametrize("error", [MessageSizeTooLargeError(), RuntimeError("not expected")])
async def test_behind_a_batch_that_is_refused_nothing_is_sent(
    producer: Producer, error: Exception
) -> None:
    """Else raw would have the second before the first, which is sent again."""
    partition = Partition(producer, "raw.acme", 3, lambda _: None)
    first = partition.append(raw(0))
    await producer.until_sent(1)
    second = partition.append(raw(1))
    producer.sent[0][1].set_exception(error)
    with pytest.raises(type(error)):
        await first
    await partition.end()
    assert second.cancelled()
    assert len(producer.sent) == 1


async def test_what_is_on_its_way_at_the_end_is_nobodys_any_more(producer: Producer) -> None:
    partition = Partition(producer, "raw.acme", 3, lambda _: None)
    first = partition.append(raw(0))
    await producer.until_sent(1)
    await partition.end()
    assert first.cancelled()

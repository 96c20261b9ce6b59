"""Fails when an upgrade of aiokafka moves what we lean on."""

import asyncio
import inspect
from importlib.metadata import version

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import consumer, fetcher
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer import message_accumulator, producer, sender
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.record.memory_records import MemoryRecords

from processors import aiokafka_private


def test_the_private_parts_are_where_they_were_in_0_14() -> None:
    assert version("aiokafka").startswith("0.14.")
    assert "return BACKOFF_OVERRIDE" in inspect.getsource(sender)
    assert "self._txn_manager = TransactionManager(" in inspect.getsource(producer)
    assert list(inspect.signature(TransactionManager.maybe_add_partition_to_txn).parameters) == [
        "self",
        "tp",
    ]
    assert "self._fetcher = Fetcher(" in inspect.getsource(consumer)
    assert "self._proc_fetch_request(assignment, node_id, request)," in inspect.getsource(fetcher)
    assert "self._consumer_record(tp, record)" in inspect.getsource(fetcher)
    assert "self._builder.append(\n            self._relative_offset," in inspect.getsource(
        message_accumulator
    )


def test_pauses_between_transactions_are_shortened() -> None:
    aiokafka_private.shorten_pauses()
    assert sender.BACKOFF_OVERRIDE == aiokafka_private.MARKERS_PAUSE


async def test_one_broker_is_asked_no_more_often_than_it_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = asyncio.get_running_loop().time
    asked: dict[int, list[float]] = {1: [], 2: []}

    async def answered(_: Fetcher, __: object, node: int, ___: object) -> bool:
        asked[node].append(clock())
        return True

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", answered)
    reader = AIOKafkaConsumer()
    paced = reader._fetcher = Fetcher(AIOKafkaClient(), SubscriptionState())  # noqa: SLF001
    aiokafka_private.pace(reader, pause := 0.01)
    for node in (1, 2, 1, 1):
        assert await paced._proc_fetch_request(None, node, None)  # noqa: SLF001
    await reader.stop()
    first, second, third = asked[1]
    assert min(second - first, third - second) > 0.9 * pause
    assert asked[2][0] < second


_RECORDS = [
    (b"a", b"1", [("name", b"value"), ("name", b"")]),
    (b"b", None, []),
    (b"", b"x" * 300, [("ü", b"\x00")]),
]


def _filled(*, directly: bool) -> BatchBuilder:
    batch = BatchBuilder(2**20, 0)
    for key, value, headers in _RECORDS:
        if directly:
            assert aiokafka_private.append(batch, 1_000, key, value, headers)
        else:
            batch.append(timestamp=1_000, key=key, value=value, headers=headers)
    return batch


def _bytes(batch: BatchBuilder) -> bytes:
    return bytes(batch._build())  # noqa: SLF001


def test_a_record_that_is_appended_directly_is_as_aiokafka_appends_it() -> None:
    ours, theirs = _filled(directly=True), _filled(directly=False)
    assert ours.record_count() == theirs.record_count() == len(_RECORDS)
    assert _bytes(ours) == _bytes(theirs)


def test_a_full_batch_takes_no_record_and_is_closed() -> None:
    batch = BatchBuilder(200, 0)
    assert aiokafka_private.append(batch, 1_000, b"a", b"x" * 300, [])
    assert not aiokafka_private.append(batch, 1_000, b"b", b"x", [])
    assert batch.closed()
    assert batch.record_count() == 1


def test_records_that_are_not_copied_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = _bytes(_filled(directly=True))

    def read() -> list[tuple[int, bytes, bytes, list[tuple[str, bytes]]]]:
        at = TopicPartition("raw", 0)
        records = PartitionRecords(at, MemoryRecords(encoded), [], 0, None, None, True, 0)
        return [(r.offset, r.key, r.value, list(r.headers)) for r in records]

    copied = read()
    before = vars(PartitionRecords)["_consumer_record"]
    monkeypatch.setattr(PartitionRecords, "_consumer_record", before)
    aiokafka_private.spare_copies()
    assert read() == copied
    assert [told[1:] for told in copied] == [(k, v, h) for k, v, h in _RECORDS]

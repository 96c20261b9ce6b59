"""A plain transactional loop of aiokafka, which keeps no state.

Set well: transactions of at most 2,000 events, one batch per partition built at once, and
everything in flight awaited together.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol
from zlib import crc32

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

_BATCH = 2_000

Event = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, value and headers."""


class Asked(Protocol):
    """Whichever options a peer takes, these are among them."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def inputs(self) -> list[str]: ...
    @property
    def output(self) -> str: ...


async def loop(asked: Asked, events_of: Callable[[ConsumerRecord], Iterable[Event]]) -> None:
    """Tell what each record of the inputs leads to, endlessly."""
    consumer = AIOKafkaConsumer(
        *asked.inputs,
        bootstrap_servers=asked.bootstrap,
        group_id=asked.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=2 * 2**20,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=asked.bootstrap,
        transactional_id=asked.group,
        linger_ms=0,
        max_batch_size=2**20,
    )
    await consumer.start()
    await producer.start()
    count = len(await producer.partitions_for(asked.output))
    while True:
        records = await consumer.getmany(timeout_ms=200, max_records=_BATCH)
        if not records:
            continue
        by_partition: list[list[Event]] = [[] for _ in range(count)]
        for some in records.values():
            for record in some:
                for event in events_of(record):
                    by_partition[crc32(event[0]) % count].append(event)
        await producer.begin_transaction()
        sent: list[asyncio.Future[object]] = []
        for partition, events in enumerate(by_partition):
            sent += await _sent(producer, asked.output, partition, events)
        await asyncio.gather(*sent)
        offsets = {at: some[-1].offset + 1 for at, some in records.items()}
        await producer.send_offsets_to_transaction(offsets, asked.group)
        await producer.commit_transaction()


async def _sent(
    producer: AIOKafkaProducer, topic: str, partition: int, events: list[Event]
) -> list[asyncio.Future[object]]:
    sent, batch = [], producer.create_batch()
    for key, value, headers in events:
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None, headers=headers)
    if batch.record_count():
        batch.close()
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    return sent

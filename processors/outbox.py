"""What one transaction writes, gathered into one batch per partition and sent at once."""

import asyncio
from collections.abc import Iterator, Mapping

from aiokafka import AIOKafkaProducer, TopicPartition

from processors.aiokafka_private import BatchBuilder, announce, append
from schemas.codec import Headers
from schemas.topics import partition_of


class Outbox:
    """Records of one transaction. ``put`` gathers, ``written`` sends and waits."""

    def __init__(
        self, producer: AIOKafkaProducer, counts: Mapping[str, int], written_at: int
    ) -> None:
        """``counts``: topic → partitions; ``written_at``: ms, the records' timestamp."""
        self._producer = producer
        self._counts = counts
        self._written_at = written_at
        self._open: dict[tuple[str, int], BatchBuilder] = {}
        self._full: list[tuple[tuple[str, int], BatchBuilder]] = []

    def put(
        self, topic: str, key: str, value: bytes | None, headers: Headers | None = None
    ) -> None:
        """Add a record to the partition of its key."""
        self.put_at(topic, partition_of(key, self._counts[topic]), key, value, headers)

    def put_at(
        self,
        topic: str,
        partition: int,
        key: str,
        value: bytes | None,
        headers: Headers | None = None,
    ) -> None:
        """Add a record to a partition; without a value it is a tombstone."""
        at = topic, partition
        batch = self._open.get(at) or self._begun(at)
        record = self._written_at, key.encode(), value, headers or []
        if not append(batch, *record):
            self._full.append((at, batch))
            append(self._begun(at), *record)  # An empty batch takes a record of any size.

    def _begun(self, at: tuple[str, int]) -> BatchBuilder:
        batch = self._open[at] = self._producer.create_batch()
        return batch

    def _batches(self) -> Iterator[tuple[TopicPartition, BatchBuilder]]:
        for at, batch in (*self._full, *self._open.items()):
            yield TopicPartition(*at), batch

    async def written(self) -> Mapping[TopicPartition, int]:
        """Send everything; once all is acknowledged, return the offset after it everywhere."""
        batches = list(self._batches())
        announce(self._producer, {at for at, _ in batches})
        sent = []
        for at, batch in batches:
            batch.close()
            sent.append(await self._producer.send_batch(batch, at.topic, partition=at.partition))
        ends: dict[TopicPartition, int] = {}
        for (at, batch), told in zip(batches, await asyncio.gather(*sent), strict=True):
            ends[at] = max(ends.get(at, 0), told.offset + batch.record_count())
        return ends

"""One partition of raw: a batch on its way, and behind it what has come meanwhile.

A future, a timer and an encoded record of its own for each frame cost more than all else that
ingest does with it. https://aiokafka.readthedocs.io/en/stable/producer.html#direct-batch-control
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.codec import raw_headers
from schemas.records import Raw


def _future() -> asyncio.Future[object]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class Batch:
    """Records that leave at once, and are acknowledged or refused together."""

    topic: str
    builder: Any
    """Of aiokafka, which has no public name for it."""
    acknowledged: asyncio.Future[object] = field(default_factory=_future)
    at: float = field(default_factory=monotonic)
    """When its first record came."""
    size: int = 0
    """Bytes of the records' values."""

    def takes(self, raw: Raw) -> bool:
        """Add a record; return whether there was room, as there always is for the first."""
        taken = self.builder.append(
            timestamp=raw.received_at // 1000,
            key=raw.account.encode(),
            value=raw.value,
            headers=raw_headers(raw),
        )
        if taken is None:
            return False
        self.size += len(raw.value)
        return True


class Partition:
    """Sends in order, until a batch is refused: what is behind that one is never sent."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        number: int,
        settled: Callable[[Batch], None],
    ) -> None:
        self.name = topic, number
        self._producer = producer
        self._settled = settled
        self._gathered: deque[Batch] = deque()
        self._sent: Batch | None = None
        self._more = asyncio.Event()
        self._sending = asyncio.create_task(self._send())
        self._sending.add_done_callback(self._ended)

    def append(self, raw: Raw) -> asyncio.Future[object]:
        """Return what is done once every in-sync replica has the record."""
        if not self._gathered or not self._gathered[-1].takes(raw):
            batch = Batch(self.name[0], self._producer.create_batch())
            batch.acknowledged.add_done_callback(lambda _: self._settled(batch))
            batch.takes(raw)
            self._gathered.append(batch)
            self._more.set()
        return self._gathered[-1].acknowledged

    async def _send(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._gathered:
                self._sent = self._gathered.popleft()
                await self._delivered(self._sent)
                self._sent.acknowledged.set_result(None)

    def _ended(self, sending: asyncio.Task[None]) -> None:
        """Say of the batch that was on its way what ended the sending, expected or not."""
        if self._sent and not sending.cancelled() and (error := sending.exception()):
            self._sent.acknowledged.set_exception(error)

    async def _delivered(self, batch: Batch) -> None:
        """Wait for the acknowledgement, and not for room: meanwhile the next one grows."""
        topic, number = self.name
        await (await self._producer.send_batch(batch.builder, topic, partition=number))

    def drop(self) -> None:
        """Give up what has not left yet."""
        while self._gathered:
            self._gathered.popleft().acknowledged.cancel()

    async def end(self) -> None:
        """Give up everything."""
        self.drop()
        self._sending.cancel()
        await asyncio.wait({self._sending})
        if self._sent is not None:
            self._sent.acknowledged.cancel()

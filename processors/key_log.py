"""The topic ``keys``, followed: which tokens were minted, and so what they signed.

Ingest appends a token before it uses it, so whoever has read ``keys`` to its end has every
key of the frames that came before.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer

from processors.aiokafka_private import Record
from processors.errors import OperatorError
from processors.restore import ANSWER_MS, reached
from processors.settings import KeyRing
from schemas import topics
from schemas.connection import Connection
from schemas.records import SigningKey
from schemas.sealing import Unopened, opened

_log = structlog.get_logger()

_WAIT_MS: Final = 200


@dataclass(frozen=True, slots=True)
class Minted:
    """A token, and where it lies on ``keys``."""

    partition: int
    offset: int
    key: SigningKey


class KeyLog:
    """Adds to a ring what ``keys`` tells, from its beginning, so that old frames verify too."""

    def __init__(self, kafka: Connection, sealed_with: bytes, ring: KeyRing) -> None:
        self._kafka = kafka
        self._sealed_with = sealed_with
        self._ring = ring
        self._told: list[Minted] = []
        self._reading = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Read all that is there. Raises ``OperatorError`` for what does not open."""
        # Without a group, all partitions are assigned at once.
        consumer = AIOKafkaConsumer(
            topics.KEYS,
            **self._kafka.for_aiokafka(),
            request_timeout_ms=ANSWER_MS,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await reached(consumer, self._kafka)
        self._consumer = consumer
        await self.catch_up()
        _log.info("keys", read=len(self._told))

    async def stop(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    async def catch_up(self) -> None:
        """Read to the current end. Raises ``OperatorError`` for what does not open."""
        async with self._reading:
            consumer = self._started
            ends = await consumer.end_offsets(consumer.assignment())
            for at, end in ends.items():
                while await consumer.position(at) < end:
                    for records in (await consumer.getmany(at, timeout_ms=_WAIT_MS)).values():
                        self._take_in(at.partition, records)

    @property
    def count(self) -> int:
        """How many keys were told so far."""
        return len(self._told)

    def since(self, partition: int, offset: int) -> Iterator[Minted]:
        """Yield what a partition told from an offset on."""
        for minted in self._told:
            if minted.partition == partition and minted.offset >= offset:
                yield minted

    @property
    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("keys are not followed yet")
        return self._consumer

    def _take_in(self, partition: int, records: Sequence[Record]) -> None:
        for record in records:
            if record.value is None:
                continue
            try:
                key = opened((record.key or b"").decode(), record.value, self._sealed_with)
            except Unopened as error:
                raise OperatorError(f"{error}; correct keys.seal") from error
            self._ring.add(key)
            self._told.append(Minted(partition, record.offset, key))

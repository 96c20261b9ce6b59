"""Parts that nobody could verify when they came, and that a key of today verifies.

Found on ``rejected``, where their task wrote them, and given to ``redrive``: what they tell
is told once, because facts are remembered, and the attempt counts.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from processors.key_log import KeyLog
from processors.mapper import Mapper
from processors.pipeline import verifies
from processors.restore import between, partition_reader
from processors.settings import KeyRing
from schemas.connection import Connection
from schemas.records import Reason, Rejected, SigningKey
from schemas.redrive import NotRedriven, Redrive, redrive

_EARLIER_MS: Final = 60 * 60 * 1000
"""By which of two clocks one may be behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateKeys:
    """Who follows ``keys``, and what it takes to look again at what was rejected."""

    log: KeyLog
    ring: KeyRing
    kafka: Connection
    inputs: Mapping[str, Mapper]
    """Raw topic → mapper."""
    read: Callable[[bytes], Rejected]
    """Value of a record of ``rejected`` → the record."""

    async def verified(
        self, at: TopicPartition, keys: Collection[SigningKey]
    ) -> AsyncIterator[list[Redrive]]:
        """Yield, some at a time, what one of ``keys`` verifies of a partition of ``rejected``."""
        since = min(key.minted_at for key in keys) // 1000 - _EARLIER_MS
        async with partition_reader(self.kafka, at) as reader:
            found = (await reader.offsets_for_times({at: since}))[at]
            if found is None:
                return
            end = (await reader.end_offsets([at]))[at]
            async for records in between(reader, at, found.offset, end):
                yield list(self._redriven(records, keys))

    def _redriven(
        self, records: Collection[ConsumerRecord], keys: Collection[SigningKey]
    ) -> Iterator[Redrive]:
        for record in records:
            rejected = self.read(record.value or b"")
            if rejected.reason == Reason.UNVERIFIED and self._is_verified(rejected, keys):
                try:
                    yield redrive(rejected)
                except NotRedriven:
                    continue

    def _is_verified(self, rejected: Rejected, keys: Collection[SigningKey]) -> bool:
        owner = rejected.provider, rejected.account
        mine = {k.key_id: k.token.encode() for k in keys if (k.provider, k.account) == owner}
        mapper = self.inputs.get(rejected.topic)
        if not mine or mapper is None:
            return False
        return verifies(rejected, mapper, replace(self.ring.of(*owner), verification=mine))

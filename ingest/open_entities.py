"""What the topic ``open`` says: the entities whose last fact is not final.

The task writes an entity when it opens and a tombstone when it closes; ingest reads them to
know what to ask a provider about.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from ingest.aiokafka_private import knock
from ingest.errors import OperatorError
from schemas import topics
from schemas.codec import decode_open
from schemas.connection import Connection
from schemas.records import OpenEntity

_log = structlog.get_logger()
_RETRY = 1.0
_SAY_EVERY = 5
_WAIT_MS = 1_000
_ASSIGNED_MS = 50


class OpenEntities:
    """All open entities of the providers that ask about them, as of now."""

    def __init__(self, kafka: Connection, providers: Iterable[str]) -> None:
        self._kafka = kafka
        self._providers = frozenset(providers)
        self._open: defaultdict[tuple[str, str], dict[bytes, OpenEntity]] = defaultdict(dict)
        self._places: dict[bytes, tuple[str, str]] = {}
        self._consumer: AIOKafkaConsumer = None
        """None until started."""

    def of(self, provider: str, account: str) -> tuple[OpenEntity, ...]:
        """Return an account's open entities, that which has been open longest first."""
        found = self._open.get((provider, account), {})
        return tuple(sorted(found.values(), key=lambda entity: entity.since))

    async def start(self) -> None:
        """Wait for the broker, and read what the topic holds by now. Raises ``OperatorError``."""
        if not self._providers:
            return
        attempt = 0
        while self._consumer is None:
            self._consumer = await self._started(attempt)
            attempt += 1
        try:
            await self._catch_up(self._consumer)
        except KafkaError as error:
            raise OperatorError(f"kafka on {self._kafka} went away; start again") from error

    async def follow(self) -> None:
        """Keep up with the topic until cancelled."""
        while self._consumer is not None:
            try:
                self._take(await self._consumer.getmany(timeout_ms=_WAIT_MS))
            except KafkaError as error:
                _log.warning("open cannot be read", reason=type(error).__name__)
                await asyncio.sleep(_RETRY)

    async def stop(self) -> None:
        if self._consumer is not None:
            with suppress(KafkaError):
                await self._consumer.stop()

    async def _started(self, attempt: int) -> AIOKafkaConsumer | None:
        consumer = AIOKafkaConsumer(
            **self._kafka.for_aiokafka(),
            client_id="penstock-ingest",
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
        except (KafkaError, OSError):
            await consumer.stop()
            await knock(self._kafka)
            if attempt % _SAY_EVERY == 0:
                _log.warning("waiting for kafka", bootstrap_servers=str(self._kafka))
            await asyncio.sleep(_RETRY)
            return None
        except asyncio.CancelledError:
            await consumer.stop()
            raise
        return consumer

    async def _catch_up(self, consumer: AIOKafkaConsumer) -> None:
        # All topics, and not this one by name: a broker may create what it is asked about.
        if topics.OPEN not in await consumer.topics():
            raise OperatorError(
                f"topic {topics.OPEN} is missing on {self._kafka}; run: penstock topics apply"
            )
        consumer.subscribe([topics.OPEN])
        while not (places := consumer.assignment()):
            self._take(await consumer.getmany(timeout_ms=_ASSIGNED_MS))
        ends = await consumer.end_offsets(places)
        while [place for place in places if await consumer.position(place) < ends[place]]:
            self._take(await consumer.getmany(timeout_ms=_WAIT_MS))

    def _take(self, fetched: dict[object, list[object]]) -> None:
        for records in fetched.values():
            for record in records:
                self.learn(record.key or b"", record.value)  # type: ignore[attr-defined]

    def learn(self, key: bytes, value: bytes | None) -> None:
        """Take in one record of the topic."""
        if place := self._places.pop(key, None):
            del self._open[place][key]
        if value is None:
            return
        try:
            entity = decode_open(value)
        except msgspec.MsgspecError:
            _log.warning("a record of open cannot be read", size=len(value))
            return
        if entity.provider in self._providers:
            place = self._places[key] = entity.provider, entity.account
            self._open[place][key] = entity

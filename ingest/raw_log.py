"""The raw topics: appending in order, and finding where an account stopped.

Ingest appends here and nowhere else. https://aiokafka.readthedocs.io/en/stable/consumer.html
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ingest.errors import OperatorError
from ingest.lane import Lane, Ticket
from ingest.metrics import Metrics
from ingest.outlet import RECORD_OVERHEAD, Outlet
from ingest.settings import SpoolSection
from ingest.spool import Spool
from schemas import topics
from schemas.codec import raw_record
from schemas.connection import Connection
from schemas.records import Raw

__all__ = ["RawLog", "Ticket"]

_log = structlog.get_logger()

_REACHED_WITHIN: Final = 3.0
"""Seconds for a broker to answer before feeds begin without one."""
_DRAIN_WITHIN: Final = 10.0
"""Seconds for raw to take everything when we are asked to stop; then it stays on disk."""
_TAIL = 1_000
_LONGEST_PIECE = 16_000
"""Records read at once: they are held in memory."""


class RawLog:
    """The way of every record of this process: to raw, or to disk while Kafka is away."""

    def __init__(self, kafka: Connection, metrics: Metrics, spool: SpoolSection) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises ``OperatorError`` once nothing can be appended, for a reason that stays."""
        self._kafka = kafka
        self._metrics = metrics
        self._settings = spool
        self._outlet = Outlet(kafka, metrics)
        self.reached = self._outlet.reached
        """Set once a broker has answered; until then nothing can be read."""
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, accounts: Iterable[tuple[str, str]]) -> None:
        """Take the spools of these accounts, and reach for the broker.

        Returns without one, too, after ``_REACHED_WITHIN``. Raises ``OperatorError`` where a
        spool is in use, the broker refuses us, or has no raw topic.
        """
        wanted = list(accounts)
        for provider, account in wanted:
            self._lanes[provider, account] = await self._lane(provider, account)
        self._tend(self._outlet.run({provider for provider, _ in wanted}))
        for lane in self._lanes.values():
            self._tend(lane.run())
        reaching = asyncio.create_task(self.reached.wait())
        waited: set[asyncio.Future[Any]] = {reaching, self.failed}
        await asyncio.wait(waited, timeout=_REACHED_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        reaching.cancel()

    async def _lane(self, provider: str, account: str) -> Lane:
        name = f"{provider}/{account}"
        directory = self._settings.directory / provider / account
        spool = await asyncio.to_thread(Spool, directory, fsync=self._settings.fsync)
        metrics = self._metrics.of(provider, account)
        metrics.spool_cut.inc(spool.cut)
        if spool.size or spool.cut:
            _log.warning(
                "records of an earlier process wait on disk",
                feed=name,
                bytes=spool.size,
                cut_bytes=spool.cut,
            )
        return Lane(name, spool, self._outlet, metrics, self._settings)

    def _tend(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self.failed.done():
            self.failed.set_exception(error)

    async def append(self, raw: Raw) -> Ticket:
        """Hand a record of a started account over, and return its ticket.

        Records of one account keep their order. Waits while too many bytes are on their way,
        so that memory is bounded. The ticket is done when raw has acknowledged the record on
        every in-sync replica, or, while Kafka is slow or away, once it is fsynced on a disk
        that outlives the pod (``ingest.spool.persistent``); on a disk that does not, the ticket
        raises ``Spooled``: raw will have it later, unless the disk is lost. Raises ``Full``
        for a frame that neither Kafka nor the disk has room for.
        """
        return await self._lanes[raw.provider, raw.account].append(raw)

    async def room(self, provider: str, account: str) -> None:
        """Wait until frames of an account are taken again, after ``Full``."""
        await self._lanes[provider, account].room()

    async def close(self) -> None:
        """Wait until raw has everything, or the disk what raw does not take in time."""
        lanes = self._lanes.values()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_WITHIN):
                await asyncio.gather(*(lane.until_empty() for lane in lanes))
        await asyncio.gather(*(lane.until_saved() for lane in lanes))
        if left := [lane.name for lane in lanes if not lane.is_empty]:
            _log.warning("records wait on disk; start again to send them", feeds=left)

    async def abandon(self) -> None:
        """Let go of the broker and the disk, whatever is still in flight."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for lane in self._lanes.values():
            await lane.close()
        if not self.failed.cancel():
            self.failed.exception()  # Said already; not to be said again when it is collected.

    # ---- reading back ----------------------------------------------------------------

    async def tail(self, provider: str, account: str) -> AsyncIterator[list[Raw]]:
        """Yield an account's newest records, in pieces from the newest backwards.

        Each piece is oldest first. Ends at the beginning of the log; who reads stops where a
        mark of the last hour says all that is to be known.
        """
        topic = topics.raw(provider)
        place = TopicPartition(topic, topics.partition_of(account, self._outlet.partitions[topic]))
        consumer = AIOKafkaConsumer(
            **self._kafka.for_aiokafka(),
            client_id="penstock-ingest",
            max_partition_fetch_bytes=topics.MAX_RAW_BYTES + RECORD_OVERHEAD,
        )
        try:
            await consumer.start()
            consumer.assign([place])
            begin = (await consumer.beginning_offsets([place]))[place]
            end = (await consumer.end_offsets([place]))[place]
            size = _TAIL
            while end > begin:
                start = max(begin, end - size)
                yield await _records(consumer, place, start, end, account)
                end, size = start, min(size * 4, _LONGEST_PIECE)
        except KafkaError as error:
            raise OperatorError(f"cannot read {topic}: {error!r}; look at the broker") from error
        finally:
            with suppress(KafkaError):
                await consumer.stop()


async def _records(
    consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int, account: str
) -> list[Raw]:
    """Return an account's records from offset ``start`` up to, not with, ``end``."""
    consumer.seek(place, start)
    found: list[Raw] = []
    while (position := await consumer.position(place)) < end:
        fetched = await consumer.getmany(place, timeout_ms=1000)
        found += (
            raw_record(record.headers, record.value or b"")
            for record in fetched.get(place, ())
            if position <= record.offset < end and record.key == account.encode()
        )
    return found

"""One account's way to raw: straight, or by way of the disk while Kafka is slow or away.

While anything of the account is on disk, everything new goes behind it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from time import monotonic, time
from typing import Final

import structlog

from ingest.errors import OperatorError
from ingest.feed import AtOnce, Disconnected
from ingest.metrics import FeedMetrics
from ingest.outlet import Away, Outlet
from ingest.settings import SpoolSection
from ingest.spool import Place, Spool
from schemas.records import Kind, Raw

_log = structlog.get_logger()

Ticket = asyncio.Future[None]
"""Done when a record is kept.

That is: raw has acknowledged it, on every in-sync replica; or, while Kafka is slow or away,
it is fsynced on a disk that outlives this process, its pod and its machine's power
(``ingest.spool.persistent``). On any other disk it raises ``Spooled``. Records that leave
together share one: who may be cancelled awaits it through ``asyncio.shield``.
"""

SLOW_AFTER: Final = 2.0
"""Seconds without an acknowledgement after which records go to disk."""
_LOOK_EVERY: Final = 0.5
_TRY_AGAIN: Final = 1.0
"""Seconds until a disk that took nothing is tried again."""
_SEND_WITHIN: Final = 0.2
_UNSAVED_BYTES: Final = 2**20
"""What may wait for the disk: then whoever brings more waits, too."""
_ON_THEIR_WAY: Final = 2**20
"""Bytes of the spool that are sent before the first of them is acknowledged."""
_LITTLE: Final = 2**18
"""Bytes left on disk for whose sake newcomers wait."""
_ROOM_AGAIN: Final = 0.9
"""Part of the spool that must be in use at most, after it was full, before reading goes on."""
_FULL: Final = frozenset({ENOSPC, EDQUOT, EFBIG})


class Spooled(Exception):
    """On this disk, which may be lost together with this process; raw will have it later."""


class Full(Disconnected):
    """Kafka takes nothing, and the disk nothing more: stop reading, until there is room."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message, AtOnce())
        self.cause = cause  # type: ignore[misc]  # of this one


@dataclass(slots=True)
class _Sent:
    """Records in the outlet's hands, which leave together."""

    raws: list[Raw]
    future: asyncio.Future[object]
    at: float
    ticket: Ticket | None = None
    """None: the ticket of a later record says it for these, or they came from the disk."""
    place: Place | None = None
    """Where they end on the disk."""

    @property
    def size(self) -> int:
        """Return the bytes of the values."""
        return sum(len(raw.value) for raw in self.raws)


class Lane:
    """What is appended leaves in its order."""

    def __init__(
        self,
        name: str,
        spool: Spool,
        outlet: Outlet,
        metrics: FeedMetrics,
        settings: SpoolSection,
    ) -> None:
        self.name = name
        self._spool = spool
        self._outlet = outlet
        self._metrics = metrics
        self._settings = settings
        self._turn = asyncio.Lock()
        self._straight: deque[_Sent] = deque()
        """Sent and not acknowledged; nothing of it is on disk."""
        self._on_disk = spool.size
        self._aside = bool(spool.size)
        """Whether everything goes by way of the disk."""
        self._unsaved: list[tuple[Raw, Ticket | None]] = []
        """None: as they keep their order, the ticket of a later record says it for this one."""
        self._unsaved_bytes = 0
        self._saved = asyncio.Condition(self._turn)
        self._read: deque[tuple[Place, Raw]] = deque()
        self._sent: deque[_Sent] = deque()
        """From the disk, and not acknowledged."""
        self._sent_bytes = 0
        self._carried: deque[asyncio.Future[object]] = deque()
        """Of the first records on disk: they were sent before they were saved."""
        self._wake = asyncio.Event()
        self._looked = asyncio.Event()
        self._is_watched = False
        """Whether somebody waits for the lane to be empty: then it looks at once."""
        self._room = asyncio.Event()
        self._room.set()
        self._full: Full | None = None
        self._saving_fails_until = 0.0
        self._aside_since = monotonic()

    # ---- appending ------------------------------------------------------------------

    async def append(self, raw: Raw) -> Ticket:
        """Hand a record over, and return its ticket.

        Waits while too many bytes are on their way. Raises ``Full`` for a frame, and for
        no mark, where neither Kafka nor the disk takes anything.
        """
        ticket = self._goes_straight(raw)
        if ticket is not None:
            return ticket
        ticket = _ticket()
        async with self._turn:
            while self._aside and self._unsaved_bytes > _UNSAVED_BYTES and not self._full:
                await self._saved.wait()
            if self._aside or not await self._send(raw, ticket):
                self._put(raw, ticket)
        return ticket

    async def room(self) -> None:
        """Wait until frames are taken again."""
        await self._room.wait()

    def _goes_straight(self, raw: Raw) -> Ticket | None:
        """Send a record without a wait, where nothing waits: so it is nearly always."""
        if self._aside or self._turn.locked():
            return None
        try:
            future = self._outlet.take(raw)
        except Away:
            return None
        if future is None:
            return None
        last = self._straight[-1] if self._straight else None
        if last is not None and last.future is future and last.ticket is not None:
            last.raws.append(raw)
            return last.ticket
        ticket = _ticket()
        self._follow(_Sent([raw], future, monotonic(), ticket))
        return ticket

    async def _send(self, raw: Raw, ticket: Ticket | None) -> bool:
        """Send a record straight; where that takes too long, turn aside and return False."""
        try:
            async with asyncio.timeout(SLOW_AFTER):
                future = await self._outlet.send(raw)
        except (TimeoutError, Away):
            self._turn_aside()
            return False
        self._follow(_Sent([raw], future, monotonic(), ticket))
        return True

    def _follow(self, sent: _Sent) -> None:
        """Those of one batch share a future, which needs to tell us once."""
        if not self._straight or self._straight[-1].future is not sent.future:
            sent.future.add_done_callback(self._settle)
        self._straight.append(sent)

    def _settle(self, _: asyncio.Future[object]) -> None:
        """Do what follows from an acknowledgement, or from a refusal."""
        acknowledged = self._acknowledged(self._straight)
        for sent in acknowledged:
            if sent.ticket and not sent.ticket.done():
                sent.ticket.set_result(None)
        # Else the lane finds out when it looks: no acknowledgement need wake it.
        if self._aside or self._is_watched or not acknowledged:
            self._wake.set()

    def _acknowledged(self, queue: deque[_Sent]) -> list[_Sent]:
        """Take those that raw has from the head of a queue, and count them."""
        found: list[_Sent] = []
        while queue and _is_acknowledged(queue[0].future):
            found.append(queue.popleft())
        if not found:
            return found
        for kind, count in Counter(raw.kind for sent in found for raw in sent.raws).items():
            self._metrics.records[kind].inc(count)
        self._metrics.bytes.inc(sum(sent.size for sent in found))
        return found

    def _put(self, raw: Raw, ticket: Ticket) -> None:
        """Leave a record for the disk. A mark always finds room: it tells of the hole."""
        size = len(raw.value)
        if raw.kind is Kind.FRAME:
            if self._on_disk + self._unsaved_bytes + size > self._settings.max_bytes:
                self._is_full("spool_full", f"{self._settings.max_bytes} bytes wait on disk")
            if self._full:
                raise self._full
        self._unsaved.append((raw, ticket))
        self._unsaved_bytes += size
        self._wake.set()

    def _is_full(self, cause: str, why: str) -> None:
        if self._full is None:
            self._room.clear()
            self._full = Full(f"kafka takes nothing, and {why}: reading stops", cause)
            self._metrics.full.set(1)
            _log.error(
                "the spool is full: reading stops until there is room", feed=self.name, reason=why
            )

    def _look_for_room(self) -> None:
        self._on_disk = self._spool.size
        used = self._on_disk + self._unsaved_bytes
        if self._full and used <= self._settings.max_bytes * _ROOM_AGAIN:
            self._full = None
            self._room.set()
            self._metrics.full.set(0)
            _log.info("there is room: reading goes on", feed=self.name)

    def _turn_aside(self) -> None:
        """From here on everything goes by way of the disk, first of all what was sent."""
        self._aside = True
        self._aside_since = monotonic()
        _log.warning("kafka is slow or away: records wait on disk", feed=self.name)
        for sent in self._straight:
            *others, last = sent.raws
            self._unsaved += [*((raw, None) for raw in others), (last, sent.ticket)]
            self._unsaved_bytes += sent.size
            self._carried.extend([sent.future] * len(sent.raws))
        self._straight.clear()
        self._wake.set()

    # ---- by way of the disk ---------------------------------------------------------

    async def run(self) -> None:
        """Look after the lane until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._wake.wait()
            self._wake.clear()
            if not self._aside and self._is_stuck:
                async with self._turn:
                    if self._is_stuck:
                        self._turn_aside()
            if self._aside:
                try:
                    await self._work()
                except OSError as error:
                    raise OperatorError(
                        f"the spool of {self.name} cannot be read ({error}); look at its disk"
                    ) from error
            self._show()
            self._looked.set()

    @property
    def _is_stuck(self) -> bool:
        if not self._straight:
            return False
        first = self._straight[0]
        if first.future.done():
            return _is_refused(first.future)
        return monotonic() - first.at > SLOW_AFTER

    async def _work(self) -> None:
        await self._save()
        moved = await self._drain()
        if self._outlet.is_away or (self._carried and not self._carried[0].done()):
            return
        if self._is_drained or (moved and self._left <= _LITTLE):
            async with self._turn:
                await self._return()

    @property
    def _left(self) -> int:
        """Return the bytes on disk that were not sent."""
        return self._spool.unread + sum(len(raw.value) for _, raw in self._read)

    @property
    def _is_drained(self) -> bool:
        return not (self._sent or self._read or self._spool.unread)

    async def _return(self) -> None:
        """Reach the end while nobody appends, and go straight again."""
        while not self._is_drained:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._wake.wait()
            self._wake.clear()
            if not await self._drain():
                return
        await asyncio.to_thread(self._spool.clear)
        self._aside = False
        _log.info(
            "kafka took everything that waited on disk",
            feed=self.name,
            seconds=round(monotonic() - self._aside_since, 1),
        )
        waiting, self._unsaved, self._unsaved_bytes = self._unsaved, [], 0
        for raw, ticket in waiting:
            if self._aside or not await self._go_on(raw, ticket):
                self._unsaved.append((raw, ticket))
                self._unsaved_bytes += len(raw.value)
        self._look_for_room()
        self._saved.notify_all()

    async def _go_on(self, raw: Raw, ticket: Ticket | None) -> bool:
        if self._carried and _is_refused(self._carried[0]):
            self._carried.clear()  # Nothing was sent behind it: they all begin again.
        if not self._carried:
            return await self._send(raw, ticket)
        self._follow(_Sent([raw], self._carried.popleft(), monotonic(), ticket))
        return True

    async def _save(self) -> None:
        if not self._unsaved or monotonic() < self._saving_fails_until:
            return
        batch = self._unsaved.copy()
        try:
            await asyncio.to_thread(self._spool.write, [raw for raw, _ in batch])
        except OSError as error:
            self._saving_fails_until = monotonic() + _TRY_AGAIN
            cause = "spool_full" if error.errno in _FULL else "broker_down"
            self._is_full(cause, f"the disk does not either ({error.strerror})")
        else:
            self._unsaved = self._unsaved[len(batch) :]
            self._unsaved_bytes = sum(len(raw.value) for raw, _ in self._unsaved)
            for _, ticket in batch:
                self._kept(ticket)
            self._look_for_room()
        async with self._turn:
            self._saved.notify_all()

    def _kept(self, ticket: Ticket | None) -> None:
        if ticket is None or ticket.done():
            return
        if self._settings.persistent:
            ticket.set_result(None)
        else:
            ticket.set_exception(Spooled())
            ticket.exception()  # Who does not ask need not be told.

    async def _drain(self) -> bool:
        """Send what there is room for, forget what was acknowledged; return whether any was."""
        while await self._send_next():
            pass
        acknowledged = self._acknowledged(self._sent)
        self._sent_bytes -= sum(sent.size for sent in acknowledged)
        place = acknowledged[-1].place if acknowledged else None
        if place:
            await asyncio.to_thread(self._spool.acknowledge, place)
            self._look_for_room()
            self._wake.set()
        elif self._sent and self._sent[0].future.done():
            self._begin_again()
        return place is not None

    def _begin_again(self) -> None:
        """Send anew what was not acknowledged: the producer that had it broke."""
        self._sent.clear()
        self._sent_bytes = 0
        self._read.clear()
        self._carried.clear()
        self._spool.rewind()

    async def _send_next(self) -> bool:
        if self._sent_bytes >= _ON_THEIR_WAY:
            return False
        if not self._read:
            self._read.extend(await asyncio.to_thread(self._spool.read))
        if not self._read:
            return False
        place, raw = self._read[0]
        future = await self._sent_already(raw)
        if future is None:
            return False
        self._read.popleft()
        self._sent.append(_Sent([raw], future, monotonic(), place=place))
        self._sent_bytes += len(raw.value)
        future.add_done_callback(self._settle)
        return True

    async def _sent_already(self, raw: Raw) -> asyncio.Future[object] | None:
        """Return when raw will have acknowledged a record; None where it cannot be sent now."""
        if self._carried:
            return self._carried.popleft()
        try:
            async with asyncio.timeout(_SEND_WITHIN):
                return await self._outlet.send(raw)
        except (TimeoutError, Away):
            return None

    # ---- the end, and figures -------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Return whether raw has acknowledged everything."""
        return not (self._aside or self._straight)

    async def until_empty(self) -> None:
        """Wait until raw has acknowledged everything."""
        while not self.is_empty:
            await self._look()

    async def until_saved(self) -> None:
        """Wait until everything is in raw or on disk."""
        while self._straight or self._unsaved:
            await self._look()

    async def _look(self) -> None:
        self._is_watched = True
        self._looked.clear()
        await self._looked.wait()

    async def close(self) -> None:
        """Let go of the disk; what is on it stays for the next process."""
        async with self._turn:
            await asyncio.to_thread(self._spool.close)

    def _show(self) -> None:
        self._metrics.spool_bytes.set(self._on_disk)
        oldest = next(self._waiting(), None)
        self._metrics.spool_age.set(time() - oldest.received_at / 1_000_000 if oldest else 0)

    def _waiting(self) -> Iterator[Raw]:
        """Yield what is known of what waits on disk, oldest first."""
        yield from (raw for sent in self._sent for raw in sent.raws)
        yield from (raw for _, raw in self._read)
        yield from (raw for raw, _ in self._unsaved)


def _ticket() -> Ticket:
    return asyncio.get_running_loop().create_future()


def _is_acknowledged(future: asyncio.Future[object]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _is_refused(future: asyncio.Future[object]) -> bool:
    return future.done() and not _is_acknowledged(future)

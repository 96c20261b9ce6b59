"""The records of one connection or REST loop: numbered, appended, told when acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from time import time, time_ns
from typing import Protocol

import msgspec
import structlog

from ingest.credentials import struck
from ingest.feed import Call, Cursor, Feed, Keep
from ingest.lane import Spooled, Ticket
from ingest.metrics import FeedMetrics
from schemas.records import Closed, Kind, Micros, Raw, Recovered, Via

_log = structlog.get_logger()


@dataclass(slots=True)
class Landed:
    """Records of one connection that raw has, or a disk from which they go to raw."""

    kinds: set[Kind] = field(default_factory=set)
    is_useful: bool = False
    """Whether a frame is among them that proves a good connection."""
    cursor: Cursor | None = None
    """Their furthest. Another process reads its cursors from raw, and so begins behind none."""

    def add(self, kind: Kind, frame: Keep | None, cursor: Cursor | None) -> None:
        self.kinds.add(kind)
        self.is_useful = self.is_useful or (frame is not None and frame.useful)
        if cursor and (self.cursor is None or cursor > self.cursor):
            self.cursor = cursor


Acknowledged = Callable[[Landed], None]


class Log(Protocol):
    """Where raw records go, in order, and are found again: ``raw_log`` says the details."""

    reached: asyncio.Event
    """Set once raw can be read."""

    async def append(self, raw: Raw) -> Ticket: ...
    async def room(self, provider: str, account: str) -> None: ...
    def tail(self, provider: str, account: str) -> AsyncIterator[list[Raw]]: ...


@dataclass(slots=True, kw_only=True)
class RawJournal:
    """Frames and marks share one numbering, so that their order is never in doubt."""

    raw_log: Log
    feed: Feed
    account: str
    environment: str
    connection: str
    metrics: FeedMetrics
    acknowledged: Acknowledged
    secrets: Mapping[str, str] = field(repr=False)
    _sequence: Iterator[int] = field(default_factory=count, init=False)
    _ticket: Ticket | None = field(default=None, init=False)
    """Of the newest record, and of those before it that left together with it: ``_landing``."""
    _landing: Landed = field(default_factory=Landed, init=False)
    _is_whole: bool = field(init=False)
    """Whether raw holds everything that came before the next frame."""

    def __post_init__(self) -> None:
        self._is_whole = self.feed.rest is None or self.feed.rest.cursor is None

    async def keep(self, frame: Keep, received_at: Micros) -> None:
        value = frame.frame.encode() if isinstance(frame.frame, str) else frame.frame
        await self._append(Kind.FRAME, value, received_at, frame)

    async def page(self, call: Call, body: bytes, received_at: Micros) -> None:
        """Append an answer of REST under the name of its call."""
        await self._append(Kind.FRAME, body, received_at, call=call)

    async def mark(self, kind: Kind, received_at: Micros, why: Closed | None = None) -> None:
        self._show(kind)
        body = b"{}"
        if why is not None:
            safe = Closed(why.cause, struck(why.detail, self.secrets))
            body = msgspec.json.encode(safe)
        await self._append(kind, body, received_at)

    async def recovered(self, told: Recovered) -> None:
        """Say what was read back. From here on, where it is all, frames move the cursor."""
        await self._append(Kind.RECOVERED, msgspec.json.encode(told), time_ns() // 1000)
        self._is_whole = self._is_whole or told.complete

    def report(self, text: str) -> None:
        self.metrics.reports.inc()
        feed = f"{self.feed.provider}/{self.account}"
        _log.warning("the provider reports", feed=feed, text=struck(text, self.secrets))

    async def _append(
        self,
        kind: Kind,
        value: bytes,
        received_at: Micros,
        frame: Keep | None = None,
        call: Call | None = None,
    ) -> None:
        raw = Raw(
            provider=self.feed.provider,
            account=self.account,
            environment=self.environment,
            via=call.via if call else Via.SOCKET,
            route=call.route if call else self.feed.route,
            kind=kind,
            connection=self.connection,
            sequence=next(self._sequence),
            received_at=received_at,
            value=value,
        )
        read = self.feed.cursor if self._is_whole else None
        cursor = read(frame.frame) if frame and read else None
        ticket = await self.raw_log.append(raw)
        if ticket is not self._ticket:
            self._ticket, self._landing = ticket, Landed()
            ticket.add_done_callback(partial(self._settled, self._landing))
        self._landing.add(kind, frame, cursor)

    def _settled(self, landed: Landed, ticket: Ticket) -> None:
        if ticket.cancelled() or not isinstance(ticket.exception(), Spooled | None):
            return
        self.acknowledged(landed)

    def _show(self, kind: Kind) -> None:
        match kind:
            case Kind.OPENED:
                self.metrics.connected.set(1)
                self.metrics.connected_since.set(time())
                _log.info("connected", feed=f"{self.feed.provider}/{self.account}")
            case Kind.CLOSED:
                self.metrics.connected.set(0)
                self.metrics.connected_since.set(0)
            case _:
                pass

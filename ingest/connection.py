"""The only loop in which a feed meets a socket."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from math import inf
from time import time_ns
from typing import Protocol

from ingest.feed import (
    Address,
    Answered,
    Await,
    Beat,
    Close,
    Dialect,
    Effect,
    End,
    FeedError,
    Frame,
    Keep,
    Live,
    Refusal,
    Report,
    Send,
)
from ingest.patience import Patience
from ingest.pulse import Pulse
from ingest.wire import Wire
from schemas.records import Closed, Kind, Micros

Dial = Callable[[Address], AbstractAsyncContextManager[Wire | Refusal]]

ALIVE_EVERY = 10.0
"""Seconds without a record after which the next sign of life is recorded."""
_DRAIN_WITHIN = 1.0
"""Seconds for what had arrived when we were asked to stop."""


class Journal(Protocol):
    """Where the records of one connection go, in the order in which they are given.

    Both wait while too many bytes are on their way to Kafka.
    """

    async def keep(self, frame: Keep, received_at: Micros) -> None: ...
    async def mark(self, kind: Kind, received_at: Micros, why: Closed | None = None) -> None: ...
    def report(self, text: str) -> None: ...


async def follow(
    address: Address, dialect: Dialect, *, dial: Dial, journal: Journal, patience: Patience
) -> None:
    """Follow one connection until it ends, which is a ``FeedError``, or until a stop is asked.

    What comes next is read once this is in the journal's hands, so a slow broker holds the
    provider back instead of growing a queue here.
    """
    async with AsyncExitStack() as stack:
        wire = await patience.wait(stack.enter_async_context(dial(address)))
        match wire:
            case None:
                return
            case Refusal():
                raise dialect.refused(wire)
            case _:
                await _Conversation(wire, dialect, journal, patience).run()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _micros() -> Micros:
    return time_ns() // 1000


def _pulse() -> Pulse:
    return Pulse(quiet_since=_now())


@dataclass(slots=True)
class _Conversation:
    """One open connection."""

    wire: Wire
    dialect: Dialect
    journal: Journal
    patience: Patience
    pulse: Pulse = field(default_factory=_pulse)
    heard_at: float = field(default_factory=_now)
    """When the provider last said anything, or answered a ping."""
    left_at: float = field(default_factory=_now)
    """When we last stopped listening."""
    recorded_at: float = inf
    """When the last record that proves life was heard; infinite until live."""

    async def run(self) -> None:
        try:
            await self._perform(self.dialect.opened())
            while not self.patience.stopped:
                await self._turn()
            await self._drain()
        except FeedError as error:
            await self._ended(Closed(error.cause, str(error)))
            raise
        await self._ended(Closed("stopped"))

    async def _turn(self) -> None:
        for heard in await self._heard():
            if isinstance(heard, Close):
                raise self.dialect.closed(heard)
            await self._perform(self.dialect.received(heard))
        await self._ask()  # After frames, too: one that talks all the time is asked as well.
        await self._prove()

    async def _drain(self) -> None:
        """Keep what has arrived already: some providers tell nothing twice."""
        until = _now() + _DRAIN_WITHIN
        while _now() < until and (here := await self._heard()):
            for heard in here:
                if isinstance(heard, Close):
                    return
                await self._perform(self.dialect.received(heard))

    async def _heard(self) -> list[Frame | Close]:
        """Return what came, all of it; nothing when it is time to look at the clock."""
        self.pulse.excuse(_now() - self.left_at)
        heard = await self.patience.wait(self.wire.recv(), self.pulse.wake_at())
        self.left_at = _now()
        if heard is None:
            return []
        self._alive()
        return heard

    async def _ask(self) -> None:
        if self.pulse.is_overdue(self.left_at):
            await self._perform(self.dialect.overdue())
        beat = self.pulse.asks(self.left_at)
        if beat is None:
            return
        if beat.text is not None:
            await self.wire.send(beat.text)
        else:
            pong = await self.wire.ping()
            pong.add_done_callback(self._answered)

    def _alive(self) -> None:
        self.heard_at = _now()
        self.pulse.heard(self.heard_at)

    def _answered(self, _pong: asyncio.Future[None]) -> None:
        self._alive()
        self.patience.cut()

    async def _prove(self) -> None:
        """Record a sign of life where nothing else was recorded for a while.

        It bears the time at which it was heard: a hole begins there, not where we looked.
        """
        if self.heard_at - self.recorded_at < ALIVE_EVERY:
            return
        self.recorded_at = self.heard_at
        ago = round((_now() - self.recorded_at) * 1_000_000)
        await self.journal.mark(Kind.ALIVE, _micros() - ago)

    async def _perform(self, effects: Iterable[Effect]) -> None:
        received_at = _micros()
        for effect in effects:
            match effect:
                case Keep():
                    await self._keep(effect, received_at)
                case Send(frame):
                    await self.wire.send(frame)
                case Beat():
                    self.pulse.begin(effect, _now())
                case Answered():
                    self.pulse.answered()
                case Await():
                    self.pulse.awaiting(effect, _now())
                case Live():
                    await self._live()
                case Report(text):
                    self.journal.report(text)
                case End(error):
                    raise error

    async def _keep(self, frame: Keep, received_at: Micros) -> None:
        if self.recorded_at != inf:
            self.recorded_at = self.heard_at
        await self.journal.keep(frame, received_at)

    async def _live(self) -> None:
        self.pulse.awaiting(None, _now())
        if self.recorded_at == inf:
            self.recorded_at = _now()
            await self.journal.mark(Kind.OPENED, _micros())

    async def _ended(self, closed: Closed) -> None:
        if self.recorded_at != inf:
            await self.journal.mark(Kind.CLOSED, _micros(), closed)

"""The gate between a new connection and raw: frames wait until REST has told the state.

What is told of an order that nobody knows yet would else come before the order itself, and
what happened now before what we had missed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import time_ns
from typing import Protocol

from ingest.connection import Journal
from ingest.feed import Done, Keep, Rest
from schemas.records import Closed, Kind, Micros, Recovered

HOLD_BYTES = 4 * 2**20
"""What may wait: then it flows, hydrated or not, as it would without a gate."""


class Marked(Journal, Protocol):
    """A journal of a connection that can be read back."""

    async def recovered(self, told: Recovered) -> None: ...


class Rounds(Protocol):
    """The rounds of REST, as a new connection sees them."""

    rest: Rest
    bearer: Marked | None
    """The connection that was read back: its frames go on from what a later round tells."""

    def begin(self) -> asyncio.Future[Done]:
        """Ask for a round that begins from now on, at once."""
        ...

    def following(self) -> asyncio.Future[Done]:
        """Return how the next of the regular rounds ended."""
        ...


@asynccontextmanager
async def gated(journal: Marked, rounds: Rounds) -> AsyncIterator[Journal]:
    """Yield the journal of a new connection, whose frames wait for a round of REST."""
    gate = _Gate(journal)
    hydrating = asyncio.create_task(_hydrate(gate, rounds))
    gate.hydrating = hydrating
    try:
        yield gate
    finally:
        rounds.bearer = None
        hydrating.cancel()
        with suppress(asyncio.CancelledError):
            await hydrating


async def _hydrate(gate: "_Gate", rounds: Rounds) -> None:
    await gate.opened.wait()
    ended = rounds.begin()
    await asyncio.wait({ended}, timeout=rounds.rest.holds)
    if not ended.done():
        await gate.release()
    is_said = False
    while not (done := await ended).whole:
        ended = rounds.following()  # Before anything is awaited: it may begin at once.
        await gate.release()
        if done.recovered and not is_said:
            is_said = True
            await gate.journal.recovered(done.recovered)
    await gate.settle(done, is_state=rounds.rest.hydrates)
    rounds.bearer = gate.journal


@dataclass(slots=True)
class _Gate:
    """A journal that holds frames back; whatever ends the wait, they leave in their order."""

    journal: Marked
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    hydrating: asyncio.Task[None] | None = None
    _held: deque[tuple[Keep | None, Micros]] = field(default_factory=deque)
    """Frames, and None for an ``alive`` mark among them."""
    _bytes: int = 0
    _is_open: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def keep(self, frame: Keep, received_at: Micros) -> None:
        if self.hydrating and self.hydrating.done():
            self.hydrating.result()  # Raises what is wrong with raw.
        if self._is_open:
            await self.journal.keep(frame, received_at)
        else:
            await self._hold(frame, received_at)

    async def mark(self, kind: Kind, received_at: Micros, why: Closed | None = None) -> None:
        if kind is Kind.ALIVE and self._held:
            # Written before them it would say that they cannot be missing.
            await self._hold(None, received_at)
            return
        if kind is Kind.CLOSED:
            await self.release()
        await self.journal.mark(kind, received_at, why)
        if kind is Kind.OPENED:
            self.opened.set()

    def report(self, text: str) -> None:
        self.journal.report(text)

    async def settle(self, done: Done, *, is_state: bool) -> None:
        """Say what is known from here on, and let go."""
        async with self._turn:
            if is_state:
                await self.journal.mark(Kind.HYDRATED, time_ns() // 1000)
            await self._drain()
            if done.recovered:
                await self.journal.recovered(done.recovered)

    async def release(self) -> None:
        async with self._turn:
            await self._drain()

    async def _hold(self, frame: Keep | None, received_at: Micros) -> None:
        async with self._turn:
            self._held.append((frame, received_at))
            self._bytes += len(frame.frame) if frame else 0
            if self._is_open or self._bytes > HOLD_BYTES:
                await self._drain()

    async def _drain(self) -> None:
        while self._held:
            frame, received_at = self._held.popleft()
            if frame is None:
                await self.journal.mark(Kind.ALIVE, received_at)
            else:
                await self.journal.keep(frame, received_at)
        self._is_open = True

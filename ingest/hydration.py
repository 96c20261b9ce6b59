"""The gate between a new connection and raw: frames wait until REST has told the state.

What is told of an order that nobody knows yet would else come before the order itself.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import time_ns

from ingest.connection import Journal
from ingest.feed import Keep
from schemas.records import Closed, Kind, Micros

HOLD_SECONDS = 10.0
HOLD_BYTES = 4 * 2**20
"""What may wait: then it flows, hydrated or not, as it would without a gate."""

Round = Callable[[], asyncio.Future[bool]]
"""Returns when the next round that begins from now on ended, and whether it was whole."""


@asynccontextmanager
async def gated(journal: Journal, begin: Round, following: Round) -> AsyncIterator[Journal]:
    """Yield the journal of a new connection, whose frames wait for a round of REST.

    ``begin`` asks for a round at once, ``following`` waits for the regular ones.
    """
    gate = _Gate(journal)
    hydrating = asyncio.create_task(_hydrate(gate, begin, following))
    gate.hydrating = hydrating
    try:
        yield gate
    finally:
        hydrating.cancel()
        with suppress(asyncio.CancelledError):
            await hydrating


async def _hydrate(gate: "_Gate", begin: Round, following: Round) -> None:
    await gate.opened.wait()
    ended = begin()
    await asyncio.wait({ended}, timeout=HOLD_SECONDS)
    if not ended.done():
        await gate.release()
    while not await ended:
        await gate.release()
        ended = following()
    await gate.hydrated()


@dataclass(slots=True)
class _Gate:
    """A journal that holds frames back; whatever ends the wait, they leave in their order."""

    journal: Journal
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    hydrating: asyncio.Task[None] | None = None
    _held: deque[tuple[Keep, Micros]] = field(default_factory=deque)
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
        if kind is Kind.OPENED:
            await self.journal.mark(kind, received_at, why)
            self.opened.set()
            return
        await self.release()
        await self.journal.mark(kind, received_at, why)

    def report(self, text: str) -> None:
        self.journal.report(text)

    async def hydrated(self) -> None:
        """Say that the state is known from here on, and let go."""
        async with self._turn:
            await self.journal.mark(Kind.HYDRATED, time_ns() // 1000)
            await self._drain()

    async def release(self) -> None:
        async with self._turn:
            await self._drain()

    async def _hold(self, frame: Keep, received_at: Micros) -> None:
        async with self._turn:
            self._held.append((frame, received_at))
            self._bytes += len(frame.frame)
            if self._is_open or self._bytes > HOLD_BYTES:
                await self._drain()

    async def _drain(self) -> None:
        while self._held:
            await self.journal.keep(*self._held.popleft())
        self._is_open = True

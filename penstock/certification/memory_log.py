"""A raw log in memory: a connector is certified without Kafka, and its broker may be slow."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from hashlib import sha256

from ingest.lane import Ticket
from ingest.outlet import IN_FLIGHT_BYTES
from schemas.records import Kind, Raw, Via


class MemoryLog:
    """Records in the order in which they came, acknowledged at once, or when they are let go.

    As the real one does, ``append`` waits while too many bytes are not acknowledged.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.reached = asyncio.Event()
        self.reached.set()
        self.records: list[Raw] = []
        self.digests: list[str] = []
        """SHA-256 of each of ``frames``."""
        self.is_full = False
        """Whether somebody was made to wait since it was held."""
        self.most_in_flight = 0
        self.changed = changed
        self._most = IN_FLIGHT_BYTES
        self._holds = False
        self._in_flight = 0
        self._held: deque[tuple[Ticket, int]] = deque()
        self._room = asyncio.Event()

    async def append(self, raw: Raw) -> Ticket:
        size = len(raw.value)
        while self._in_flight and self._in_flight + size > self._most:
            self._room.clear()
            self.is_full = True
            self.changed()
            await self._room.wait()
        self._keep(raw)
        ticket: Ticket = asyncio.get_running_loop().create_future()
        self._held.append((ticket, size))
        self._in_flight += size
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        if not self._holds:
            self._acknowledge()
        self.changed()
        return ticket

    async def room(self, _provider: str, _account: str) -> None: ...

    def _keep(self, raw: Raw) -> None:
        self.records.append(raw)
        if raw.kind is Kind.FRAME and raw.via is Via.SOCKET:
            self.digests.append(sha256(raw.value).hexdigest())

    async def tail(self, _provider: str, _account: str) -> AsyncIterator[list[Raw]]:
        yield list(self.records)

    def hold(self, most: int) -> None:
        """Acknowledge nothing from now on, and take at most so many bytes."""
        self._holds, self._most, self.is_full, self.most_in_flight = True, most, False, 0

    def let_go(self) -> None:
        self._holds, self._most = False, IN_FLIGHT_BYTES
        self._acknowledge()

    def _acknowledge(self) -> None:
        while self._held:
            ticket, size = self._held.popleft()
            self._in_flight -= size
            if not ticket.cancelled():
                ticket.set_result(None)
        self._room.set()

    # ---- reading it ------------------------------------------------------------------

    def marks(self, kind: Kind) -> list[Raw]:
        return [raw for raw in self.records if raw.kind is kind]

    def frames(self) -> list[Raw]:
        """Return what came by the socket."""
        return [raw for raw in self.told() if raw.kind is Kind.FRAME]

    def told(self) -> list[Raw]:
        """Return frames of the socket, and marks about it."""
        return [raw for raw in self.records if raw.via is Via.SOCKET]

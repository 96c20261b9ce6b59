"""A raw log whose process can be killed at any record."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from ingest.errors import OperatorError
from ingest.raw_log import Ticket
from schemas.records import Kind, Raw


@dataclass
class MortalLog:
    """Takes so many records, and then no more; what it took is there for the next process."""

    records: list[Raw] = field(default_factory=list)
    lives: int = 2**30
    more: asyncio.Event = field(default_factory=asyncio.Event)
    died: asyncio.Event = field(default_factory=asyncio.Event)

    async def room(self, _provider: str, _account: str) -> None: ...

    @property
    def reached(self) -> asyncio.Event:
        reached = asyncio.Event()
        reached.set()
        return reached

    async def append(self, raw: Raw) -> Ticket:
        if self.lives == 0:
            self.died.set()
            raise OperatorError("killed")
        self.lives -= 1
        self.records.append(raw)
        self.more.set()
        ticket: Ticket = asyncio.get_running_loop().create_future()
        ticket.set_result(None)
        return ticket

    async def tail(self, _provider: str, _account: str) -> AsyncIterator[list[Raw]]:
        yield list(self.records)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.more.clear()
                await self.more.wait()

    async def until_recovered(self) -> None:
        """Until the mark of the connection, behind those of the windows."""
        await self.until(lambda: self.of_the_last_connection()[-1:] == [Kind.RECOVERED])

    def of_the_last_connection(self) -> list[Kind]:
        opened = [raw.connection for raw in self.records if raw.kind is Kind.OPENED]
        return [raw.kind for raw in self.records if [raw.connection] == opened[-1:]]

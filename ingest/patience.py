"""Waits that others may cut short.

A task that is cancelled may lose the frame in its hands. So a stop is asked for, and is
heard only where the task waits: for the provider, or for the time of the next dial.
"""

import asyncio
from collections.abc import Awaitable
from math import inf
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """The waits of one task, one at a time."""

    def __init__(self) -> None:
        self.stopped = False
        self._limit: asyncio.Timeout | None = None
        self._part: Patience | None = None

    def part(self) -> "Patience":
        """Return patience that may be stopped by itself, and is stopped with this one."""
        self._part = Patience()
        self._part.stopped = self.stopped
        return self._part

    async def wait(self, awaitable: Awaitable[T], until: float = inf) -> T | None:
        """Return the result, or None if it was not there at ``until`` or the wait was cut.

        ``until`` is a time of the event loop. What is awaited is cancelled, and must not
        raise ``TimeoutError`` itself.
        """
        try:
            async with asyncio.timeout_at(0 if self.stopped else until) as self._limit:
                return await awaitable
        except TimeoutError:
            return None
        finally:
            self._limit = None

    async def pause(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        await self.wait(asyncio.Event().wait(), until)

    def cut(self) -> None:
        """End the wait of this moment, if there is one."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(0)

    def stop(self) -> None:
        """End the wait of this moment, and every later one as soon as it begins."""
        self.stopped = True
        self.cut()
        if self._part is not None:
            self._part.stop()

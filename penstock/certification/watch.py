"""Waiting for what a case expects, with a limit and a sentence for when it does not come."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Failed(Exception):
    """A case did not go as it must: what was expected, and what was found."""


class NotRun(Exception):
    """A case could not be judged here: why."""


class Watch:
    """One case's wait: whoever changes something that it may wait for says so."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notice(self) -> None:
        self._changed.set()

    async def until(self, holds: Callable[[], T], what: str, within: float) -> T:
        """Return what ``holds`` returns once it is true. Raises ``Failed`` after ``within`` s."""
        try:
            async with asyncio.timeout(within):
                while not (found := holds()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise Failed(f"expected {what} within {within:g} s") from None
        return found

"""One key, one request at a time, each with a larger number than the last."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from schemas.records import Micros

_LEAP: Final = 1_000_000
"""What a number that was written down is raised by: more requests than could have followed it."""


@dataclass(slots=True)
class Turn:
    """The numbers of one key: microseconds of the clock, and never less than one more.

    A clock that steps back only makes them count on by one.
    """

    last: int = 0
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    def number(self, now: Micros) -> int:
        """Return the number of the next request."""
        self.last = max(now, self.last + 1)
        return self.last

    def resume(self, written: int) -> None:
        """Go on after a number that an earlier process wrote down."""
        self.last = max(self.last, written + _LEAP if written else 0)

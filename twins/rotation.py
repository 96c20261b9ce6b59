"""A credential that is replaced while it is in use, as an operator does at a provider's console."""

from collections.abc import Callable


class Rotation:
    """The credential of now, and for a while the one before."""

    def __init__(self, first: str, clock: Callable[[], float]) -> None:
        self.current = first
        self._stem, self._clock, self._count = first, clock, 1
        self._previous, self._until = first, 0.0

    def replace(self, overlap_s: float) -> str:
        """Return a new credential; the old one is good for so many seconds more."""
        self._previous, self._until = self.current, self._clock() + overlap_s
        self._count += 1
        self.current = f"{self._stem}-{self._count}"
        return self.current

    def is_good(self, told: str | None) -> bool:
        return told == self.current or (told == self._previous and self._clock() < self._until)

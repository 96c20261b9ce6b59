"""When to ask for a sign of life, and when to give up waiting for one."""

from dataclasses import dataclass
from math import inf

from ingest.feed import Await, Beat, Silent


@dataclass(slots=True, kw_only=True)
class Pulse:
    """The liveness of one connection. It is told the time, and never asks."""

    quiet_since: float
    """When the provider last said anything, or answered a ping, as far as limits go."""
    beat: Beat | None = None
    _steady_since: float = 0.0
    """When a steady beat began, or was asked for last."""
    _asked_at: float | None = None
    """When we last asked, until that is answered."""
    _overdue_at: float = inf

    def begin(self, beat: Beat, now: float) -> None:
        self.beat, self._steady_since = beat, now

    def heard(self, now: float) -> None:
        self.quiet_since = now
        if not self._is_steady:
            self._asked_at = None

    def answered(self) -> None:
        self._asked_at = None

    def awaiting(self, what: Await | None, now: float) -> None:
        self._overdue_at = inf if what is None else now + what.within

    def excuse(self, seconds: float) -> None:
        """Move every limit by a time in which we did not listen: it was not their silence.

        A steady beat is not moved: they did listen, for us.
        """
        self.quiet_since += seconds
        self._overdue_at += seconds
        if self._asked_at is not None:
            self._asked_at += seconds

    def wake_at(self) -> float:
        """Return when ``asks`` or ``is_overdue`` may have something to say."""
        if self.beat is None:
            return self._overdue_at
        if self._asked_at is None:
            return min(self._overdue_at, self._due_at(self.beat))
        return min(self._overdue_at, self._asked_at + self.beat.reply_within)

    def asks(self, now: float) -> Beat | None:
        """Return the beat if it is time to ask. Raises ``Silent`` if nobody answered."""
        if self.beat is None:
            return None
        if self._asked_at is None:
            if now < self._due_at(self.beat):
                return None
            self._asked_at = self._steady_since = now
            return self.beat
        if now >= self._asked_at + self.beat.reply_within:
            since = self._asked_at if self._is_steady else self.quiet_since
            raise Silent(f"no sign of life for {now - since:.0f} s")
        return None

    @property
    def _is_steady(self) -> bool:
        return self.beat is not None and self.beat.steady

    def _due_at(self, beat: Beat) -> float:
        return (self._steady_since if beat.steady else self.quiet_since) + beat.every

    def is_overdue(self, now: float) -> bool:
        """Return once whether what the dialect awaited did not come in time."""
        if now < self._overdue_at:
            return False
        self._overdue_at = inf
        return True

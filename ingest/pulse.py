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
    _asked_at: float | None = None
    _overdue_at: float = inf

    def heard(self, now: float) -> None:
        self.quiet_since = now
        self._asked_at = None

    def awaiting(self, what: Await | None, now: float) -> None:
        self._overdue_at = inf if what is None else now + what.within

    def excuse(self, seconds: float) -> None:
        """Move every limit by a time in which we did not listen: it was not their silence."""
        self.quiet_since += seconds
        self._overdue_at += seconds
        if self._asked_at is not None:
            self._asked_at += seconds

    def wake_at(self) -> float:
        """Return when ``asks`` or ``is_overdue`` may have something to say."""
        if self.beat is None:
            return self._overdue_at
        if self._asked_at is None:
            return min(self._overdue_at, self.quiet_since + self.beat.every)
        return min(self._overdue_at, self._asked_at + self.beat.reply_within)

    def asks(self, now: float) -> Beat | None:
        """Return the beat if it is time to ask. Raises ``Silent`` if nobody answered."""
        if self.beat is None:
            return None
        if self._asked_at is None:
            if now < self.quiet_since + self.beat.every:
                return None
            self._asked_at = now
            return self.beat
        if now >= self._asked_at + self.beat.reply_within:
            raise Silent(f"no sign of life for {now - self.quiet_since:.0f} s")
        return None

    def is_overdue(self, now: float) -> bool:
        """Return once whether what the dialect awaited did not come in time."""
        if now < self._overdue_at:
            return False
        self._overdue_at = inf
        return True

"""How long to wait before the next dial.

Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from dataclasses import dataclass

from ingest.feed import After, AtOnce, BackOff, Doubling, Pause

_FIRST = 1.0
_CAP = 60.0
_AT_ONCE = (0.25, 1.25)
"""Clients that lost one server must not come back in one moment."""
_SPREAD = 0.1
"""Part of a pause that the provider named, added so that accounts do not come back together."""


@dataclass(slots=True)
class Backoff:
    """The pauses of one feed. Randomness comes in, from 0 up to 1."""

    failures: int = 0
    """In a row, since a frame was last kept."""
    _doubled: int = 0

    def kept(self) -> None:
        """Begin anew: a connection that brought something was a good one."""
        self.failures = self._doubled = 0

    def pause(self, policy: Pause, random: float) -> float:
        """Return the seconds until the next dial, and count a failure."""
        self.failures += 1
        match policy:
            case AtOnce() if self.failures == 1:
                low, high = _AT_ONCE
                return low + (high - low) * random
            case AtOnce():
                return self._jittered(random)
            case BackOff(least):
                return max(least, self._jittered(random))
            case After(seconds):
                return seconds * (1 + _SPREAD * random)
            case Doubling(first, most):
                seconds = float(min(most, first * 2 ** min(self._doubled, 16)))
                self._doubled += 1
                return seconds * (1 + _SPREAD * random)

    def _jittered(self, random: float) -> float:
        # The exponent is bounded, so that a year of failures does not overflow a float.
        return float(min(_CAP, _FIRST * 2 ** min(self.failures, 16)) * random)


@dataclass(slots=True)
class Budget:
    """How often one host may be dialled, whatever the accounts: a burst, then a rate."""

    burst: int = 5
    every: float = 1.0
    _paid_until: float = 0.0

    def reserve(self, now: float) -> float:
        """Take one dial, and return the seconds until it may be made."""
        self._paid_until = max(self._paid_until, now) + self.every
        return max(0.0, self._paid_until - self.burst * self.every - now)

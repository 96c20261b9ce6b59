"""How often a caller may ask a twin."""

from collections import defaultdict, deque

from twins.provider import Clock


class Window:
    """At most `count` a caller in `seconds`."""

    def __init__(self, count: int, seconds: float, clock: Clock) -> None:
        self.count = count
        self._seconds, self._clock = seconds, clock
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)

    def wait(self, caller: str) -> float | None:
        """Let one in and return None, or return the seconds until the next may come."""
        taken, now = self._taken[caller], self._clock()
        while taken and taken[0] <= now - self._seconds:
            taken.popleft()
        if len(taken) >= self.count:
            return taken[0] + self._seconds - now
        taken.append(now)
        return None

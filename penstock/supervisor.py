"""Keeps a program running: whoever ends, however, is started again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any, Final

import msgspec

from penstock.child import Child
from penstock.errors import OperatorError
from penstock.leash import Leash

_PAUSE: Final = 0.5
"""Seconds before an ended program is started again."""
_STEADY: Final = 10.0
"""Seconds after which a start counts as having gone well."""
TRIES: Final = 5
"""Ends in a row, none of them steady, that no further start would mend."""


@dataclass(slots=True)
class Supervised:
    """One program under supervision. ``tend`` it often."""

    child: Child
    tries: int = TRIES
    restarts: int = 0
    _started_at: float = 0.0
    _failures: int = 0
    _killed: bool = False
    """By us, which says nothing about whether it can stay up."""

    def start(self) -> None:
        self.child.start()
        self._started_at = monotonic()

    def tend(self) -> None:
        """Start it again if it ended; ``OperatorError`` if it cannot stay up."""
        now = monotonic()
        if self.child.pid is not None or now < self._started_at + _PAUSE:
            return
        excused = self._killed or now > self._started_at + _STEADY
        self._failures = 0 if excused else self._failures + 1
        self._killed = False
        if self._failures == self.tries:
            raise OperatorError(f"{self.child.name} cannot stay up: {self.child.last_words()}")
        self.restarts += 1
        self.start()

    def kill(self) -> None:
        """``kill -9``; ``tend`` starts it again."""
        self._killed = True
        self.child.kill()

    def stop(self) -> None:
        """End it in order, and leave it so."""
        self.child.terminate()

    def told(self, wanted: str) -> dict[str, Any] | None:
        """Return the last JSON line of its log that has this key; None if there is none yet."""
        for line in reversed(self.child.log.read_bytes().splitlines()):
            if wanted.encode() in line and line.startswith(b"{") and line.endswith(b"}"):
                told: dict[str, Any] = msgspec.json.decode(line)
                return told
        return None


def supervised(
    name: str,
    command: Sequence[str],
    log: Path,
    leash: Leash,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> Supervised:
    """Return a program, not started. ``secrets``: variables that it alone gets."""
    return Supervised(
        Child(name, command, log, serves=lambda: True, environment=secrets, leash=leash)
    )

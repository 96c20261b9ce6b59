"""What is on ``open`` only after the round that should have asked about it. No I/O.

An entity told of just before a connection broke is on ``open`` when processors have read it:
a moment later, or after they, or Kafka, were away. The round of the next connection may know
nothing of it, and what became of it meanwhile is told by nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ingest.feed import Known
from schemas.records import Micros, OpenEntity

_APART: Final = 5_000_000
"""Microseconds by which the provider's clock may be ahead of ours."""


@dataclass(slots=True)
class LateOpens:
    """The last round that asked about what is open, and the last one of a new connection."""

    _before: Micros | None = None
    """What opened until then may have changed while nobody listened."""
    _asked: frozenset[str] = frozenset()

    def asked(self, known: Known, *, is_of_a_connection: bool) -> None:
        """Note a round that asked about all of it."""
        if is_of_a_connection:
            self._before = known.now + _APART
        self._asked = frozenset(entity.key for entity in known.opens)

    def are_among(self, opens: Iterable[OpenEntity]) -> bool:
        """Return whether anything is there that should have been asked about."""
        before = self._before
        return before is not None and any(
            entity.since < before and entity.key not in self._asked for entity in opens
        )

"""What a provider tells again, and so may not stay missed once a run has settled. No I/O."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.readings.telling import Again, Expected, Shown

_READ_WITHIN: Final = 10.0
"""Seconds from the end of a hole until a list is read: so long a new connection waits for it."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """All facts of a run, by what is told again of them."""

    facts: Mapping[str, Expected]
    moments: Mapping[str, list[float]]
    """Event id → when it was told, each time; seconds since the epoch."""
    _lives: dict[str, list[Expected]] = field(default_factory=dict)
    _pages: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """List → when one of its rows changed, and which."""

    def __post_init__(self) -> None:
        for event_id, fact in self.facts.items():
            self._lives.setdefault(fact.entity or event_id, []).append(fact)
            if fact.again and fact.again.page:
                row = (self.moments[event_id][0], fact.entity or event_id)
                self._pages.setdefault(fact.again.page, []).append(row)

    def outstanding(self, missing: Mapping[str, float], found: Collection[str]) -> Iterator[str]:
        """Yield the ids, of those that nobody heard, which the provider tells again.

        ``missing``: event id → the end of the hole that it lies in. ``found``: ids on ``events``.
        """
        for event_id, until in missing.items():
            fact = self.facts[event_id]
            if fact.again and self._is_told(fact, fact.again, until, found):
                yield event_id

    def _is_told(self, fact: Expected, again: Again, until: float, found: Collection[str]) -> bool:
        match again.shown:
            case Shown.EACH:
                return self._is_listed(fact, again, until)
            case Shown.STANDING:
                return self._stands(fact) and self._is_listed(fact, again, until)
            case Shown.KNOWN:
                return self._stands(fact) and self._is_open(fact, found)

    def _stands(self, fact: Expected) -> bool:
        """Return whether nothing newer is told of its entity."""
        others = (other for other in self._lives[fact.entity] if other is not fact)
        return all(other.order_key < fact.order_key for other in others)

    def _is_open(self, fact: Expected, found: Collection[str]) -> bool:
        """Return whether we know its entity, as one that is not final."""
        known = [other for other in self._lives[fact.entity] if other.event_id in found]
        return bool(known) and not max(known, key=lambda other: other.order_key).is_final

    def _is_listed(self, fact: Expected, again: Again, until: float) -> bool:
        """Return whether it was still among the rows of its list when that was read."""
        if again.rows is None:
            return True
        told = self.moments[fact.event_id][0]
        behind = {
            row for at, row in self._pages[again.page] if told < at < until + _READ_WITHIN
        } - {fact.entity or fact.event_id}
        return len(behind) < again.rows

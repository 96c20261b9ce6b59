"""Pepay's event log: ids that are positions, replay within a retention, pages both ways.

https://docs-alpha.pepay.io/api-reference/events/list-events
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twins.books import Fact
from twins.provider import Clock

PAGE, LONGEST_PAGE = 50, 100
TYPES = tuple(
    f"{noun}.{what}"
    for noun in ("commerce.order", "invoice", "invoice_payment")
    for what in ("created", "updated")
)

Position = tuple[int, int]  # milliseconds and sequence of an event id
Query = Mapping[str, str]


class Refused(Exception):
    """A request that gets an HTTP error in the provider's words."""

    def __init__(self, status: int, message: str | None = None) -> None:
        self.status, self.message = status, message


@dataclass(frozen=True, slots=True)
class Retention:
    """What `since` can reach: events, seconds, and how many come to those who ask for more."""

    events: int
    seconds: float
    snapshot: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What a listener or a REST call asks for."""

    types: tuple[str, ...]  # names or prefixes that end with a dot; none means all
    about: Query

    def covers(self, fact: Fact) -> bool:
        named = not self.types or any(
            fact.type.startswith(each) if each.endswith(".") else fact.type == each
            for each in self.types
        )
        return named and all(fact.about[name] == value for name, value in self.about.items())


class Log:
    """All events in the order of their ids."""

    def __init__(self, retention: Retention, clock: Clock) -> None:
        self.facts: list[Fact] = []
        self._positions: list[Position] = []
        self._retention, self._clock = retention, clock

    def append(self, fact: Fact) -> None:
        self.facts.append(fact)
        self._positions.append(position(fact.key[0]))

    def find(self, event_id: str) -> Fact:
        """Return the event with this id. Raises Refused."""
        at = bisect_left(self._positions, position(event_id))
        if at == len(self.facts) or self.facts[at].key[0] != event_id:
            raise Refused(404)
        return self.facts[at]

    def after(self, since: Position) -> tuple[list[Fact], bool]:
        """Return what a replay tells, and whether it is whole; else it is the snapshot."""
        begin, retained = bisect_right(self._positions, since), self._first_retained()
        if begin >= retained:
            return self.facts[begin:], True
        return self.facts[max(retained, len(self.facts) - self._retention.snapshot) :], False

    def page(self, query: Query, wish: Wish) -> tuple[list[Fact], bool]:
        """Return a page newest first, and whether there are more beyond it. Raises Refused.

        `ending_before` pages towards the newer: those next to the cursor come first. Nobody
        documents it for Pepay; it is the rule of the API that these names come from.
        """
        limit = _number(query, "limit", PAGE)
        if not 1 <= limit <= LONGEST_PAGE:
            raise Refused(400, "Invalid limit")
        places, upwards = self._span(query), "ending_before" in query
        found = (self.facts[n] for n in (places if upwards else reversed(places)))
        page = _first(limit + 1, found, wish)
        has_more, page = len(page) > limit, page[:limit]
        return page[::-1] if upwards else page, has_more

    def _span(self, query: Query) -> range:
        older, newer = cursor(query, "starting_after"), cursor(query, "ending_before")
        begin = bisect_right(self._positions, newer) if newer else 0
        end = bisect_left(self._positions, older) if older else len(self.facts)
        if "created[gte]" in query:
            begin = max(begin, self._at_second(_number(query, "created[gte]", 0)))
        if "created[lte]" in query:
            end = min(end, self._at_second(_number(query, "created[lte]", 0) + 1))
        return range(begin, end)

    def _at_second(self, second: int) -> int:
        return bisect_left(self._positions, (second * 1000, 0))

    def _first_retained(self) -> int:
        oldest = int((self._clock() - self._retention.seconds) * 1000)
        by_age = bisect_left(self._positions, (oldest, 0))
        return max(len(self.facts) - self._retention.events, by_age)


def position(event_id: str) -> Position:
    """Read `evt_<ms>-<n>`. Raises Refused."""
    ms, _, n = event_id.removeprefix("evt_").partition("-")
    if not (event_id.startswith("evt_") and ms.isdecimal() and n.isdecimal()):
        raise Refused(400, "Invalid event id")
    return int(ms), int(n)


def cursor(query: Query, name: str) -> Position | None:
    """Read an event id from a query. Raises Refused."""
    return position(query[name]) if name in query else None


def wished(query: Query, types: str, ids: Sequence[str]) -> Wish:
    """Read the filters of a query; `types` is the name of the type filter. Raises Refused."""
    asked = tuple(text.removesuffix("*") for text in query.get(types, "").split(",") if text)
    for each in asked:
        if not any(each == known or _is_prefix(each, known) for known in TYPES):
            raise Refused(400, f"Invalid {types} filter")
    return Wish(asked, {name: query[name] for name in ids if name in query})


def _is_prefix(asked: str, known: str) -> bool:
    return asked.endswith(".") and known.startswith(asked)


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise Refused(400, f"Invalid {name}")
    return int(text)


def _first(count: int, facts: Iterable[Fact], wish: Wish) -> list[Fact]:
    found: list[Fact] = []
    for fact in facts:
        if len(found) == count:
            break
        if wish.covers(fact):
            found.append(fact)
    return found

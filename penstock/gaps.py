"""What ``coverage`` says was missed: holes, what closed them, and what is left, by day. No I/O."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from schemas.records import Coverage, Micros

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
HOURS: Final = 24

WHOLE, CLOSED, OPEN = "█", "▒", "·"
"""Marks of one hour in a timeline: nothing missing, read back, something may be missing."""


class Span(NamedTuple):
    """A time, from and to."""

    begin: Micros
    end: Micros


@dataclass(frozen=True, slots=True)
class Hole:
    """One hole of one channel, and what of it nothing has read back."""

    told: Coverage
    left: tuple[Span, ...]
    closed_by: tuple[str, ...]
    """What read some of it back: ``replay``, ``backfill``, ``poll``."""

    @property
    def span(self) -> Span:
        return Span(self.told.from_at, self.told.to_at)


@dataclass(frozen=True, slots=True)
class Day:
    """One account's day, in UTC, that has a hole."""

    day: date
    provider: str
    account: str
    holes: tuple[Hole, ...]
    lasted: Micros
    """How much of the day is over."""

    @property
    def span(self) -> Span:
        begin = _micros(self.day)
        return Span(begin, begin + _DAY)

    @property
    def missing(self) -> Micros:
        """For how long something may be missing on any channel."""
        left = [_within(span, self.span) for hole in self.holes for span in hole.left]
        return sum(span.end - span.begin for span in _merged(left))

    @property
    def completeness(self) -> float:
        """Percent of the day in which nothing can be missing."""
        return 100 * (1 - self.missing / self.lasted) if self.lasted else 100.0

    @property
    def timeline(self) -> str:
        """One mark for each hour."""
        begin, width = self.span.begin, _DAY // HOURS
        hours = (Span(begin + n * width, begin + (n + 1) * width) for n in range(HOURS))
        return "".join(self._mark(hour) for hour in hours)

    def _mark(self, hour: Span) -> str:
        if any(_meet(span, hour) for hole in self.holes for span in hole.left):
            return OPEN
        return CLOSED if any(_meet(hole.span, hour) for hole in self.holes) else WHOLE


def holes(records: Iterable[Coverage]) -> list[Hole]:
    """Return every hole, oldest first, less what complete recoveries of its channel read back.

    A recovery counts whenever it was recorded: it may be told before the hole that it closes.
    """
    told = list(records)
    recovered = [one for one in told if one.kind == "recovery" and one.complete]
    found = [_hole(one, recovered) for one in told if one.kind == "hole"]
    return sorted(found, key=lambda hole: hole.told.from_at)


def days(found: Iterable[Hole], now: Micros) -> list[Day]:
    """Return each account's days that have a hole, newest first."""
    by_day: dict[tuple[date, str, str], list[Hole]] = {}
    for hole in found:
        for day in _days(hole):
            by_day.setdefault((day, hole.told.provider, hole.told.account), []).append(hole)
    return [
        Day(*key, tuple(by_day[key]), min(_DAY, max(0, now - _micros(key[0]))))
        for key in sorted(by_day, reverse=True)
    ]


def _hole(told: Coverage, recovered: Sequence[Coverage]) -> Hole:
    channel = told.provider, told.account, told.channel
    whole = Span(told.from_at, told.to_at)
    mine = [
        one
        for one in recovered
        if (one.provider, one.account, one.channel) == channel
        and _meet(Span(one.from_at, one.to_at), whole)
    ]
    left = [whole]
    for one in mine:
        left = [piece for span in left for piece in _without(span, Span(one.from_at, one.to_at))]
    return Hole(told, tuple(left), tuple(dict.fromkeys(one.recovered_by or "" for one in mine)))


def _without(span: Span, taken: Span) -> Iterator[Span]:
    if not _meet(span, taken):
        yield span
        return
    if span.begin < taken.begin:
        yield Span(span.begin, taken.begin)
    if taken.end < span.end:
        yield Span(taken.end, span.end)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(span for span in spans if span.begin < span.end):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _meet(one: Span, other: Span) -> bool:
    return one.begin < other.end and other.begin < one.end


def _within(span: Span, bounds: Span) -> Span:
    return Span(max(span.begin, bounds.begin), min(span.end, bounds.end))


def _days(hole: Hole) -> Iterator[date]:
    day, last = (day_of(at) for at in hole.span)
    while day <= last:
        yield day
        day += timedelta(days=1)


def day_of(at: Micros) -> date:
    return datetime.fromtimestamp(at / _SECOND, UTC).date()


def _micros(day: date) -> Micros:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _SECOND

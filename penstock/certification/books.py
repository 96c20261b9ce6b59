"""The books of a twin against what a connector wrote: bytes, order, and holes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from penstock.certification.memory_log import MemoryLog
from schemas.records import Kind
from twins.books import Line

_CLOCK = 0.005
"""Seconds by which two readings of one clock may differ, told and received."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A time in which something may have been told past us, in unix seconds."""

    begin: float
    end: float

    def covers(self, moment: float) -> bool:
        return self.begin - _CLOCK <= moment <= self.end + _CLOCK


def holes(log: MemoryLog) -> list[Hole]:
    """Return the holes of a log: from the last record before an end to the next ``opened``."""
    found, last, begin = [], 0.0, 0.0
    for raw in log.told():
        at = raw.received_at / 1_000_000
        match raw.kind:
            case Kind.OPENED:
                found.append(Hole(begin, at))
            case Kind.CLOSED:
                begin = last
        last = at
    return [*found, Hole(begin, float("inf"))] if _is_over(log) else found


def _is_over(log: MemoryLog) -> bool:
    return bool(log.marks(Kind.CLOSED)) and log.told()[-1].kind is Kind.CLOSED


def lost(lines: Iterable[Line], log: MemoryLog) -> list[Line]:
    """Return what was told, is not in raw, and was not told in a hole."""
    kept, gaps = set(log.digests), holes(log)
    told: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        if line.listeners:
            told.setdefault(line.key, []).append(line)
    return [
        tellings[0]
        for tellings in told.values()
        if kept.isdisjoint({line.sha256 for line in tellings})
        and not all(any(gap.covers(line.told_at) for gap in gaps) for line in tellings)
    ]


def in_same_order(told: Sequence[str], log: MemoryLog) -> bool:
    """Return whether raw has every frame where it was told.

    What is in no books, such as prices, may stand in between.
    """
    known = set(told)
    return list(told) == [digest for digest in log.digests if digest in known]


def is_counted(told: Sequence[str], log: MemoryLog) -> bool:
    """Return whether raw has every frame as often as it was told to its one connection."""
    return len(log.digests) >= len(told) and Counter(told) <= Counter(log.digests)


def frames_of(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the digest of each frame that was told; one frame may tell several facts."""
    in_frame: set[tuple[str, ...]] = set()
    last: str | None = None
    for line in lines:
        if not line.sha256:
            continue
        if line.sha256 == last and line.key not in in_frame:
            in_frame.add(line.key)
            continue
        last, in_frame = line.sha256, {line.key}
        yield from [line.sha256] * line.listeners

"""How a part of ``make bench`` plugs in: one entry of ``PARTS`` in ``run.py``.

A part is a module with ``measure``, which returns typed results, and ``report``, which makes a
section of Markdown of them: a heading of the third level, a table, and what was measured on
what. ``charts`` is for the plot, where a part has something to show there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

Tell = Callable[[float, str], None]
"""Hears which share of a part is done, and what runs now."""


class Spread(NamedTuple):
    """What several runs showed."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        digits = 0 if self.median >= 100 else 1  # noqa: PLR2004 - three digits that mean something
        return " / ".join(f"{figure:,.{digits}f}" for figure in self)


def spread(figures: Sequence[float]) -> Spread:
    """Return lowest, median and highest of some runs."""
    return Spread(min(figures), median(figures), max(figures))


@dataclass(frozen=True, slots=True)
class Chart:
    """One panel of the plot: a bar per name, with the spread of its runs."""

    title: str
    unit: str
    bars: dict[str, Spread]
    """In the order of the panel, from its top; a name that begins with ``ours`` stands out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: ``measure`` is told whether this is only a smoke run, of some ten seconds."""

    name: str
    seconds: float
    """What a full run takes, for the progress bar."""
    measure: Callable[[bool, Tell], Any]
    report: Callable[[Any], str]
    charts: Callable[[Any], list[Chart]] = field(default=lambda _: [])

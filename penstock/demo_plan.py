"""What a demo does to the system, and when: it follows from the wish alone."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from penstock.chaos_plan import Act, Timed
from penstock.demo_wish import Wish

_USUAL: Final = 60.0
"""Seconds over which a demo without an end does what it was asked for."""
_PAUSE: Final = (1.5, 4.5)
"""Seconds between two disconnects."""


def planned(wish: Wish) -> tuple[Timed, ...]:
    """Return the acts in their order, in seconds after the first event."""
    seconds = wish.seconds or _USUAL
    acts = [*_kills(wish, seconds), *_outage(wish, seconds), *_disconnects(wish, seconds)]
    return tuple(sorted(acts, key=lambda timed: timed.at))


def is_over(wish: Wish, left: Sequence[Timed], now: float) -> bool:
    """Whether a demo ends: its time is up, and what was to be done in it was done.

    ``now``: seconds after the first event. Where a machine is busy, seconds pass between
    two looks, and an act that was asked for must not fall between them.
    """
    if wish.seconds is None or now <= wish.seconds:
        return False
    return all(act.at > wish.seconds for act in left)


def _kills(wish: Wish, seconds: float) -> Iterator[Timed]:
    if wish.kill_processor:
        yield Timed(seconds / 2, Act.KILL_WORKER, 0.0, 0.0)
    if wish.kill_ingest:
        # One after the other in the second quarter: each leaves a hole of its own.
        count = len(wish.providers)
        for number in range(count):
            at = seconds * (1 + number / count) / 4
            yield Timed(at, Act.KILL_INGEST, (number + 0.5) / count, 0.0)


def _outage(wish: Wish, seconds: float) -> Iterator[Timed]:
    if not wish.outage:
        return
    begins = seconds / 2
    yield Timed(begins, Act.KILL_BROKER, 0.0, wish.outage)
    if wish.kill_ingest:
        # What waits on disk then has no process, and the next one finds no broker.
        yield Timed(begins + wish.outage / 2, Act.KILL_INGEST, 0.0, 0.0)


def _disconnects(wish: Wish, seconds: float) -> Iterator[Timed]:
    random = Random(1)  # noqa: S311 - the same wish, the same demo
    at = random.uniform(*_PAUSE)
    while wish.disconnects and at < seconds:
        yield Timed(at, Act.DISCONNECT, random.random(), 0.0)
        at += random.uniform(*_PAUSE)

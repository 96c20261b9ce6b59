"""Whether a stage has become dearer, from samples of it beside a loop that has not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

Ratios = Mapping[str, float]
"""Stage → how many calibration loops it takes."""


class Sample(NamedTuple):
    """Seconds of CPU of the calibration loop and, right behind it, of a stage."""

    loop: float
    stage: float


def ratio(samples: Sequence[Sample]) -> float:
    """Return how many loops a stage takes, as one process sees it.

    What disturbs a machine makes the median of the pairs, or the quotient of the best,
    too high as easily as it makes the other; what makes a stage dearer moves both.
    """
    typical = median(stage / loop for loop, stage in samples)
    best = min(stage for _, stage in samples) / min(loop for loop, _ in samples)
    return min(typical, best)


def lowest(processes: Iterable[Ratios]) -> Ratios:
    """Return what each stage takes at its luckiest.

    Where a process happens to lie in memory makes a stage of the same code up to a
    quarter dearer for as long as it lives.
    """
    found: dict[str, float] = {}
    for ratios in processes:
        for stage, loops in ratios.items():
            found[stage] = min(loops, found.get(stage, loops))
    return found


def dearer(ratios: Ratios, baseline: Ratios, allowed: float) -> Iterator[tuple[str, float]]:
    """Yield each stage that takes more than ``allowed`` times its baseline, and how many times."""
    for stage, loops in ratios.items():
        times = loops / baseline[stage]
        if times > allowed:
            yield stage, times

"""`make bench-check`: has a stage become dearer than `baseline.json` says?

Times are ratios to a loop that is measured beside each stage, so that another machine, or a
busy one, is held to the same figures. What looks dearer is measured again until time is up:
only what stays so is named.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from math import inf
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.frames import record
from benchmarks.stages import best, work
from ingest.feeds import FEEDS
from processors.__main__ import tune_garbage_collection

BASELINE = Path(__file__).with_name("baseline.json")
ALLOWED = 1.15
_FRAMES = 1_000
_SECONDS = 35.0
"""For measuring; recording the frames comes before it."""

_ACCEPT = "accept what is there: python benchmarks/check.py --write"

Ratios = dict[tuple[str, str], float]
"""(provider, stage) → how many calibration loops a thousand frames take."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: make bench-check")
    parser.add_argument("--write", action="store_true", help="make what is measured the baseline")
    asked = parser.parse_args()
    bench = _Bench()
    until = monotonic() + _SECONDS
    if asked.write:
        bench.measure_all(until)
        _write(bench.ratios)
        return
    baseline = _read()
    if bench.ratios.keys() != baseline.keys():
        sys.exit(f"bench-check: {BASELINE.name} is of other stages; {_ACCEPT}")
    bench.measure_once()
    while (slower := list(_slower(bench.ratios, baseline))) and monotonic() < until:
        bench.measure([at for at, _ in slower])
    for (provider, stage), times in slower:
        print(f"{provider}, {stage}: {times:.2f} times the baseline, at most {ALLOWED} is allowed")
    if slower:
        sys.exit(
            f"bench-check: find what made it dearer (make bench); where that is worth it, {_ACCEPT}"
        )
    print(f"bench-check: {len(bench.ratios)} stages are within {ALLOWED} times the baseline")


class _Bench:
    def __init__(self) -> None:
        recordings = [record(name, _FRAMES) for name in FEEDS]
        self._stages = {
            (recording.provider, name): stage
            for recording in recordings
            for name, stage in work(recording).items()
        }
        self._best = dict.fromkeys(self._stages, inf)
        self._loop = inf
        """Seconds of the calibration loop, at its best; above, those of the stages."""
        tune_garbage_collection()

    @property
    def ratios(self) -> Ratios:
        return {at: seconds / self._loop for at, seconds in self._best.items()}

    def measure_once(self) -> None:
        self.measure(list(self._stages))

    def measure_all(self, until: float) -> None:
        """Measure every stage, again and again."""
        while monotonic() < until:
            self.measure_once()

    def measure(self, stages: list[tuple[str, str]]) -> None:
        for at in stages:
            self._loop = min(self._loop, best(_calibration, passes=2))
            self._best[at] = min(self._best[at], best(self._stages[at], passes=2))


def _calibration() -> None:
    """Do what the stages do, none of it ours: calls, tables, small bytes, a hash."""
    table: dict[str, bytes] = {}
    for number in range(4_000):
        text = f"{number % 500}/{number}"
        table[text] = b"".join((text.encode(), b"\x00", number.to_bytes(4)))
        sha256(table[text]).digest()


def _slower(ratios: Ratios, baseline: Ratios) -> Iterator[tuple[tuple[str, str], float]]:
    for at, ratio in ratios.items():
        if ratio > baseline[at] * ALLOWED:
            yield at, ratio / baseline[at]


def _read() -> Ratios:
    told: Mapping[str, Mapping[str, float]] = json.loads(BASELINE.read_text("utf-8"))
    return {(name, stage): ratio for name, each in told.items() for stage, ratio in each.items()}


def _write(ratios: Ratios) -> None:
    told: dict[str, dict[str, float]] = {}
    for (provider, stage), ratio in ratios.items():
        told.setdefault(provider, {})[stage] = round(ratio, 4)
    BASELINE.write_text(json.dumps(told, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

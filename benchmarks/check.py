"""`make bench-check`: has a stage become dearer than `baseline.json` says?

Times are ratios to a loop that is measured beside each stage, so that another machine, or a
busy one, is held to the same figures. What may have become dearer is measured again in other
processes until time is up: only what is so in all of them is named.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from statistics import mean
from time import monotonic

import msgspec
from msgspec import Struct

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.frames import record
from benchmarks.judgement import Ratios, Sample, dearer, lowest, ratio
from benchmarks.stages import Stage, best, once, ready, work
from ingest.feeds import FEEDS
from processors.__main__ import tune_garbage_collection

BASELINE = Path(__file__).with_name("baseline.json")
ALLOWED = 1.15
_SUSPECT = 1.05
"""Times the baseline from which a stage is measured again, in other processes."""
_RECORDED = 1_000
_FRAMES = 250
"""Of those: few, so that a busy machine is the same for a stage and the loop beside it."""
_ROUNDS = 3
"""Samples of each stage that a process takes at least."""
_SIDE_BY_SIDE = 2
_UNTIL = (13.0, 25.0, 37.0)
"""Seconds from the start at which processes end, and others begin."""
_AT_MOST = 43.0
"""Seconds from the start. Where a machine is too busy for that, nothing is judged."""
_CROWD = 5
"""Who wait for each core; with more, caches are so cold that RocksDB looks dearer than the loop."""
_TOO_BUSY = "bench-check: this machine is too busy to tell, try again when it is not"

_ACCEPT = "accept what is there: make bench-check ARGS=--write"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: make bench-check")
    parser.add_argument("--write", action="store_true", help="make what is measured the baseline")
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    parser.add_argument("stages", nargs="*", help="PROVIDER, STAGE: these alone")
    asked = parser.parse_args()
    if asked.until:
        print(json.dumps(_measured(asked.stages, asked.until)))
    elif asked.write:
        BASELINE.write_text(json.dumps(_figures([], {}), indent=2) + "\n", "utf-8")
    else:
        _judge(asked.stages, json.loads(BASELINE.read_text("utf-8")))


def _judge(stages: list[str], baseline: Ratios) -> None:
    """Say what is dearer, and end with exit code 1 where anything is."""
    if os.getloadavg()[0] > _CROWD * (os.cpu_count() or 1):
        sys.exit(_TOO_BUSY)
    found = _figures(stages, baseline)
    if not stages and found.keys() != baseline.keys():
        sys.exit(f"bench-check: {BASELINE.name} is of other stages; {_ACCEPT}")
    named = list(dearer(found, baseline, ALLOWED))
    for stage, times in named:
        print(f"{stage}: {times:.2f} times the baseline, at most {ALLOWED} is allowed")
    if named:
        sys.exit(
            f"bench-check: find what made it dearer (make bench); where that is worth it, {_ACCEPT}"
        )
    print(f"bench-check: {len(found)} stages are within {ALLOWED} times the baseline")


def _figures(stages: list[str], baseline: Ratios) -> Ratios:
    """Measure until time is up, or until nothing is dearer than its baseline."""
    begun = monotonic()
    processes: list[Ratios] = []
    for seconds in _UNTIL:
        processes += _processes(stages, begun + seconds, begun + _AT_MOST)
        found = lowest(processes)
        if baseline and found.keys() <= baseline.keys():
            stages = [stage for stage, _ in dearer(found, baseline, _SUSPECT)]
            if not stages:
                break
    return found


def _processes(stages: list[str], until: float, at_most: float) -> list[Ratios]:
    command = [sys.executable, __file__, "--until", str(until), *stages]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
        for _ in range(_SIDE_BY_SIDE)
    ]
    try:
        told = [process.communicate(timeout=at_most - monotonic())[0] for process in running]
    except subprocess.TimeoutExpired:
        sys.exit(_TOO_BUSY)
    finally:
        for process in running:
            process.kill()
    if any(process.returncode for process in running):
        sys.exit("bench-check: a process that measured has failed, see above")
    return [json.loads(each) for each in told]


def _measured(wanted: list[str], until: float) -> Ratios:
    """Measure stages, all of them where none is named, one after the other and again."""
    stages = _stages(wanted)
    tune_garbage_collection()
    loop_lasts = best(_LOOP)
    lasts = {name: best(stage, passes=2) / loop_lasts for name, stage in stages.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in stages}
    rounds = 0
    while rounds < _ROUNDS or monotonic() < until:
        for name, stage in stages.items():
            once(_LOOP)  # What ran before leaves it cold caches, each stage others.
            loop = _mean(_LOOP, round(lasts[name]))
            samples[name].append(Sample(loop, _mean(stage, round(1 / lasts[name]))))
        rounds += 1
    return {name: ratio(each) for name, each in samples.items()}


def _stages(wanted: list[str]) -> dict[str, Stage]:
    """Return what is wanted, or all."""
    providers = [name for name in FEEDS if not wanted or any(name in stage for stage in wanted)]
    told = [record(name, _RECORDED) for name in providers]
    return {
        place: stage
        for recording in told
        for name, stage in work(replace(recording, frames=recording.frames[:_FRAMES])).items()
        if (place := f"{recording.provider}, {name}") in wanted or not wanted
    }


def _mean(stage: Stage, passes: int) -> float:
    """Return seconds of CPU of one of so many passes, or of one."""
    return mean(once(stage) for _ in range(max(passes, 1)))


class _Amount(Struct):
    value: str
    currency: str


class _Order(Struct):
    id: str
    status: str
    amounts: list[_Amount]
    tags: dict[str, str]


_AMOUNTS = [{"value": f"{number}.25", "currency": "USD"} for number in range(6)]
_TAGS = {f"tag {number}": "text" * number for number in range(6)}
_FRAME = msgspec.json.encode(
    {"id": "order-1", "status": "paid", "amounts": _AMOUNTS, "tags": _TAGS, "else": [*range(20)]}
)
_DECODER = msgspec.json.Decoder(_Order)
_KNOWN = {f"order/{number}": str(number) for number in range(2_000)}
_ASKED = [f"order/{number * 7_919 % len(_KNOWN)}" for number in range(2_400)]


def _calibrate() -> None:
    """Do what the stages do, none of it ours: decode, add, look up, join, hash."""
    hashes: list[str] = []
    for number, asked in enumerate(zip(*[iter(_ASKED)] * 6, strict=True)):
        order = _DECODER.decode(_FRAME)
        sums: dict[str, Decimal] = {}
        for amount in order.amounts:
            sums[amount.currency] = sums.get(amount.currency, Decimal()) + Decimal(amount.value)
        key = "/".join((order.id, order.status, *map(_KNOWN.__getitem__, asked)))
        hashes.append(sha256(b"".join((key.encode(), number.to_bytes(4), _FRAME))).hexdigest())


_LOOP: Stage = ready(_calibrate)


if __name__ == "__main__":
    main()

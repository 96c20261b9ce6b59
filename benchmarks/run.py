"""`make bench`: CPU per frame of each stage, then the processor and ingest on a real Kafka.

Prints Markdown tables. The figure to compare is CPU µs per event: events per second
depend on what else the machine does.
"""

import argparse
import platform
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console

from benchmarks import ingest
from benchmarks.followers import BENCH_PYTHON
from benchmarks.frames import record
from benchmarks.processor import Drained, drain
from benchmarks.stages import stages
from ingest.feeds import FEEDS
from processors.__main__ import tune_garbage_collection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: make bench")
    parser.add_argument("--frames", type=int, default=40_000, help="of each provider")
    parser.add_argument("--runs", type=int, default=3, help="of the processor on Kafka")
    asked = parser.parse_args()
    console = Console(stderr=True)
    with console.status("recording frames from the twins"):
        recordings = [record(name, asked.frames) for name in FEEDS]
    tune_garbage_collection()
    with console.status("measuring stages"):
        found = {recording.provider: stages(recording) for recording in recordings}
    _print_stages(found)
    runs = []
    for number in range(1, asked.runs + 1):
        with console.status(f"draining a backlog on a real Kafka, run {number} of {asked.runs}"):
            runs.append(drain(recordings))
    _print_runs(runs)
    with console.status("ingest on a real Kafka, and with the broker paused"):
        peer = BENCH_PYTHON if BENCH_PYTHON.exists() else None
        print(f"\n{ingest.report(ingest.measure(asked.frames, asked.runs, peer=peer))}")
    print(f"\n{platform.python_version()}, {platform.machine()}; one in ten frames is a duplicate")


def _print_stages(found: dict[str, dict[str, float]]) -> None:
    print(f"\n| CPU µs per frame | {' | '.join(found)} |\n|---|{'---:|' * len(found)}")
    for stage in next(iter(found.values())):
        figures = " | ".join(f"{told[stage]:.1f}" for told in found.values())
        print(f"| {stage} | {figures} |")


def _print_runs(runs: list[Drained]) -> None:
    print("\n| processor on Kafka | min | median | max |\n|---|---:|---:|---:|")
    for name, figures in (
        ("events/s", [run.events_per_second for run in runs]),
        ("CPU µs per event", [run.cpu_us for run in runs]),
        ("RSS MB", [run.rss_mb for run in runs]),
    ):
        spread = (min(figures), statistics.median(figures), max(figures))
        print(f"| {name} | {' | '.join(f'{figure:,.1f}' for figure in spread)} |")


if __name__ == "__main__":
    main()

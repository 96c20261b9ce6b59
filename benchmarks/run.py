"""`make bench`: every part in turn, its section in docs/performance.md, and one plot of all.

The figure to compare is CPU µs per event: events per second depend on what else the machine
does. What a part needs, it makes itself: a Kafka, the peers' Python, the peers in Java.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from benchmarks import (
    ingest,
    latency,
    machine,
    real_frames,
    reference,
    scaling,
    stages,
)
from benchmarks.bench_venv import bench_python
from benchmarks.part import Chart, Part, Tell
from penstock.checkout import ROOT
from penstock.errors import OperatorError


def _ingest(smoke: bool, tell: Tell) -> ingest.Results:  # noqa: FBT001 - as every part is called
    return ingest.measure(
        2_000 if smoke else 40_000, 1 if smoke else 3, pauses=not smoke, tell=tell
    )


PARTS = (
    Part(name="stages", seconds=50, measure=stages.measure, report=stages.report),
    Part(
        name="reference",
        seconds=330,
        measure=reference.measure,
        report=reference.report,
        charts=reference.charts,
    ),
    Part(
        name="frames",
        seconds=700,
        measure=real_frames.measure,
        report=real_frames.report,
        charts=real_frames.charts,
    ),
    Part(name="ingest", seconds=150, measure=_ingest, report=ingest.report),
    Part(
        name="latency",
        seconds=480,
        measure=latency.measure,
        report=latency.report,
        charts=latency.charts,
    ),
    Part(
        name="scaling",
        seconds=120,
        measure=scaling.measure,
        report=scaling.report,
        charts=scaling.charts,
    ),
)
PLOT = "plot"
"""Beside the parts, what has a place on the page."""
_PAGE = ROOT / "docs" / "performance.md"
_PLOT = ROOT / "docs" / "performance.svg"
_CHARTS = ROOT / ".penstock" / "charts"
_CTRL_C = 130


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: make bench QUICK=1")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: the docs stay as they are"
    )
    parser.add_argument(
        "--only", action="append", choices=[part.name for part in PARTS], default=[]
    )
    asked = parser.parse_args()
    parts = [part for part in PARTS if not asked.only or part.name in asked.only]
    try:
        _measure(parts, smoke=asked.quick)
        if not asked.quick:
            _plot()
    except OperatorError as error:
        sys.exit(f"make bench: {error}")
    except KeyboardInterrupt:
        sys.exit(_CTRL_C)


def _measure(parts: Sequence[Part], *, smoke: bool) -> None:
    """Measure each part, and write its section as soon as it is there."""
    with _progress(sum(part.seconds for part in parts)) as told:
        bench_python(lambda said: told(0, said))
        done = 0.0
        for part in parts:
            facts = machine.facts()
            results = part.measure(smoke, _within(told, part, done))
            done += part.seconds
            section = f"{part.report(results).strip()}\n\n{facts}\n"
            print(f"\n{section}")
            if not smoke:
                _write(part.name, section)
                _keep(part.name, part.charts(results))


@contextmanager
def _progress(seconds: float) -> Iterator[Tell]:
    """Show what runs now and how long all still takes; in a file, a line for each step."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        shown = progress.add_task("", total=seconds)

        def told(done: float, what: str) -> None:
            progress.update(shown, completed=done, description=what)
            if not console.is_terminal:
                console.print(f"{done / seconds:4.0%}  {what}", highlight=False)

        yield told


def _within(told: Tell, part: Part, before: float) -> Tell:
    return lambda share, what: told(before + share * part.seconds, f"{part.name}: {what}")


def _write(name: str, section: str) -> None:
    _PAGE.write_text(replaced(_PAGE.read_text("utf-8"), name, section), "utf-8")


def replaced(page: str, name: str, section: str) -> str:
    """Return a page with a part's section between its two markers, and all else as it was."""
    begin, end = f"<!-- make bench: {name} -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise OperatorError(f"{_PAGE} has no markers for {name}: {begin.strip()} … {end.strip()}")
    return f"{before}{begin}\n{section}\n{end}{after}"


def _keep(name: str, charts: Sequence[Chart]) -> None:
    _CHARTS.mkdir(parents=True, exist_ok=True)
    told = json.dumps([asdict(chart) for chart in charts])
    (_CHARTS / f"{name}.json").write_text(told, "utf-8")


def _plot() -> None:
    """Draw what each part showed last, once all of them were measured on this machine."""
    kept = [_CHARTS / f"{part.name}.json" for part in PARTS]
    if not all(file.is_file() for file in kept):
        return
    charts = [chart for file in kept for chart in json.loads(file.read_text("utf-8"))]
    command = [bench_python(), str(Path(__file__).with_name("plot.py")), str(_PLOT)]
    subprocess.run(command, input=json.dumps(charts), text=True, check=True)  # noqa: S603
    _write(PLOT, f"![{'; '.join(chart['title'] for chart in charts)}]({_PLOT.name})\n")


if __name__ == "__main__":
    main()

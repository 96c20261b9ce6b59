"""``make fuzz``: damage recorded frames by chance, for as long as is wished.

Every case goes through the processors' reading and ingest's. What breaks a promise is said with
its seed and number, and its bytes are kept, ready to become a recording.
"""

import json
import traceback
import warnings
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Annotated, Final

import typer
from jwt.warnings import InsecureKeyLengthWarning
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from penstock.checkout import ROOT
from tests.fuzz.case import Case, case, tried
from tests.fuzz.damage import KINDS
from tests.test_every_provider import lines

_KEPT: Final = ROOT / ".penstock" / "fuzz"
_MOST_FAILURES: Final = 20
"""Different ones, after which a run gives up."""
_SHOWN_EVERY: Final = 200

app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(slots=True)
class Tally:
    """What was done, and what came of it. Its size is that of the tables it counts by."""

    frames: int = 0
    providers: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, provider: str, kind: str, doors: Counter[str]) -> None:
        self.frames += 1
        for door, count in doors.items():
            self.providers[provider, door] += count
            self.kinds[kind, door] += count
        self.providers[provider, "frames"] += 1
        self.kinds[kind, "frames"] += 1


def _by_provider(tally: Tally) -> Table:
    providers = sorted({provider for provider, _ in tally.providers})
    doors = sorted({door for _, door in tally.providers} - {"frames"})
    table = Table("door", *providers, "all")
    for door in ("frames", *doors):
        counts = [tally.providers[provider, door] for provider in providers]
        table.add_row(door, *(f"{count:,}" for count in (*counts, sum(counts))))
    return table


_DOORS: Final = ("event", "told before", "silent", "empty", "frame rejected")


def _by_kind(tally: Tally) -> Table:
    table = Table("damage", "frames", *_DOORS, "part rejected")
    for kind in KINDS:
        found = {door: count for (of, door), count in tally.kinds.items() if of == kind}
        refused = sum(count for door, count in found.items() if door.startswith("rejected "))
        counts = (*(found.get(door, 0) for door in ("frames", *_DOORS)), refused)
        table.add_row(kind, *(f"{count:,}" for count in counts))
    return table


# ---- failures ---------------------------------------------------------------------------


def _failure(error: Exception) -> str:
    """Return what broke, so that the same break has the same name."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}: {str(error)[:200]}"


def _kept(one: Case, seed: int, number: int) -> Path:
    """Keep the bytes of a failing case, and the line that makes a recording of it."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    stem = _KEPT / f"{one.provider}-{one.path.stem}-{seed}-{number}"
    stem.with_suffix(".bin").write_bytes(one.damaged.frame)
    line = {name: told for name, told in lines(one.path)[one.number].items() if name != "frame"}
    line |= {
        "note": f"damaged part: {one.damaged.kind}, found by fuzzing",
        "source": "assumed",
        "frame_b64": b64encode(one.damaged.frame).decode(),
    }
    if one.path.stem != "protocol" and one.record.signature:
        line["signature"] = dict(one.record.signature)
    stem.with_suffix(".jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    return stem


def _say(console: Console, one: Case, what: str, seed: int, number: int) -> None:
    stem = _kept(one, seed, number)
    told = (
        f"broken: seed {seed}, case {number}, line {one.number + 1}: {one.damaged.kind}",
        f"  {one.provider} {one.path.stem}, at {one.damaged.pointer or 'the frame'}",
        f"  {what}",
        f"  bytes: {stem}.bin",
        f"  again: make fuzz SEED={seed} CASE={number}",
        f"  to keep it: cat {stem}.jsonl >> {one.path.relative_to(ROOT)}",
        "              .venv/bin/python -m tests.test_every_provider, and review the difference",
    )
    for line in told:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


# ---- the run ----------------------------------------------------------------------------


def _try(tally: Tally, console: Console, seed: int, number: int) -> None:
    one = case(seed, number)
    try:
        tally.add(one.provider, one.damaged.kind, tried(one))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
        what = _failure(error)
        tally.failures[what] += 1
        if tally.failures[what] == 1:
            _say(console, one, what, seed, number)


def _run(console: Console, seed: int, minutes: float, frames: int | None) -> Tally:
    tally, began, number = Tally(), monotonic(), 0
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, refresh_per_second=2) as progress:
        bar = progress.add_task("starts", total=minutes * 60)
        while len(tally.failures) < _MOST_FAILURES:
            _try(tally, console, seed, number)
            number += 1
            if number % _SHOWN_EVERY:
                continue
            spent = monotonic() - began
            said = f"seed {seed}: {tally.frames:,} frames, {tally.frames / spent:,.0f}/s"
            said += f", {sum(tally.failures.values()):,} broken"
            progress.update(bar, completed=spent, description=said)
            if spent >= minutes * 60 or (frames and tally.frames >= frames):
                break
    return tally


@app.command(epilog="Example: make fuzz MINUTES=10 SEED=7")
def command(
    minutes: Annotated[float, typer.Option(min=0.01, help="How long frames are damaged.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed damages in the same way.")] = 1,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many, too.")] = None,
    case: Annotated[int | None, typer.Option(min=0, help="Only this case, again.")] = None,
) -> None:
    """Damage every provider's recorded frames, and see that each part leaves by one door.

    Exit code 1 if a promise was broken; the bytes are then under .penstock/fuzz.
    """
    warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)  # Of tests' keys.
    console = Console()
    if case is not None:
        tally = Tally()
        _try(tally, console, seed, case)
    else:
        tally = _run(console, seed, minutes, frames)
        console.print(_by_provider(tally), _by_kind(tally))
    for what, count in tally.failures.most_common():
        console.print(f"{count:,} times: {what}", markup=False, highlight=False, soft_wrap=True)
    broken = sum(tally.failures.values())
    console.print(f"seed {seed}: {tally.frames:,} damaged frames, {broken:,} broken")
    raise typer.Exit(1 if broken else 0)


if __name__ == "__main__":
    app()

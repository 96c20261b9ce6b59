"""The whole of Penstock on this machine, with twins in place of the providers.

Real Kafka, a real registry, the real programs; only the providers are stand-ins, whose
books say at the end whether everything that they told is on ``events``, once.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep, time
from typing import Final

import httpx
from rich.console import Console
from rich.live import Live

from penstock import demo_view
from penstock.demo_settings import Introduction, write_settings
from penstock.errors import OperatorError
from penstock.lag import Lag
from penstock.leash import Leash
from penstock.preparation import prepare
from penstock.reconcile import Reconciliation, read_books, reconcile
from penstock.scrape import Counts
from penstock.stack import Stack, local_stack
from penstock.supervisor import Supervised, supervised
from penstock.watch import Watch

_TICK: Final = 0.25
_LINE_EVERY: Final = 2.0
_DRAIN: Final = 30.0
"""Seconds that what was told may take to be visible."""
_REFERENCE_KEY: Final = "penstock-demo-reference-key-0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the demo is to do."""

    directory: Path
    providers: Sequence[str]
    seconds: float | None
    """After the first event; None: until it is interrupted."""
    kill_processor: bool
    rate: float
    """Facts a second and provider."""


@dataclass(slots=True)
class _Cast:
    """Everybody who takes part."""

    leash: Leash
    twins: dict[str, Supervised] = field(default_factory=dict)
    introductions: dict[str, Introduction] = field(default_factory=dict)
    ingest: dict[str, Supervised] = field(default_factory=dict)
    processors: list[Supervised] = field(default_factory=list)
    counts: dict[str, Counts] = field(default_factory=dict)

    def programs(self) -> Iterator[Supervised]:
        yield from self.ingest.values()
        yield from self.processors


def run(wish: Wish, console: Console) -> Reconciliation:
    """Run the demo; return the reconciliation. Nothing is left running, whatever happens."""
    if wish.directory.exists():
        shutil.rmtree(wish.directory)
    wish.directory.mkdir(parents=True)
    with ExitStack() as at_the_end:
        cast = at_the_end.enter_context(_cast())
        _start_twins(wish, cast)
        stack = at_the_end.enter_context(
            local_stack(wish.directory / "stack", say=lambda said: console.print(said, style="dim"))
        )
        # Before the stack ends, the programs do.
        at_the_end.callback(_stop_programs, cast)
        prepare(stack, wish.providers)
        _start_programs(wish, cast, stack)
        watch = at_the_end.enter_context(
            Watch(stack.connection, stack.registry_url, wish.providers)
        )
        _play(wish, cast, watch, console)
        _quiet(cast)
        _drain(cast, stack)
        return reconcile(
            read_books(_book(wish, name) for name in wish.providers),
            stack.connection,
            stack.registry_url,
            wish.providers,
        )


# ---- the cast -------------------------------------------------------------------------


@contextmanager
def _cast() -> Iterator[_Cast]:
    """Hold everybody on one leash, and end whoever still runs."""
    leash = Leash()
    cast = _Cast(leash)
    try:
        yield cast
    finally:
        _stop_programs(cast)
        for twin in cast.twins.values():
            twin.stop()
        leash.close()


def _stop_programs(cast: _Cast) -> None:
    for each in cast.programs():
        each.stop()


def _start_twins(wish: Wish, cast: _Cast) -> None:
    for name in wish.providers:
        command = [sys.executable, "-m", "twins", name, "--rate", str(wish.rate)]
        command += ["--books", str(_book(wish, name))]
        twin = supervised(
            f"the {name} twin", command, wish.directory / f"twin-{name}.log", cast.leash, {}
        )
        twin.start()
        cast.twins[name] = twin
    for name, twin in cast.twins.items():
        cast.introductions[name] = _told(twin, "control_url")


def _start_programs(wish: Wish, cast: _Cast, stack: Stack) -> None:
    settings = write_settings(
        wish.directory, stack.bootstrap_servers, stack.registry_url, cast.introductions
    )
    secrets = {"PENSTOCK_REFERENCE_KEY": _REFERENCE_KEY}
    python = [sys.executable, "-m"]
    told = ["--settings", str(settings)]
    for name in wish.providers:
        command = [*python, "ingest", *told, "--provider", name]
        log = wish.directory / f"ingest-{name}.log"
        cast.ingest[name] = supervised(f"ingest of {name}", command, log, cast.leash, {})
    log = wish.directory / "processors.log"
    command = [*python, "processors", *told]
    cast.processors.append(supervised("the processor", command, log, cast.leash, secrets))
    for each in cast.programs():
        cast.counts[each.child.name] = Counts()
        each.start()


def _told(speaker: Supervised, wanted: str) -> dict[str, str]:
    """Wait for a line of the log that has this key."""
    limit = monotonic() + _DRAIN
    while (said := speaker.told(wanted)) is None:
        if speaker.child.pid is None or monotonic() > limit:
            raise OperatorError(f"{speaker.child.name} did not start: {speaker.child.last_words()}")
        sleep(_TICK / 5)
    return said


def _book(wish: Wish, name: str) -> Path:
    return wish.directory / f"books-{name}.jsonl"


# ---- the play -------------------------------------------------------------------------


def _play(wish: Wish, cast: _Cast, watch: Watch, console: Console) -> None:
    """Show what happens until the time is over, or somebody interrupts."""
    began = monotonic()
    killed = not wish.kill_processor
    shown = 0.0
    with ExitStack() as at_the_end:
        live = _live(console)
        if live:
            at_the_end.enter_context(live)
        while not _is_over(wish, watch):
            for each in cast.programs():
                each.tend()
                _count(cast, each)
            if not killed and _half_over(wish, watch):
                cast.processors[0].kill()
                killed = True
            rows = [_row(cast, watch, name) for name in wish.providers]
            if live:
                live.update(demo_view.table(rows, list(watch.last), _note(wish, cast)))
            elif monotonic() > shown + _LINE_EVERY:
                shown = monotonic()
                for row in rows:
                    console.print(
                        demo_view.line(row, shown - began), highlight=False, soft_wrap=True
                    )
            sleep(_TICK)


def _live(console: Console) -> Live | None:
    return Live(console=console, refresh_per_second=4) if console.is_terminal else None


def _is_over(wish: Wish, watch: Watch) -> bool:
    if wish.seconds is None or watch.first_at is None:
        return False
    return time() > watch.first_at + wish.seconds


def _half_over(wish: Wish, watch: Watch) -> bool:
    return watch.first_at is not None and time() > watch.first_at + (wish.seconds or 20) / 2


def _count(cast: _Cast, program: Supervised) -> None:
    told = program.told("address")
    if told and program.child.pid is not None:
        cast.counts[program.child.name].read(told["address"])


def _row(cast: _Cast, watch: Watch, name: str) -> demo_view.Row:
    ingest = cast.counts[cast.ingest[name].child.name]
    seen = watch.seen[name]
    return demo_view.Row(
        provider=name,
        connected_since=ingest.gauge("penstock_ingest_connected_since_seconds", name) or None,
        frames=ingest.of("penstock_ingest_frames_total", name),
        facts=seen.facts,
        duplicates=sum(
            cast.counts[p.child.name].of("penstock_duplicates_total", name) for p in cast.processors
        ),
        rejected=seen.rejected,
        p50=seen.percentile(0.5),
        p99=seen.percentile(0.99),
    )


def _note(wish: Wish, cast: _Cast) -> str:
    restarts = sum(each.restarts for each in cast.programs())
    again = f", {restarts} started again" if restarts else ""
    return f"logs, settings and books: {wish.directory}{again}; Ctrl-C ends everything"


# ---- the end --------------------------------------------------------------------------


def _quiet(cast: _Cast) -> None:
    """Let the twins finish their sentence, and say nothing new."""
    for told in cast.introductions.values():
        httpx.post(f"{told['control_url']}/twin/quiet", timeout=_DRAIN).raise_for_status()


def _drain(cast: _Cast, stack: Stack) -> None:
    """Wait until everything that was told is in raw, and everything in raw is read."""
    limit = monotonic() + _DRAIN
    with Lag(stack.connection, "penstock", cast.introductions) as lag:
        before: dict[tuple[str, int], int] = {}
        while (ends := lag.ends()) != before or lag.behind():
            if monotonic() > limit:
                raise OperatorError(
                    f"the processors are {lag.behind()} records behind after {_DRAIN:.0f} s: see "
                    f"{cast.processors[0].child.log}"
                )
            for each in cast.programs():
                each.tend()
            before = ends
            sleep(4 * _TICK)

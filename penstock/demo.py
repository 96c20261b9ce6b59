"""The whole of Penstock on this machine, with twins in place of the providers.

Real Kafka, a real registry, the real programs; only the providers are stand-ins, whose
books say at the end whether everything that they told is on ``events``, once.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep, time
from typing import Final

from rich.console import Console
from rich.live import Live

from penstock import demo_view
from penstock.cast import Cast, Role, assembled
from penstock.demo_settings import write_settings
from penstock.errors import OperatorError
from penstock.lag import Lag
from penstock.preparation import prepare
from penstock.reconcile import Reconciliation, read_books, reconcile
from penstock.scrape import Counts
from penstock.stack import Stack, local_stack
from penstock.supervisor import Supervised
from penstock.watch import Watch

_TICK: Final = 0.25
_LINE_EVERY: Final = 2.0
_DRAIN: Final = 30.0
"""Seconds that what was told may take to be visible."""
_ACCOUNT: Final = "main"


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


def run(wish: Wish, console: Console) -> Reconciliation:
    """Run the demo; return the reconciliation. Nothing is left running, whatever happens."""
    if wish.directory.exists():
        shutil.rmtree(wish.directory)
    wish.directory.mkdir(parents=True)
    with ExitStack() as at_the_end:
        cast = at_the_end.enter_context(assembled(wish.directory))
        cast.start_twins(Role(name, _ACCOUNT, wish.rate) for name in wish.providers)
        stack = at_the_end.enter_context(
            local_stack(wish.directory / "stack", say=lambda said: console.print(said, style="dim"))
        )
        # Before the stack ends, the programs do.
        at_the_end.callback(cast.stop_programs)
        prepare(stack, wish.providers)
        _start_programs(wish, cast, stack)
        watch = at_the_end.enter_context(
            Watch(stack.connection, stack.registry_url, wish.providers)
        )
        _play(wish, cast, watch, console)
        cast.quiet()
        _drain(wish, cast, stack)
        return reconcile(
            read_books(cast.books),
            stack.connection,
            stack.registry_url,
            wish.providers,
        )


def _start_programs(wish: Wish, cast: Cast, stack: Stack) -> None:
    settings = write_settings(
        wish.directory / "penstock.toml",
        stack.bootstrap_servers,
        stack.registry_url,
        cast.introductions,
    )
    for name in wish.providers:
        cast.start_ingest(name, settings)
    cast.start_processor("processors", settings)


# ---- the play -------------------------------------------------------------------------


def _play(wish: Wish, cast: Cast, watch: Watch, console: Console) -> None:
    """Show what happens until the time is over, or somebody interrupts."""
    began = monotonic()
    killed = not wish.kill_processor
    counts = {each.child.name: Counts() for each in cast.programs()}
    shown = 0.0
    with ExitStack() as at_the_end:
        live = _live(console)
        if live:
            at_the_end.enter_context(live)
        while not _is_over(wish, watch):
            for each in cast.programs():
                each.tend()
                _count(counts, each)
            if not killed and _half_over(wish, watch):
                cast.processors[0].kill()
                killed = True
            rows = [_row(cast, counts, watch, name) for name in wish.providers]
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


def _count(counts: Mapping[str, Counts], program: Supervised) -> None:
    told = program.told("address")
    if told and program.child.pid is not None:
        counts[program.child.name].read(told["address"])


def _row(cast: Cast, counts: Mapping[str, Counts], watch: Watch, name: str) -> demo_view.Row:
    ingest = counts[cast.ingest[name].child.name]
    seen = watch.seen[name]
    return demo_view.Row(
        provider=name,
        connected_since=ingest.gauge("penstock_ingest_connected_since_seconds", name) or None,
        frames=ingest.of("penstock_ingest_frames_total", name),
        facts=seen.facts,
        duplicates=sum(
            counts[p.child.name].of("penstock_duplicates_total", name) for p in cast.processors
        ),
        rejected=seen.rejected,
        p50=seen.percentile(0.5),
        p99=seen.percentile(0.99),
    )


def _note(wish: Wish, cast: Cast) -> str:
    restarts = sum(each.restarts for each in cast.programs())
    again = f", {restarts} started again" if restarts else ""
    return f"logs, settings and books: {wish.directory}{again}; Ctrl-C ends everything"


# ---- the end --------------------------------------------------------------------------


def _drain(wish: Wish, cast: Cast, stack: Stack) -> None:
    """Wait until everything that was told is in raw, and everything in raw is read."""
    limit = monotonic() + _DRAIN
    with Lag(stack.connection, "penstock", wish.providers) as lag:
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

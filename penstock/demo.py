"""The whole of Penstock on this machine, with twins in place of the providers.

Real Kafka, a real registry, the real programs; only the providers are stand-ins, whose
books say at the end whether everything that they told is on ``events``, once.
"""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic, sleep, time
from typing import Final

from rich.console import Console
from rich.live import Live

from penstock import demo_view
from penstock.cast import Cast, Role, assembled
from penstock.chaos_acts import Stage
from penstock.demo_plan import is_over, planned
from penstock.demo_settings import takes_webhooks, write_settings
from penstock.demo_wish import Wish
from penstock.errors import OperatorError
from penstock.lag import Lag
from penstock.ports import LOOPBACK, free
from penstock.preparation import prepare
from penstock.reconcile import Reconciliation, read_books, reconcile
from penstock.scrape import Counts
from penstock.stack import Stack, local_stack
from penstock.supervisor import Supervised
from penstock.watch import Watch

_TICK: Final = 0.25
_LINE_EVERY: Final = 2.0
_DRAIN: Final = 120.0
"""Seconds that what was told may take to be visible."""
_READY: Final = 60.0
"""Seconds that ingest may take to follow every feed again."""
_READ_BACK: Final = 150.0
"""Seconds that what was missed may take to be read back: rounds of REST are polite."""
_ACCOUNT: Final = "main"


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
        stage = Stage(cast, stack)
        _play(wish, stage, watch, console)
        _settle(stage)
        return _read_back(wish, stage, console)


def _start_programs(wish: Wish, cast: Cast, stack: Stack) -> None:
    settings = write_settings(
        wish.directory / "penstock.toml",
        stack.bootstrap_servers,
        stack.registry_url,
        cast.introductions,
        webhooks=True,
    )
    ports = free(len(wish.providers))
    for number, (name, port) in enumerate(zip(wish.providers, ports, strict=True)):
        door = f"{LOOPBACK}:{port}"
        if takes_webhooks(cast.introductions[number]):
            cast.order(number, "webhooks", url=f"http://{door}/webhooks/{name}/{_ACCOUNT}")
        cast.start_ingest(name, settings, door)
    cast.start_processor("processors", settings)


# ---- the play -------------------------------------------------------------------------


def _play(wish: Wish, stage: Stage, watch: Watch, console: Console) -> None:
    """Do what was wished and show what happens, until time is over or somebody interrupts."""
    cast, began, shown = stage.cast, monotonic(), 0.0
    acts = list(planned(wish))
    counts = {each.child.name: Counts() for each in cast.programs()}
    with ExitStack() as at_the_end:
        live = _live(console)
        if live:
            at_the_end.enter_context(live)
        while not is_over(wish, acts, _since_the_first(watch)):
            now = _since_the_first(watch)
            while acts and acts[0].at <= now:
                # One that had to wait lasts as long as it was meant to.
                stage.perform(replace(acts.pop(0), at=now))
            stage.tend(now)
            for each in cast.programs():
                _count(counts, each)
            rows = [_row(cast, counts, watch, name) for name in wish.providers]
            if live:
                live.update(demo_view.table(rows, list(watch.last), _note(wish, stage)))
            elif monotonic() > shown + _LINE_EVERY:
                shown = monotonic()
                for row in rows:
                    console.print(
                        demo_view.line(row, shown - began), highlight=False, soft_wrap=True
                    )
            sleep(_TICK)


def _live(console: Console) -> Live | None:
    return Live(console=console, refresh_per_second=4) if console.is_terminal else None


def _since_the_first(watch: Watch) -> float:
    """Return the seconds since the first event was visible; 0 before it is."""
    return 0.0 if watch.first_at is None else time() - watch.first_at


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


def _note(wish: Wish, stage: Stage) -> str:
    done = "".join(f", {act}: {times}" for act, times in stage.done.items())
    return f"logs, settings and books: {wish.directory}{done}; Ctrl-C ends everything"


# ---- the end --------------------------------------------------------------------------


def _settle(stage: Stage) -> None:
    """Undo what lasts, wait until every feed is followed, and let the twins finish."""
    stage.settle()
    limit = monotonic() + _READY
    while not stage.cast.is_ready():
        if monotonic() > limit:
            raise OperatorError(
                f"ingest is not ready after {_READY:.0f} s: see {stage.cast.directory}"
            )
        stage.tend(0.0)
        sleep(_TICK)
    stage.cast.quiet()


def _read_back(wish: Wish, stage: Stage, console: Console) -> Reconciliation:
    """Return the books against the topics, once nothing that can be had is outstanding."""
    books, limit = read_books(stage.cast.books), monotonic() + _READ_BACK
    stack = stage.stack
    while True:
        _drain(wish, stage.cast, stack)
        found = reconcile(
            books, stack.connection, stack.registry_url, wish.providers, is_settled=True
        )
        if not found.outstanding or monotonic() > limit:
            return found
        console.print(f"{len(found.outstanding)} facts are still to be read back", style="dim")
        sleep(_LINE_EVERY)


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

"""Everything at once while processes are killed, frozen and starved, and what came of it.

Real Kafka, a real registry, the real programs, twins in place of the providers. At the end
the twins' books are held against ``events``: facts, their order, and a ledger's balances.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Final

from rich.console import Console
from rich.live import Live

from penstock.cast import Cast, Role, assembled
from penstock.chaos_acts import Stage
from penstock.chaos_plan import Act, Timed, schedule
from penstock.demo_settings import write_settings
from penstock.errors import OperatorError
from penstock.lag import Lag
from penstock.ledger_check import differing, posted_by_books, posted_by_ledger
from penstock.meter import Meter
from penstock.order import Order
from penstock.preparation import prepare
from penstock.reconcile import Reconciliation, by_fastavro, read_books, reconcile
from penstock.stack import Stack, local_stack
from penstock.state_room import StateRoom, release, state_room
from penstock.supervisor import Supervised
from schemas.topics import partition_of

PARTITIONS: Final = 4
_GROUP: Final = "penstock"
_TICK: Final = 0.1
_LINE_EVERY: Final = 10.0
_START: Final = 60.0
"""Seconds until the first event must be there."""
_DRAIN: Final = 180.0
"""Seconds that what was told may take to be visible once all is quiet."""
_STILL: Final = 3.0
"""Seconds without a new frame in raw after which none is on its way."""
_TRIES: Final = 1_000
"""Programs may fail for as long as the run lasts: then the drain tells whether they recovered."""
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a run is to do."""

    directory: Path
    providers: Sequence[str]
    minutes: float
    seed: int
    rate: float
    """Facts a second and provider."""
    accounts: int
    """Of each provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was done, and what came of it."""

    seed: int
    kills: int
    done: Counter[Act]
    not_run: dict[Act, str]
    reconciliation: Reconciliation
    disorder: Sequence[str]
    holes: Sequence[str]
    balances: Sequence[str]
    """Where the ledger's and the books' differ."""

    @property
    def holds(self) -> bool:
        return self.reconciliation.holds and not (self.disorder or self.holes or self.balances)

    def __str__(self) -> str:
        told = self.reconciliation
        money = "different" if self.balances or told.different else "equal"
        return (
            f"CHAOS seed={self.seed} kills={self.kills} facts={told.told - told.missed} "
            f"lost={len(told.lost)} twice={len(told.twice)} disorder={len(self.disorder)} "
            f"holes={len(self.holes)} money={money} missed={told.missed}"
        )

    def acts(self) -> Iterator[str]:
        """Yield a line for each act: how often it was done, or why it was not."""
        for act in Act:
            if act in self.done:
                yield f"{self.done[act]:>4}  {act}"
            elif act in self.not_run:
                yield f"   -  {act}: not run: {self.not_run[act]}"
            else:
                yield f"   -  {act}: not run: not due within the time"

    def complaints(self) -> Iterator[str]:
        """Yield a few lines about each thing that does not hold."""
        yield from self.reconciliation.complaints()
        wrong = {"disorder": self.disorder, "hole": self.holes, "balance": self.balances}
        for what, lines in wrong.items():
            yield from (f"{what}: {line}" for line in lines[:_SHOWN])
            if len(lines) > _SHOWN:
                yield f"{what}: and {len(lines) - _SHOWN} more"


def run(wish: Wish, console: Console) -> Verdict:
    """Run it; return the verdict. Nothing is left running, whatever happens."""
    state = wish.directory / "state"
    release(state)
    if wish.directory.exists():
        shutil.rmtree(wish.directory)
    wish.directory.mkdir(parents=True)
    with ExitStack() as at_the_end:
        room = at_the_end.enter_context(state_room(state))
        cast = at_the_end.enter_context(assembled(wish.directory, tries=_TRIES))
        cast.start_twins(roles(wish))
        stack = at_the_end.enter_context(
            local_stack(
                wish.directory / "stack",
                partitions=PARTITIONS,
                say=lambda said: console.print(said, style="dim"),
            )
        )
        # Before the stack ends, the programs do.
        at_the_end.callback(cast.stop_programs)
        prepare(stack, wish.providers)
        stage = _staged(wish, cast, stack, room)
        controls = [told["control_url"] for told in cast.introductions]
        meter = Meter(stack.connection, _GROUP, wish.providers, controls)
        with meter:
            _play(wish, stage, meter, console)
            _settle(wish, stage, console)
        console.print("reading books, topics and ledger", style="dim")
        return _judge(wish, stage)


def roles(wish: Wish) -> Iterator[Role]:
    """Yield the accounts, each in another partition for as long as there are any."""
    numbers = count()
    for provider in wish.providers:
        for _ in range(wish.accounts):
            number = next(numbers)
            yield Role(
                provider=provider,
                account=_account_in(number % PARTITIONS),
                rate=wish.rate / wish.accounts,
                seed=wish.seed * 1_000 + number,
            )


def _account_in(partition: int) -> str:
    names = (f"shop-{number}" for number in count(1))
    return next(name for name in names if partition_of(name, PARTITIONS) == partition)


def _staged(wish: Wish, cast: Cast, stack: Stack, room: StateRoom) -> Stage:
    """Start ingest and one worker."""

    def settings(name: str) -> Path:
        return write_settings(
            wish.directory / f"{name}.toml",
            stack.bootstrap_servers,
            stack.registry_url,
            cast.introductions,
            # A disk of its own for each worker, as hosts have: what it holds falls behind
            # while another one works.
            str(room.of(name)),
        )

    def add_worker() -> Supervised:
        name = f"worker-{len(cast.processors) + 1}"
        return cast.start_processor(name, settings(name))

    told = settings("ingest")
    for provider in wish.providers:
        cast.start_ingest(provider, told)
    add_worker()
    return Stage(cast, stack, room, add_worker)


# ---- the play -------------------------------------------------------------------------


def _play(wish: Wish, stage: Stage, meter: Meter, console: Console) -> None:
    """Do every act at its time, for as many minutes as were wished."""
    _await(lambda: meter.published > 0, stage, _START, "no event was published")
    acts = list(schedule(Random(wish.seed), wish.minutes))  # noqa: S311 - chaos, not a secret
    began, shown = monotonic(), 0.0
    with ExitStack() as at_the_end:
        live = Live(console=console) if console.is_terminal else None
        if live:
            at_the_end.enter_context(live)
        diary = at_the_end.enter_context((wish.directory / "acts.log").open("w"))
        while (now := monotonic() - began) < wish.minutes * 60:
            while acts and acts[0].at <= now:
                act = _late(acts.pop(0), now)
                came_to = stage.perform(act) or "done"
                diary.write(f"{datetime.now(UTC):%T} {now:6.1f} s  {act.act}: {came_to}\n")
            stage.tend(now)
            line = _line(stage, meter, now, wish.minutes * 60)
            if live:
                live.update(line)
            elif now > shown + _LINE_EVERY:
                shown = now
                console.print(line, highlight=False, soft_wrap=True)
            sleep(_TICK)


def _late(timed: Timed, now: float) -> Timed:
    """Return an act as of now: one that had to wait lasts as long as it was meant to."""
    return Timed(now, timed.act, timed.pick, timed.lasts)


def _line(stage: Stage, meter: Meter, now: float, seconds: float) -> str:
    width = 20
    bar = "█" * int(width * now / seconds)
    lag = "?" if meter.lag is None else meter.lag
    return (
        f"{bar:░<{width}} {now:4.0f} of {seconds:.0f} s  acts {stage.done.total():>3}  "
        f"kills {stage.kills:>3}  workers {len(stage.cast.processors)}  told {meter.told:>7}  "
        f"published {meter.published:>7}  lag {lag}"
    )


def _await(is_so: Callable[[], bool], stage: Stage, seconds: float, otherwise: str) -> None:
    limit = monotonic() + seconds
    while not is_so():
        if monotonic() > limit:
            raise OperatorError(f"{otherwise} after {seconds:.0f} s: see {stage.cast.directory}")
        for program in stage.cast.programs():
            program.tend()
        sleep(_TICK)


# ---- the end --------------------------------------------------------------------------


def _settle(wish: Wish, stage: Stage, console: Console) -> None:
    """Undo what lasts, let the twins finish, and wait until everything is read."""
    console.print("all acts are over: draining", style="dim")
    stage.settle()
    _await(stage.cast.is_ready, stage, _START, "ingest is not ready")
    stage.cast.quiet()
    with Lag(stage.stack.connection, _GROUP, wish.providers) as lag:
        still = _Still(lag, len(stage.cast.twins))
        _await(still.is_so, stage, _DRAIN, "not everything that is in raw was read")


class _Still:
    """Whether no frame came to raw for a while, and all of it is read.

    An idle account says that it is alive less often than once in that while.
    """

    def __init__(self, lag: Lag, accounts: int) -> None:
        self._lag, self._accounts = lag, accounts
        self._records = 0
        self._since = monotonic()

    def is_so(self) -> bool:
        if monotonic() < self._since + _STILL:
            return False
        before, self._records = self._records, sum(self._lag.ends().values())
        self._since = monotonic()
        return self._records <= before + self._accounts and self._lag.behind() == 0


def _judge(wish: Wish, stage: Stage) -> Verdict:
    books = read_books(stage.cast.books)
    order = Order(books.facts)
    servers, registry = stage.stack.bootstrap_servers, stage.stack.registry_url
    reconciliation = reconcile(
        books,
        stage.stack.connection,
        registry,
        wish.providers,
        see=order.see,
        decoder=by_fastavro,
    )
    expected = posted_by_books(books.facts[one] for one in reconciliation.acknowledged)
    return Verdict(
        seed=wish.seed,
        kills=stage.kills,
        done=stage.done,
        not_run=stage.not_run,
        reconciliation=reconciliation,
        disorder=order.disorder,
        holes=order.holes(),
        balances=differing(expected, posted_by_ledger(servers, registry)),
    )

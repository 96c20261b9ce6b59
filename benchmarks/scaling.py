"""How work grows: 1, 2 and 4 workers on one backlog, and what partitions and accounts cost at rest.

``python benchmarks/scaling.py [--frames 120000] [--workers 1 2 4]``, some two minutes. The
backlog is real frames of all providers, one account in each of 12 partitions.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil
from confluent_kafka import Producer
from rich.console import Console

from benchmarks import machine, programs
from benchmarks.frames import Recording, record
from benchmarks.loads import PARTITIONS, Accounts, frames_of_all
from benchmarks.open_loop import Outgoing
from benchmarks.open_sockets import PROVIDER, sockets
from benchmarks.part import Chart, Spread, Tell
from ingest.feeds import FEEDS
from penstock.child import Child
from penstock.lag import Lag
from penstock.preparation import prepare
from penstock.stack import Stack, local_stack

_FRAMES: Final = 2_000
"""Of each provider, told by one account of each partition; then by others."""
_MANY_PARTITIONS: Final = 48
_MANY_ACCOUNTS: Final = 33
_AT_REST: Final = 5.0
"""Seconds."""
_SETTLED: Final = 2.0
_LIMIT: Final = 120.0
_APPLICATION: Final = "penstock"


@dataclass(frozen=True, slots=True)
class Asked:
    frames: int = 120_000
    workers: Sequence[int] = (1, 2, 4)


_SMOKE: Final = Asked(6_000, (1, 2))


@dataclass(frozen=True, slots=True)
class Drained:
    """So many workers of one group, from the end of the filling to the last commit."""

    workers: int
    events: int
    seconds: float
    cpu: float
    """Seconds of all workers."""
    rss_mb: float
    """Of one worker, at most."""


@dataclass(frozen=True, slots=True)
class AtRest:
    """A program that has nothing to do."""

    what: str
    cpu: float
    """Share of one core."""
    rss_mb: float
    connections: int
    """To Kafka and to a provider."""


@dataclass(frozen=True, slots=True)
class Results:
    drained: Sequence[Drained]
    at_rest: Sequence[AtRest]


def measure(smoke: bool, tell: Tell) -> Results:  # noqa: FBT001 - as run.py calls every part
    return measured(_SMOKE if smoke else Asked(), tell)


def measured(asked: Asked, tell: Tell) -> Results:
    """Drain a new backlog with each number of workers; then look at programs at rest."""
    tell(0.0, "recording frames")
    recordings = [record(name, _FRAMES) for name in FEEDS]
    drained = []
    for number, count in enumerate(asked.workers):
        tell(number / (len(asked.workers) + 1), f"{count} workers")
        drained.append(_drained(recordings, count, asked.frames))
    tell(1 - 1 / (len(asked.workers) + 1), "at rest")
    return Results(drained, _all_at_rest())


# ---- a backlog -------------------------------------------------------------------------


def _drained(recordings: Sequence[Recording], count: int, frames: int) -> Drained:
    accounts = Accounts()
    backlog = frames_of_all(recordings, accounts)(PARTITIONS, frames)
    tokens = {told.provider: told.token for told in recordings if told.token}
    with TemporaryDirectory() as place, ExitStack() as ends:
        enter, directory = ends.enter_context, Path(place)
        # Not as shipped: that one would be compiled for longer than a backlog takes.
        stack = enter(local_stack(directory / "stack", partitions=PARTITIONS))
        prepare(stack, FEEDS)
        workers = programs.processors(stack, directory / "w", accounts.all, tokens, count=count)
        enter(programs.running(workers))
        lag = enter(Lag(stack.connection, _APPLICATION, FEEDS))
        with _frozen(workers):
            _fill(stack, backlog)
        used = [programs.usage(worker) for worker in workers]
        begun, events = monotonic(), len(backlog)
        _until_drained(lag)
        seconds = monotonic() - begun
        cpu = sum(usage.share() for usage in used) * seconds
        rss = max(_rss_mb(worker) for worker in workers)
    return Drained(count, events, seconds, cpu, rss)


@contextmanager
def _frozen(workers: Sequence[Child]) -> Iterator[None]:
    """Hold workers that are ready, for less than their session, so that all begin at once."""
    for worker in workers:
        worker.signal(SIGSTOP)
    yield
    for worker in workers:
        worker.signal(SIGCONT)


def _fill(stack: Stack, backlog: Sequence[Outgoing]) -> None:
    """Write a backlog as fast as it is taken."""
    producer = Producer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "linger.ms": 50,
            "queue.buffering.max.messages": len(backlog),
            "queue.buffering.max.kbytes": 2_000_000,
        }
    )
    for each in backlog:
        producer.produce(
            each.topic, each.value, each.key, each.partition, headers=list(each.headers)
        )
    producer.flush()


def _until_drained(lag: Lag) -> None:
    limit = monotonic() + _LIMIT
    while left := lag.behind():
        if monotonic() > limit:
            raise SystemExit(f"{left:,} records are not read after {_LIMIT:.0f} s")
        sleep(0.05)


# ---- at rest ---------------------------------------------------------------------------


def _all_at_rest() -> list[AtRest]:
    found = []
    with TemporaryDirectory() as place:
        for partitions in (PARTITIONS, _MANY_PARTITIONS):
            directory = Path(place, str(partitions))
            with programs.stack(directory, partitions) as stack:
                prepare(stack, FEEDS)
                (worker,) = programs.processors(stack, directory / "w", [], {})
                with programs.running([worker]):
                    found.append(_at_rest(f"a worker of {partitions} partitions", worker))
                if partitions == _MANY_PARTITIONS:
                    found += [_following(stack, directory, count) for count in (1, _MANY_ACCOUNTS)]
    return found


def _following(stack: Stack, directory: Path, count: int) -> AtRest:
    """Look at an ingest whose sockets say nothing."""
    accounts = [str(number) for number in range(count)]
    with sockets([]) as provider:
        following = programs.ingest(stack, directory / str(count), PROVIDER, provider.url, accounts)
        with programs.running([following]):
            provider.until_heard(count)
            return _at_rest(f"an ingest of {count} accounts", following)


def _at_rest(what: str, program: Child) -> AtRest:
    sleep(_SETTLED)
    used = programs.usage(program)
    sleep(_AT_REST)
    connections = used.process.net_connections("tcp")
    established = sum(each.status == psutil.CONN_ESTABLISHED for each in connections)
    return AtRest(what, used.share(), _rss_mb(program), established)


def _rss_mb(program: Child) -> float:
    return float(psutil.Process(program.trace().pid).memory_info().rss) / 1e6


# ---- what is told ----------------------------------------------------------------------


def report(results: Results) -> str:
    """Return a section of Markdown."""
    drained = "\n".join(
        f"| {run.workers} | {run.events / run.seconds:,.0f} | {run.cpu / run.events * 1e6:.1f} "
        f"| {run.cpu / run.seconds:.2f} | {run.rss_mb:.0f} |"
        for run in results.drained
    )
    at_rest = "\n".join(
        f"| {found.what} | {found.cpu:.1%} | {found.rss_mb:.0f} | {found.connections} |"
        for found in results.at_rest
    )
    cores, first = psutil.cpu_count(), results.drained[0]
    return f"""### Scaling

| workers | events/s | CPU µs per event | cores used by them | RSS of one, MB |
|---:|---:|---:|---:|---:|
{drained}

A backlog of {first.events:,} real frames of all providers in {PARTITIONS} partitions, from the end
of its writing to the last commit; broker and workers share {cores} cores.

| at rest | CPU of a core | RSS, MB | connections |
|---|---:|---:|---:|
{at_rest}
"""


def charts(results: Results) -> list[Chart]:
    """Return a panel of events a second."""
    rates = {
        f"ours, {run.workers} workers": Spread(*[run.events / run.seconds] * 3)
        for run in results.drained
    }
    return [Chart("A backlog, by workers", "events/s", rates)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python benchmarks/scaling.py --frames 12000"
    )
    parser.add_argument("--frames", type=int, default=Asked().frames)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    told = parser.parse_args()
    with Console(stderr=True).status("scaling") as status:
        facts = machine.facts()
        results = measured(Asked(told.frames, told.workers), lambda _, said: status.update(said))
    print(report(results), facts, sep="\n")


if __name__ == "__main__":
    main()

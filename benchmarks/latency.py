"""How long until a ``read_committed`` consumer sees an event: from raw, and from the socket.

``python benchmarks/latency.py [--seconds 5] [--rates 500 5000] [--partitions 1 4 12]``, some
fifteen minutes. Every program is a process of its own on a real Kafka, and so are the load and
the consumer; the programs' windows take turns, three times over. Ours and Kafka Streams do the
reference work, each beside the other; then ours maps real frames of all providers, with everything
on.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from confluent_kafka import Message
from rich.console import Console

from benchmarks import machine, programs, reference
from benchmarks.frames import record
from benchmarks.loads import PARTITIONS, Accounts, Load, frames_of_all, reference_events
from benchmarks.open_loop import (
    Feeder,
    Origin,
    Place,
    Watcher,
    due,
    feeder,
    quantile,
    watcher,
)
from benchmarks.open_sockets import PROVIDER, Sockets, sockets
from benchmarks.part import Chart, Spread, Tell
from benchmarks.peers import java
from benchmarks.stages import event_ids
from ingest.feeds import FEEDS
from penstock.avro_records import headers
from penstock.child import Child
from penstock.cluster import Cluster
from penstock.preparation import prepare
from penstock.stack import Stack
from schemas import topics
from schemas.avro_reader import Reader
from schemas.codec import schema_text
from schemas.records import Event
from schemas.topics import Topic

_OURS: Final = "ours, reference work"
_STREAMS: Final = "Kafka Streams, {} ms, reference work"
_OURS_FRAMES: Final = "ours, real frames"
_FROM_SOCKET: Final = "ours, real frames, from the socket"
_COMMIT_MS: Final = (20, 100)
_FRAMES: Final = 2_000
"""Of each provider, before another account is told the same."""
_SIGNED_FRAMES: Final = 10_000
"""Of one socket."""
_WARM: Final = 60_000
"""Records before the first window of a program: the JIT's, and RocksDB's first files."""
_WARM_RATE: Final = 6_000
_ACTIVE: Final = 4
"""Partitions that have work where the limits hold that the project set itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is measured: each program, at each rate, with so many active partitions."""

    seconds: float = 5.0
    """Of a window."""
    rounds: int = 3
    """How often each program has a window of each kind: one stall of the machine is 1 % of one."""
    rates: Sequence[int] = (500, 5_000)
    """Events a second."""
    partitions: Sequence[int] = (1, 4, 12)
    warm: int = _WARM
    peers: bool = True


_SMOKE: Final = Asked(2.0, 1, (500,), (_ACTIVE,), 2_000)


@dataclass(frozen=True, slots=True)
class Cell:
    """What a window is asked to be."""

    rate: int
    """Events a second."""
    active: int
    """Partitions that have work."""
    count: int
    """Records."""


@dataclass(frozen=True, slots=True)
class Window:
    """One program in one cell."""

    system: str
    cell: Cell
    took: Sequence[int]
    """ns of each event that became visible, sorted."""
    cpu: Mapping[str, float]
    """Process → share of one core."""
    late: float
    """ms by which the latest 1 % of the load left too late."""

    def ms(self, share: float) -> float:
        """Return the latency that so large a share of the events does not exceed."""
        return quantile(self.took, share) / 1e6


@dataclass(frozen=True, slots=True)
class Results:
    seconds: float
    """Of a window."""
    windows: Sequence[Window]


# ---- what became visible, by what it came from ------------------------------------------


def place_of(message: Message) -> Origin:
    told = _read(message.value() or b"").evidence
    return Place(told.topic, told.partition, told.offset)


_read = Reader(Event, lambda _: schema_text("event"))


def event_id_of(message: Message) -> Origin:
    return dict(headers(message))["ce_id"]


def key_of(message: Message) -> Origin:
    return message.key() or b""


# ---- from raw --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _System:
    """A program that is fed by a topic."""

    name: str
    program: Child
    watch: Watcher
    output: str
    load: Load


@contextmanager
def _streams(stack: Stack, directory: Path, jars: Path, commit_ms: int) -> Iterator[_System]:
    name = _STREAMS.format(commit_ms)
    raw, output = (f"streams.{commit_ms}.{what}" for what in ("raw", "events"))
    Cluster(stack.connection).apply([Topic(topic, PARTITIONS, 1) for topic in (raw, output)])
    options = java.Options(
        bootstrap=stack.bootstrap_servers,
        application=f"streams-{commit_ms}",
        inputs=[raw],
        output=output,
        state=directory / f"streams-{commit_ms}",
        commit_ms=commit_ms,
    )
    command = java.command("Reference", jars, options)
    log = directory / f"streams-{commit_ms}.log"
    with _fed(stack, Child(name, command, log, lambda: True), raw, output) as system:
        yield system


@contextmanager
def _ours(stack: Stack, directory: Path) -> Iterator[_System]:
    raw, group = "ours.raw", "ours"
    Cluster(stack.connection).apply([Topic(raw, PARTITIONS, 1)])
    command = reference.ours(stack.bootstrap_servers, group, [raw], directory / group)
    child = Child(_OURS, command, directory / f"{group}.log", lambda: True)
    with _fed(stack, child, raw, topics.EVENTS) as system:
        yield system


@contextmanager
def _fed(stack: Stack, child: Child, raw: str, output: str) -> Iterator[_System]:
    """Run a program of the reference work, and watch what it tells."""
    with programs.running([child]), watcher(stack.bootstrap_servers, key_of) as watch:
        yield _System(child.name, child, watch, output, reference_events(raw))


def _from_raw(feed: Feeder, system: _System, cell: Cell) -> Window:
    records = system.load(cell.active, cell.count)
    system.watch.begin(system.output)
    feed.begin(records, cell.rate)
    used = programs.usage(system.program)
    acknowledged, late = feed.acknowledged()
    cpu = {used.name: used.share()}
    return Window(system.name, cell, _took(acknowledged, system.watch.end()), cpu, late / 1e6)


def _took(begun: Mapping[Origin, int], seen: Sequence[tuple[int, Origin]]) -> list[int]:
    """Return the ns that each event took; what was seen and not begun is of before."""
    took = sorted(at - begun[origin] for at, origin in seen if origin in begun)
    if not took:
        raise SystemExit("nothing became visible: see the programs' logs")
    return took


# ---- from the socket -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Signed:
    """A provider's frames, and what becomes of them."""

    sockets: Sockets
    ids: Sequence[Sequence[str]]
    """Of the events of each frame, without provider and account."""
    watch: Watcher
    processors: Child
    accounts: Accounts


def _from_socket(stack: Stack, directory: Path, signed: _Signed, cell: Cell) -> Window:
    """Start an ingest for new accounts, and send its sockets what is due."""
    each = ceil(cell.count / cell.active / len(signed.ids))
    accounts = [signed.accounts.of(number) for _ in range(each) for number in range(cell.active)]
    following = programs.ingest(stack, directory, PROVIDER, signed.sockets.url, accounts)
    with programs.running([following]):
        signed.sockets.until_heard(len(accounts))
        signed.watch.begin(topics.EVENTS)
        begin = signed.sockets.begin(accounts, cell.count, cell.rate)
        used = [programs.usage(child) for child in (following, signed.processors)]
        late = signed.sockets.sent()
        cpu = {usage.name: usage.share() for usage in used}
        took = _took(_sent(signed, accounts, begin, cell), signed.watch.end())
    return Window(_FROM_SOCKET, cell, took, cpu, late / 1e6)


def _sent(signed: _Signed, accounts: Sequence[str], begin: int, cell: Cell) -> dict[Origin, int]:
    """Return event id → when its frame was due, the first time that it was told."""
    sent: dict[Origin, int] = {}
    for number in range(cell.count):
        account = accounts[number % len(accounts)]
        for native in signed.ids[number // len(accounts)]:
            name = f"{PROVIDER}/{account}/{native}".encode()
            sent.setdefault(name, due(begin, number, cell.rate))
    return sent


# ---- the whole -------------------------------------------------------------------------


Measured = Callable[[Cell], Window]
"""One program, which is ready, in one cell."""


@contextmanager
def _reference_work(
    stack: Stack, directory: Path, feed: Feeder, asked: Asked
) -> Iterator[list[Measured]]:
    with ExitStack() as ends:
        systems = [ends.enter_context(_ours(stack, directory))]
        if asked.peers:
            jars = java.built()
            peers = (_streams(stack, directory, jars, each) for each in _COMMIT_MS)
            systems += map(ends.enter_context, peers)
        for system in systems:
            _warm_up(feed, system, asked)
        yield [partial(_from_raw, feed, system) for system in systems]


@contextmanager
def _real_frames(
    stack: Stack, directory: Path, feed: Feeder, asked: Asked
) -> Iterator[list[Measured]]:
    recordings = {name: record(name, _FRAMES) for name in FEEDS}
    signed = record(PROVIDER, _SIGNED_FRAMES)
    recordings[PROVIDER] = signed.first(_FRAMES)
    accounts = Accounts()
    tokens = {told.provider: told.token for told in recordings.values() if told.token}
    (worker,) = programs.processors(stack, directory / "processors", accounts.all, tokens)
    with ExitStack() as ends:
        enter = ends.enter_context
        enter(programs.running([worker]))
        load = frames_of_all(list(recordings.values()), accounts)
        watches = [enter(watcher(stack.bootstrap_servers, by)) for by in (place_of, event_id_of)]
        told = enter(sockets([frame.decode() for frame in signed.frames]))
        system = _System(_OURS_FRAMES, worker, watches[0], topics.EVENTS, load)
        of_socket = _Signed(told, event_ids(signed), watches[1], worker, accounts)
        _warm_up(feed, system, asked)
        yield [partial(_from_raw, feed, system), partial(_from_socket, stack, directory, of_socket)]


def _warm_up(feed: Feeder, system: _System, asked: Asked) -> None:
    _from_raw(feed, system, Cell(_WARM_RATE, PARTITIONS, asked.warm))


_Work = Callable[[Stack, Path, Feeder, Asked], AbstractContextManager[list[Measured]]]
_WORKS: Final[Mapping[str, _Work]] = {
    "the reference work": _reference_work,
    "real frames": _real_frames,
}
"""Each has a Kafka of its own, so that what rests in one takes nothing from the other."""


def measure(smoke: bool, tell: Tell) -> Results:  # noqa: FBT001 - as run.py calls every part
    return measured(_SMOKE if smoke else Asked(), tell)


def measured(asked: Asked, tell: Tell) -> Results:
    """Measure every program in turn, at each rate and number of active partitions."""
    cells = [
        Cell(rate, active, round(rate * asked.seconds))
        for active in asked.partitions
        for rate in asked.rates
    ]
    windows = []
    for place, (name, work) in enumerate(_WORKS.items()):
        tell(place / len(_WORKS), f"{name}: preparing, warming up")
        turns = cells * asked.rounds
        with _ready(work, asked) as programs_of_it:
            for number, cell in enumerate(turns):
                done = (place + number / len(turns)) / len(_WORKS)
                tell(done, f"{name}: {cell.rate:,} events/s, {cell.active} active partitions")
                windows += [window_of(cell) for window_of in programs_of_it]
    return Results(asked.seconds, windows)


@contextmanager
def _ready(work: _Work, asked: Asked) -> Iterator[list[Measured]]:
    with TemporaryDirectory() as place, ExitStack() as ends:
        directory, enter = Path(place), ends.enter_context
        stack = enter(programs.stack(directory, PARTITIONS))
        prepare(stack, FEEDS)
        feed = enter(feeder(stack.bootstrap_servers))
        yield enter(work(stack, directory, feed, asked))


def report(results: Results) -> str:
    """Return a section of Markdown."""
    rates = sorted({window.cell.rate for window in results.windows})
    heads = [f"{rate:,}/s: p50 / p99 / p99.9, ms | CPU of a core" for rate in rates]
    windows = sorted(results.windows, key=lambda window: window.cell.active)
    rows = dict.fromkeys((window.cell.active, window.system) for window in windows)
    found = _by_kind(results)
    lines = (
        f"| {active} | {name} | "
        f"{' | '.join(_figures(found[rate, active, name]) for rate in rates)} |"
        for active, name in rows
    )
    late = max(window.late for window in results.windows)
    rounds = max(map(len, found.values()))
    return f"""### Latency

| active partitions | | {" | ".join(heads)} |
|---:|---|{"---:|---:|" * len(rates)}
{chr(10).join(lines)}

From the broker's acknowledgement in raw, or from the moment at which a frame was due at a
provider's socket, to a `read_committed` consumer; so many of {PARTITIONS} partitions have work.
Load at fixed times, also where a program falls behind (its latest 1 % left {late:.0f} ms late at
most), in windows of {results.seconds:.0f} s that take turns. Each figure is the median of {rounds}
windows. Ours: default settings, everything on; real frames are those of all providers (from the
socket: Transak's, verified). Kafka Streams: exactly once, one thread, by its commit interval. The
two works run one after the other, each on a Kafka of its own.
"""


_Kind = tuple[int, int, str]
"""Events a second, active partitions, program."""


def _by_kind(results: Results) -> Mapping[_Kind, Sequence[Window]]:
    found: dict[_Kind, list[Window]] = {}
    for window in results.windows:
        kind = window.cell.rate, window.cell.active, window.system
        found.setdefault(kind, []).append(window)
    return found


def _ms(windows: Sequence[Window]) -> Iterator[float]:
    """Yield the medians of what 50, 99 and 99.9 % of the events do not exceed."""
    for share in (0.5, 0.99, 0.999):
        yield median(window.ms(share) for window in windows)


def _figures(windows: Sequence[Window]) -> str:
    spread = " / ".join(f"{ms:.1f}" for ms in _ms(windows))
    names = list(windows[0].cpu)
    shares = [f"{median(window.cpu[name] for window in windows):.0%}" for name in names]
    if len(names) > 1:
        shares = [f"{share} {name}" for share, name in zip(shares, names, strict=True)]
    return f"{spread} | {' + '.join(shares)}"


def charts(results: Results) -> list[Chart]:
    """Return a panel for each rate, with as many active partitions as the targets speak of."""
    found = _by_kind(results)
    return [
        Chart(
            f"Raw to visible, p50 / p99 / p99.9: {rate:,} events/s, {_ACTIVE} partitions",
            "ms",
            {
                name: Spread(*_ms(windows))
                for (of, active, name), windows in found.items()
                if (of, active) == (rate, _ACTIVE)
            },
        )
        for rate in sorted({rate for rate, _, _ in found})
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python benchmarks/latency.py --rates 500 --seconds 5"
    )
    parser.add_argument("--seconds", type=float, default=Asked().seconds, help="of a window")
    parser.add_argument("--rates", type=int, nargs="+", default=[500, 5_000], help="events/s")
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 4, 12], help="active")
    parser.add_argument("--warm", type=int, default=_WARM, help="records before the first window")
    parser.add_argument("--no-peers", action="store_true", help="leave Kafka Streams out")
    parser.add_argument("--rounds", type=int, default=Asked().rounds, help="windows of each kind")
    told = parser.parse_args()
    asked = Asked(
        told.seconds, told.rounds, told.rates, told.partitions, told.warm, peers=not told.no_peers
    )
    console = Console(stderr=True)
    with console.status("latency") as status:
        facts = machine.facts()
        print(report(measured(asked, lambda _, said: status.update(said))), facts, sep="\n")


if __name__ == "__main__":
    main()

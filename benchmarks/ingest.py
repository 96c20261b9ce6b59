"""Ingest on a real Kafka: one socket that is never quiet, to acknowledged in a topic.

``python benchmarks/ingest.py [--frames 40000] [--runs 3] [--against DIR]``; DIR is another
checkout, whose ingest is measured in turn with ours. Ours and cryptofeed's, in turn, follow
the same server into the same broker; and once each with the broker paused.
"""

import argparse
import os
import signal
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from confluent_kafka import Consumer, KafkaException, TopicPartition

from benchmarks import programs
from benchmarks.bench_venv import BENCH_PYTHON
from benchmarks.drain import cpu_seconds, memory_mb
from benchmarks.followers import PROVIDER, Cryptofeed, Follower, Ingest, Place
from benchmarks.frames import record
from benchmarks.part import Tell
from benchmarks.sender import sender
from penstock.preparation import prepare
from penstock.stack import Stack
from penstock.stack_record import LocalProcess
from penstock.topic_reader import whole

_OURS, _PEER = "Penstock", "cryptofeed"
_LIMIT = 180.0
_TRIES = 50
_STILL = 45.0
"""Seconds without a new record after which what is missing is lost: a producer of aiokafka
gives a record up after 40."""
_WARM = 0.1
"""Share of the frames that is not measured."""
_RATE = 1_000.0
"""Frames a second while the broker is paused: what cryptofeed keeps up with otherwise."""
_BEFORE, _EARLY, _PAUSED, _AFTER = 2.0, 8.0, 20.0, 2.0
"""Seconds; ``_EARLY`` is the first part of the pause."""


@dataclass(frozen=True, slots=True)
class Carried:
    """One run with a healthy broker, after the warm-up."""

    frames_per_second: float
    cpu_us: float
    """CPU µs of the whole process per frame."""
    rss_mb: float
    """At most."""
    lost: int


@dataclass(frozen=True, slots=True)
class Paused:
    """One run with the broker paused."""

    sent: int
    lost: int
    before_mb: float
    """When the broker stopped."""
    early_mb: float
    """``_EARLY`` seconds later: what is kept in memory, and no more, is there by then."""
    late_mb: float
    """At the end of the pause."""
    peak_mb: float
    """At most, over the whole run."""
    behind: float
    """Seconds from the end of the pause until the topic had what it has."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured, by the name of the program."""

    frames: int
    mean_bytes: float
    carried: Mapping[str, Sequence[Carried]]
    paused: Mapping[str, Paused]
    load: float
    """The machine's, over the last minute, when the first run began."""


def measure(  # noqa: PLR0913 - what to measure, and against what
    count: int,
    runs: int,
    *,
    against: Sequence[Path] = (),
    peer: Path | None = BENCH_PYTHON,
    pauses: bool = True,
    tell: Tell = lambda _, what: print(what, file=sys.stderr),
) -> Results:
    """Measure everything in turn; ``peer`` is the Python that has cryptofeed. Takes minutes."""
    followers: dict[str, Follower] = {_OURS: Ingest()}
    followers |= {str(tree): Ingest(tree.resolve()) for tree in against}
    if peer:
        followers[_PEER] = Cryptofeed(peer)
    told = _frames(count)
    told_slowly = _frames(int(_RATE * (_BEFORE + _PAUSED + _AFTER))) if pauses else ()
    plan = [(name, pausing) for pausing in [False] * runs + [True] * pauses for name in followers]
    carried: dict[str, list[Carried]] = {name: [] for name in followers}
    paused: dict[str, Paused] = {}
    load = os.getloadavg()[0]
    with TemporaryDirectory() as directory, programs.stack(Path(directory)) as stack:
        prepare(stack, [PROVIDER])
        for number, (name, pausing) in enumerate(plan):
            tell(number / len(plan), f"{name}, the broker paused" if pausing else name)
            if pausing:
                paused[name] = _pause(stack, told_slowly, followers[name])
            else:
                carried[name].append(_carry(stack, told, followers[name]))
    mean_bytes = statistics.mean(len(frame.encode()) for frame in told)
    return Results(count, mean_bytes, carried, paused, load)


def _frames(count: int) -> tuple[str, ...]:
    """Return frames of the provider, as its twin tells them."""
    return tuple(frame.decode() for frame in record(PROVIDER, count).frames)


def _carry(stack: Stack, told: Sequence[str], follower: Follower) -> Carried:
    """Send everything as fast as it is read."""
    warm, place = int(len(told) * _WARM), follower.place(stack)
    with (
        sender(told) as provider,
        follower.follow(stack, provider.url) as process,
        _end(stack, place) as end,
    ):
        base = end()
        provider.until_heard()
        provider.send(0, warm)
        _until(end, base + place.marks + warm)
        began, cpu = monotonic(), cpu_seconds(process.pid)
        provider.send(warm, len(told))
        still = _until(end, base + place.marks + len(told))
        seconds, cpu = monotonic() - began - still, cpu_seconds(process.pid) - cpu
        rss = memory_mb(process.pid, "VmHWM")
    count = len(told) - warm
    return Carried(count / seconds, cpu / count * 1e6, rss, _lost(stack, place, base, told))


def _pause(stack: Stack, told: Sequence[str], follower: Follower) -> Paused:
    """Send at a steady rate, and pause the broker meanwhile."""
    place = follower.place(stack)
    with (
        sender(told) as provider,
        follower.follow(stack, provider.url) as process,
        _end(stack, place) as end,
    ):
        base = end()
        provider.until_heard()
        provider.send(0, len(told), _RATE)
        sleep(_BEFORE)
        before = memory_mb(process.pid, "VmRSS")
        with _stopped(stack):
            sleep(_EARLY)
            early = memory_mb(process.pid, "VmRSS")
            sleep(_PAUSED - _EARLY)
            late = memory_mb(process.pid, "VmRSS")
        resumed = monotonic()
        provider.until_sent()
        still = _until(end, base + place.marks + len(told))
        behind, peak = monotonic() - resumed - still, memory_mb(process.pid, "VmHWM")
    lost = _lost(stack, place, base, told)
    return Paused(len(told), lost, before, early, late, peak, behind)


@contextmanager
def _stopped(stack: Stack) -> Iterator[None]:
    (trace,) = (broker.trace() for broker in stack.brokers)
    if not isinstance(trace, LocalProcess):
        raise SystemExit("a broker in a container cannot be paused: unset STACK")
    os.kill(trace.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(trace.pid, signal.SIGCONT)


def _lost(stack: Stack, place: Place, base: int, told: Sequence[str]) -> int:
    """Return how many frames the topic does not hold; what it holds twice counts once."""
    kept = [m.value() for m in whole(stack.connection, place.topic) if (m.offset() or 0) >= base]
    return len({frame.encode() for frame in told} - {*kept})


@contextmanager
def _end(stack: Stack, place: Place) -> Iterator[Callable[[], int]]:
    """Yield what returns the end of a partition: that costs who writes to it nothing."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": "benchmark"})
    partition = TopicPartition(place.topic, place.partition)
    try:
        yield lambda: _patiently(lambda: consumer.get_watermark_offsets(partition, timeout=30))[1]
    finally:
        consumer.close()


def _patiently(ask: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Ask again where a broker that was paused does not lead again yet."""
    for _ in range(_TRIES):
        with suppress(KafkaException):
            return ask()
        sleep(0.1)
    return ask()


def _until(end: Callable[[], int], goal: int) -> float:
    """Wait until a partition holds so much; return the seconds in which nothing came any more."""
    seen, changed = end(), monotonic()
    limit = changed + _LIMIT
    while seen < goal:
        if monotonic() > limit:
            raise SystemExit(f"the topic did not take everything within {_LIMIT:.0f} s")
        if monotonic() > changed + _STILL:
            return monotonic() - changed
        sleep(0.02)
        if (now := end()) != seen:
            seen, changed = now, monotonic()
    return 0.0


def report(results: Results) -> str:
    """Return a Markdown section."""
    measured = (
        f"{results.frames:,} frames of Transak's ({results.mean_bytes:,.0f} bytes each, over "
        "Pusher) from one server on loopback into one broker, as fast as they are read; runs in "
        "turn, the first tenth of each not measured. CPU is that of the whole process, kernel "
        f"included. Load average at the start: {results.load:.1f}."
    )
    sections = ["### Ingest: one socket to acknowledged in Kafka", measured]
    sections.append(_carried_table(results.carried))
    if _PEER in results.carried:
        sections.append(_COMPARED)
    if results.paused:
        sections.append(_paused_table(results.paused))
    return "\n\n".join(sections)


_COMPARED = (
    "cryptofeed runs as it comes: uvloop, the producer's defaults, its queue without a limit, and "
    "one record at a time (its backend waits for each acknowledgement before it sends the next). "
    "Its exchange reads each message, as all of its exchanges do, and passes the text on as it "
    "came: normalising it and writing it as JSON, which is its usual work, is left out. It does "
    "less than ours: no headers (who, how, when), no idempotent producer, no marks, no spool, no "
    "cursor, no metrics."
)


def _carried_table(carried: Mapping[str, Sequence[Carried]]) -> str:
    rows = ["| min / median / max | frames/s | CPU µs per frame | peak RSS MB | lost |"]
    rows.append("|---|---:|---:|---:|---:|")
    for name, runs in carried.items():
        spreads = (
            _spread([run.frames_per_second for run in runs], ",.0f"),
            _spread([run.cpu_us for run in runs], ",.1f"),
            _spread([run.rss_mb for run in runs], ",.0f"),
            f"{sum(run.lost for run in runs):,}",
        )
        rows.append(f"| {name} | {' | '.join(spreads)} |")
    return "\n".join(rows)


def _spread(figures: Sequence[float], form: str) -> str:
    shown = (min(figures), statistics.median(figures), max(figures))
    return " / ".join(format(figure, form) for figure in shown)


def _paused_table(paused: Mapping[str, Paused]) -> str:
    said = (
        f"The broker paused (SIGSTOP) for {_PAUSED:.0f} s, at {_RATE:,.0f} frames/s; early is "
        f"{_EARLY:.0f} s into the pause, behind is from its end until Kafka had everything:"
    )
    rows = [said, ""]
    rows.append("| | sent | lost | RSS MB before | early in it | at its end | peak | behind s |")
    rows.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    rows += (
        f"| {name} | {run.sent:,} | {run.lost:,} | {run.before_mb:.0f} | {run.early_mb:.0f} "
        f"| {run.late_mb:.0f} | {run.peak_mb:.0f} | {run.behind:.1f} |"
        for name, run in paused.items()
    )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python benchmarks/ingest.py --frames 10000 --runs 1"
    )
    parser.add_argument("--frames", type=int, default=40_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        help="another checkout; may be repeated",
    )
    parser.add_argument("--no-pause", action="store_true", help="leave the paused broker out")
    parser.add_argument(
        "--peer", type=Path, default=BENCH_PYTHON, help="the Python that has cryptofeed"
    )
    parser.add_argument("--no-peer", action="store_true", help="leave cryptofeed out")
    asked = parser.parse_args()
    if not asked.no_peer and not asked.peer.exists():
        raise SystemExit(f"{asked.peer} is missing: make bench makes it; or say --no-peer")
    results = measure(
        asked.frames,
        asked.runs,
        against=asked.against,
        peer=None if asked.no_peer else asked.peer,
        pauses=not asked.no_pause,
    )
    print(report(results))


if __name__ == "__main__":
    main()

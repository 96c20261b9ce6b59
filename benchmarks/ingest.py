"""Ingest on a real Kafka: one socket that is never quiet, to acknowledged in raw.

``python benchmarks/ingest.py [--frames 40000] [--runs 3] [--against DIR]``; DIR is another
checkout, whose ingest is measured in turn with ours.
"""

import argparse
import os
import signal
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from confluent_kafka import Consumer, TopicPartition

from benchmarks.frames import record
from benchmarks.sender import API_KEY, Sender, sender
from penstock.preparation import prepare
from penstock.stack import Stack, local_stack
from penstock.stack_record import LocalProcess
from penstock.topic_reader import whole
from schemas import topics

PROVIDER = "transak"
_ACCOUNT = "desk"
_HERE = Path(__file__).resolve().parent.parent
_LIMIT = 180.0
_WARM = 0.1
"""Share of the frames that is not measured."""
_RATE = 2_000.0
"""Frames a second while the broker is paused: what waits is to fit the disk."""
_OPENED = 1
"""The mark before the first frame."""
_BEFORE, _PAUSED = 2.0, 20.0


@dataclass(frozen=True, slots=True)
class Carried:
    """One run with a healthy broker, after the warm-up."""

    frames_per_second: float
    cpu_us: float
    """CPU µs of the whole process per frame."""
    rss_mb: float
    """At most."""


@dataclass(frozen=True, slots=True)
class Paused:
    """One run with the broker paused."""

    sent: int
    lost: int
    before_mb: float
    rss_mb: float
    """At most, over the whole run."""
    behind: float
    """Seconds from the end of the pause until raw had everything."""


def frames(count: int) -> tuple[str, ...]:
    """Return frames of the provider, as its twin tells them."""
    return tuple(frame.decode() for frame in record(PROVIDER, count).frames)


def carry(stack: Stack, told: Sequence[str], tree: Path = _HERE) -> Carried:
    """Send everything as fast as it is read. Raises ``SystemExit`` where a frame is lost."""
    warm = int(len(told) * _WARM)
    with sender(told) as provider, _ingest(stack, provider, tree) as process, _end(stack) as end:
        base = end()
        provider.until_heard()
        provider.send(0, warm)
        _until(lambda: end() >= base + _OPENED + warm)
        began, cpu = monotonic(), _cpu(process)
        provider.send(warm, len(told))
        _until(lambda: end() >= base + _OPENED + len(told))
        seconds, cpu = monotonic() - began, _cpu(process) - cpu
        rss = _peak_rss(process)
    if lost := _lost(stack, base, told):
        raise SystemExit(f"{lost} frames were lost")
    count = len(told) - warm
    return Carried(count / seconds, cpu / count * 1e6, rss)


def pause(stack: Stack, told: Sequence[str]) -> Paused:
    """Send at a steady rate, and pause the broker meanwhile."""
    (trace,) = (broker.trace() for broker in stack.brokers)
    if not isinstance(trace, LocalProcess):
        raise SystemExit("a broker in a container cannot be paused: unset STACK")
    with sender(told) as provider, _ingest(stack, provider, _HERE) as process, _end(stack) as end:
        base = end()
        provider.until_heard()
        provider.send(0, len(told), _RATE)
        sleep(_BEFORE)
        before = _peak_rss(process)
        os.kill(trace.pid, signal.SIGSTOP)
        try:
            sleep(_PAUSED)
        finally:
            os.kill(trace.pid, signal.SIGCONT)
        resumed = monotonic()
        provider.until_sent()
        _until(lambda: end() >= base + _OPENED + len(told))
        behind, rss = monotonic() - resumed, _peak_rss(process)
    return Paused(len(told), _lost(stack, base, told), before, rss, behind)


def _lost(stack: Stack, base: int, told: Sequence[str]) -> int:
    """Return how many frames raw does not hold; what it holds twice counts once."""
    kept = [m.value() for m in whole(stack.connection, topics.raw(PROVIDER)) if m.offset() >= base]
    return len({frame.encode() for frame in told} - {*kept})


@contextmanager
def _ingest(stack: Stack, provider: Sender, tree: Path) -> Iterator["Popen[bytes]"]:
    with TemporaryDirectory() as directory:
        settings = Path(directory, "benchmark.toml")
        settings.write_text(
            f'[kafka]\nbootstrap_servers = "{stack.bootstrap_servers}"\n'
            '[ingest]\nhttp = "127.0.0.1:0"\n'
            f'[[accounts]]\nprovider = "{PROVIDER}"\nname = "{_ACCOUNT}"\n'
            f'environment = "sandbox"\nurl = "{provider.url}"\n'
            'credentials = { api_key = "env:API_KEY" }\n'
        )
        process = Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "ingest", "--settings", str(settings)],
            cwd=tree,
            env={**os.environ, "API_KEY": API_KEY},
            stdout=DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def _end(stack: Stack) -> Iterator[Callable[[], int]]:
    """Yield what returns the end of the account's partition: that costs ingest nothing."""
    consumer = Consumer({"bootstrap.servers": stack.bootstrap_servers, "group.id": "benchmark"})
    partition = topics.partition_of(_ACCOUNT, stack.partitions)
    place = TopicPartition(topics.raw(PROVIDER), partition)
    try:
        yield lambda: int(consumer.get_watermark_offsets(place, timeout=30)[1])
    finally:
        consumer.close()


def _until(holds: Callable[[], bool]) -> None:
    limit = monotonic() + _LIMIT
    while not holds():
        if monotonic() > limit:
            raise SystemExit(f"raw did not take everything within {_LIMIT:.0f} s")
        sleep(0.02)


def _cpu(process: "Popen[bytes]") -> float:
    """Return the CPU seconds of a process. https://man7.org/linux/man-pages/man5/proc.5.html"""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_rss(process: "Popen[bytes]") -> float:
    """Return MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--no-pause", action="store_true", help="leave the paused broker out")
    asked = parser.parse_args()
    measure(asked.frames, asked.runs, asked.against, pauses=not asked.no_pause)


def measure(count: int, runs: int, against: Path | None = None, *, pauses: bool = True) -> None:
    """Print a Markdown table of each tree, measured in turn, and a line of the paused broker."""
    told = frames(count)
    trees = {"ours": _HERE} | ({"theirs": against.resolve()} if against else {})
    found: dict[str, list[Carried]] = {name: [] for name in trees}
    with TemporaryDirectory() as directory, local_stack(Path(directory, "stack")) as stack:
        prepare(stack, [PROVIDER])
        for _ in range(runs):
            for name, tree in trees.items():
                found[name].append(carry(stack, told, tree))
        for name, carried in found.items():
            _print_carried(f"ingest, {name}", carried)
        if pauses:
            _print_paused(pause(stack, told))


def _print_carried(title: str, runs: list[Carried]) -> None:
    print(f"\n| {title} | min | median | max |\n|---|---:|---:|---:|")
    for name, figures in (
        ("frames/s", [run.frames_per_second for run in runs]),
        ("CPU µs per frame", [run.cpu_us for run in runs]),
        ("peak RSS MB", [run.rss_mb for run in runs]),
    ):
        spread = (min(figures), statistics.median(figures), max(figures))
        print(f"| {name} | {' | '.join(f'{figure:,.1f}' for figure in spread)} |")


def _print_paused(run: Paused) -> None:
    print(
        f"\nBroker paused for {_PAUSED:.0f} s at {_RATE:,.0f} frames/s: {run.lost} of "
        f"{run.sent:,} frames lost; peak RSS {run.rss_mb:.0f} MB, {run.before_mb:.0f} before; "
        f"raw had everything {run.behind:.1f} s after the end of the pause"
    )


if __name__ == "__main__":
    main()

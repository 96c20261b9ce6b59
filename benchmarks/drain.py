"""One program that drains a backlog: its CPU, its rate and its memory, seen from outside.

How far it is, is what its group has committed: that is the same for all, and part of the work.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.part import Spread, spread
from penstock.child import Child
from penstock.leash import Leash
from penstock.stack import Stack
from penstock.topic_reader import spans
from schemas.connection import Connection

_LOOK_AGAIN = 0.01
_ANSWER = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Program:
    """A program, which commits for one group what it has read."""

    name: str
    group: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Drained(NamedTuple):
    """One run, after its warm-up."""

    events: int
    seconds: float
    cpu: float
    """Seconds of the whole process."""
    rss_mb: float
    """At most, over the whole run."""

    @property
    def cpu_us(self) -> float:
        return self.cpu / self.events * 1e6

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds


def drained(
    kafka: Connection, program: Program, inputs: Sequence[str], warm: int, limit: float = 60.0
) -> Drained:
    """Run a program until it has committed all of its inputs.

    ``warm``: so many events pass before its CPU is counted. Raises ``SystemExit`` where the
    program ends before, or takes longer than ``limit`` seconds.
    """
    ends = [(at.topic, at.partition, at.end) for at in spans(kafka, inputs)]
    with _running(program) as child, _committed(kafka, program.group, ends) as read:
        until = monotonic() + limit
        count = sum(end for _, _, end in ends)
        before = _sample(child, read, warm, until)
        after = _sample(child, read, count, until)
        if before.read == count:
            raise SystemExit(f"{program.name} commits {count:,} events at once: give it more")
        return Drained(
            after.read - before.read,
            after.at - before.at,
            after.cpu - before.cpu,
            memory_mb(_pid(child), "VmHWM"),
        )


class _Sample(NamedTuple):
    read: int
    at: float
    cpu: float


@contextmanager
def _running(program: Program) -> Iterator[Child]:
    leash = Leash()
    child = Child(
        program.name,
        program.command,
        program.log,
        serves=lambda: True,
        environment=program.environment,
        leash=leash,
    )
    try:
        child.start()
        yield child
    finally:
        child.kill()
        leash.close()


class _Committed:
    def __init__(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._places = list(places)

    def __call__(self) -> int:
        """Return how many records the group has read and committed, from the beginning on."""
        try:
            told = self._consumer.committed(self._places, timeout=_ANSWER)
        except KafkaException:
            return 0  # The group has no coordinator yet: it is the first to ask.
        return sum(max(at.offset, 0) for at in told)


@contextmanager
def _committed(
    kafka: Connection, group: str, ends: Sequence[tuple[str, int, int]]
) -> Iterator[_Committed]:
    consumer = Consumer(
        {
            **kafka.for_librdkafka(),
            "group.id": group,
            # Else a question is held back while a transaction is being committed.
            "isolation.level": "read_uncommitted",
            "log_level": 0,
        }
    )
    try:
        yield _Committed(consumer, [TopicPartition(topic, number) for topic, number, _ in ends])
    finally:
        consumer.close()


def _sample(child: Child, read: _Committed, count: int, until: float) -> _Sample:
    while (done := read()) < count:
        if child.pid is None:
            raise SystemExit(f"{child.name} ended: {child.last_words()}")
        if monotonic() > until:
            raise SystemExit(f"{child.name} is at {done:,} of {count:,}: {child.last_words()}")
        sleep(_LOOK_AGAIN)
    return _Sample(done, monotonic(), cpu_seconds(_pid(child)))


def _pid(child: Child) -> int:
    if child.pid is None:
        raise SystemExit(f"{child.name} ended: {child.last_words()}")
    return child.pid


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process. https://man7.org/linux/man-pages/man5/proc.5.html"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int, name: str) -> float:
    """Return MB of a process: resident now (``VmRSS``), or at most so far (``VmHWM``)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1000


def empty(stack: Stack, names: Sequence[str]) -> None:
    """Delete what topics hold: no disk should hold all runs."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    places = [
        TopicPartition(topic, number, OFFSET_END)
        for topic in names
        for number in range(stack.partitions)
    ]
    for emptied in admin.delete_records(places).values():
        emptied.result()


def table(title: str, runs: Mapping[str, Sequence[Drained]]) -> str:
    """Return Markdown: a row of min / median / max for each name."""
    head = f"| {title} | CPU µs per event | events/s | peak RSS, MB |\n|---|---:|---:|---:|\n"
    return head + "\n".join(
        f"| {name} | {cpu_of(told)} | {spread([run.events_per_second for run in told])} "
        f"| {spread([run.rss_mb for run in told]).high:,.0f} |"
        for name, told in runs.items()
    )


def cpu_of(runs: Sequence[Drained]) -> Spread:
    return spread([run.cpu_us for run in runs])

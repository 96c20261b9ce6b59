"""Load at fixed times, and when each record of it became visible, each in a process of its own.

A record is due at a time that was fixed before: a slow system does not slow its load, so what
waits is counted. All times are ns of the machine's monotonic clock, one for all processes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic_ns
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_END, Consumer, KafkaError, Message, Producer, TopicPartition

TICK: Final = 0.001
"""Seconds: what falls due within one leaves together."""
BEGIN_IN: Final = 50_000_000
"""ns from an order to its first record."""
_SILENCE: Final = 1_500_000_000
"""Nothing new for so many ns after the load ended means that all of it is visible."""


class Place(NamedTuple):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record that is due."""

    topic: str
    partition: int
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    mark: bytes | None = None
    """What comes of it is known by this; None: by its place."""


Origin = Place | bytes
"""What a visible record came from: the place of a record, or its mark."""


class Feeder:
    """The process that appends, as the one that measures sees it."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe

    def begin(self, records: Sequence[Outgoing], rate: float) -> None:
        """Begin to send, so many a second; return once the first is about to leave."""
        self._pipe.send((records, rate))
        self._pipe.recv()

    def acknowledged(self) -> tuple[dict[Origin, int], int]:
        """Wait for the last acknowledgement; return when each came.

        With it comes by how many ns the latest 1 % of the load left too late.
        """
        acknowledged, late = self._pipe.recv()
        return dict(reversed(acknowledged)), late  # The first of those with one mark counts.


@contextmanager
def feeder(bootstrap_servers: str) -> Iterator[Feeder]:
    with spawned(_feed, bootstrap_servers) as pipe:
        yield Feeder(pipe)


class Watcher:
    """The ``read_committed`` consumer, as the one that measures sees it."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe

    def begin(self, topic: str) -> None:
        """Watch a topic from its end on."""
        self._pipe.send(topic)
        self._pipe.recv()

    def end(self) -> list[tuple[int, Origin]]:
        """Return when each record became visible and what it came from, once none comes more."""
        self._pipe.send("end")
        seen: list[tuple[int, Origin]] = self._pipe.recv()
        return seen


@contextmanager
def watcher(bootstrap_servers: str, origin: Callable[[Message], Origin]) -> Iterator[Watcher]:
    """``origin``: a record that became visible → what it came from."""
    with spawned(_watch, bootstrap_servers, origin) as pipe:
        yield Watcher(pipe)


@contextmanager
def spawned(target: Callable[..., None], *told: object) -> Iterator["Connection[Any, Any]"]:
    """Run a function in a process of its own, which ends with the block; yield the pipe to it."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=target, args=(there, *told))
    process.start()
    there.close()  # Else nobody would hear that the process is gone.
    try:
        yield here
    finally:
        process.kill()
        process.join()


def due(begin: int, number: int, rate: float) -> int:
    return begin + round(number * 1e9 / rate)


def lateness(late: Sequence[int]) -> int:
    return quantile(sorted(late), 0.99)


def quantile(figures: Sequence[int], share: float) -> int:
    """Return the figure of a sorted sequence below which a share of all lies."""
    return figures[min(len(figures) - 1, int(len(figures) * share))]


def _feed(pipe: "Connection[Any, Any]", servers: str) -> None:
    producer = Producer({"bootstrap.servers": servers, "acks": "all"})
    while True:
        records, rate = pipe.recv()
        pipe.send(None)
        acknowledged: list[tuple[Origin, int]] = []
        late = _sent(producer, records, rate, acknowledged)
        producer.flush()
        pipe.send((acknowledged, late))


def _sent(
    producer: Producer,
    records: Sequence[Outgoing],
    rate: float,
    acknowledged: list[tuple[Origin, int]],
) -> int:
    def told(mark: bytes | None, error: KafkaError | None, message: Message) -> None:
        at = monotonic_ns()
        if error is None:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            place = Place(topic or "", partition or 0, offset or 0)
            acknowledged.append((mark or place, at))

    begin = monotonic_ns() + BEGIN_IN
    late = []
    for number, record in enumerate(records):
        at = due(begin, number, rate)
        while (early := (at - monotonic_ns()) / 1e9) > 0:
            producer.poll(max(early, TICK))  # Takes acknowledgements as they come.
        late.append(monotonic_ns() - at)
        producer.produce(
            record.topic,
            record.value,
            record.key,
            record.partition,
            headers=list(record.headers),
            on_delivery=partial(told, record.mark),
        )
    return lateness(late)


def _watch(pipe: "Connection[Any, Any]", servers: str, origin: Callable[[Message], Origin]) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "latency",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    while True:
        topic = pipe.recv()
        partitions = consumer.list_topics(topic).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_END) for number in partitions])
        while consumer.poll(1.0):  # Finds the ends before anything is to be seen.
            pass
        pipe.send(None)
        seen = list(_seen(consumer, pipe))
        consumer.unassign()
        pipe.send([(at, origin(message)) for at, message in seen])


def _seen(consumer: Consumer, pipe: "Connection[Any, Any]") -> Iterator[tuple[int, Message]]:
    ended = False
    last = monotonic_ns()
    while not ended or monotonic_ns() - last < _SILENCE:
        if not ended and pipe.poll():
            ended = bool(pipe.recv())
            last = monotonic_ns()
        message = consumer.poll(0.1)
        if message is None or message.error():
            continue
        last = monotonic_ns()
        yield last, message

"""Topics, read by an independent client: librdkafka, ``read_committed``, no group's offsets.

https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html#consumer
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from penstock.cluster import Cluster
from penstock.errors import OperatorError
from schemas.connection import Connection
from schemas.records import Micros, Position

_SECONDS: Final = 30.0
"""How long a topic may give nothing before its ends are reached."""
_ANSWER: Final = 10.0
"""Seconds that one question about offsets may take."""
_POLL: Final = 0.1
"""Seconds after which what has come is handed on; also how soon Ctrl-C is heard."""
_ASK_AGAIN: Final = 0.1
"""Seconds between two questions about a partition that has no leader."""
_BETWEEN_LEADERS: Final = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Piece:
    """Which records of a topic: all of them, where nothing is said."""

    partitions: Collection[int] | None = None
    since: Micros | None = None
    """By the record's own time: of raw ``received_at``, of the others when it was written."""
    until: Micros | None = None
    last: int | None = None
    """At least so many of each partition, and at most twice as many."""


class Span(NamedTuple):
    """Offsets of one partition: from ``begin``, up to before ``end``."""

    topic: str
    partition: int
    begin: int
    end: int


def whole(kafka: Connection, topic: str) -> Iterator[Message]:
    """Yield every committed record that a topic holds, up to where its partitions end."""
    return read(kafka, spans(kafka, [topic]))


def spans(kafka: Connection, topics: Collection[str], piece: Piece | None = None) -> list[Span]:
    """Return where pieces of topics lie, as they are now."""
    piece = piece or Piece()
    counts = Cluster(kafka).partitions(topics)
    places = [
        TopicPartition(topic, number)
        for topic, count in counts.items()
        for number in range(count)
        if piece.partitions is None or number in piece.partitions
    ]
    with _consumer(kafka) as consumer:
        return [_span(consumer, at, piece) for at in places]


def _span(consumer: Consumer, at: TopicPartition, piece: Piece) -> Span:
    low, high = _answered(lambda: consumer.get_watermark_offsets(at, _ANSWER))
    begin = low if piece.since is None else _first_since(consumer, at, piece.since, high)
    end = high if piece.until is None else _first_since(consumer, at, piece.until, high)
    if piece.last is not None:
        # Every transaction ends in a mark, which takes an offset and is no record.
        begin = max(begin, end - 2 * piece.last)
    return Span(at.topic, at.partition, begin, end)


def _first_since(consumer: Consumer, at: TopicPartition, time: Micros, high: int) -> int:
    asked = TopicPartition(at.topic, at.partition, time // 1000)
    (found,) = _answered(lambda: consumer.offsets_for_times([asked], timeout=_ANSWER))
    return int(found.offset) if found.offset >= 0 else high


def _answered(ask: Callable[[], _T]) -> _T:
    """Ask again while a partition has no leader, as when a broker has just come back."""
    limit = monotonic() + _ANSWER
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in _BETWEEN_LEADERS or monotonic() > limit:
                raise
        sleep(_ASK_AGAIN)


def read(
    kafka: Connection, places: Iterable[Span], told: Callable[[float], object] = lambda _: None
) -> Iterator[Message]:
    """Yield every committed record of these spans; ``told`` hears which share of them is read."""
    unread = {(at.topic, at.partition): at for at in places if at.begin < at.end}
    if not unread:
        return
    with _consumer(kafka) as consumer:
        consumer.assign(
            [TopicPartition(at.topic, at.partition, at.begin) for at in unread.values()]
        )
        yield from _until_ends(consumer, unread, told)


def _until_ends(
    consumer: Consumer, unread: dict[tuple[str, int], Span], told: Callable[[float], object]
) -> Iterator[Message]:
    total, done = sum(at.end - at.begin for at in unread.values()), 0
    passed: dict[tuple[str, int], int] = {}
    limit = monotonic() + _SECONDS
    while unread:
        messages = consumer.consume(1000, _POLL)
        for message in messages:
            place = str(message.topic()), message.partition() or 0
            span = unread.get(place)
            if span is None:
                continue
            offset = message.offset() or 0
            if not _is_end(message) and offset < span.end:
                yield message
                passed[place] = offset + 1 - span.begin
            if _is_end(message) or offset >= span.end - 1:
                del unread[place]
                passed.pop(place, None)
                done += span.end - span.begin
        told((done + sum(passed.values())) / total)
        if messages:  # From here on: whoever was given them may have taken long.
            limit = monotonic() + _SECONDS
        elif monotonic() > limit:
            raise OperatorError(
                f"{_SECONDS:.0f} s passed without a record before the end of "
                f"{', '.join(f'{topic} partition {number}' for topic, number in sorted(unread))}"
            )


def follow(kafka: Connection, places: Iterable[Span]) -> Iterator[Message]:
    """Yield every committed record that is written after these spans, for ever."""
    with _consumer(kafka) as consumer:
        consumer.assign([TopicPartition(at.topic, at.partition, at.end) for at in places])
        while True:
            for message in consumer.consume(1000, _POLL):
                if not _is_end(message):
                    yield message


def record_at(kafka: Connection, at: Position) -> Message | None:
    """Return one record; None where the topic no longer, or not yet, holds it."""
    held = spans(kafka, [at.topic], Piece([at.partition]))
    if not any(place.begin <= at.offset < place.end for place in held):
        return None
    place = Span(at.topic, at.partition, at.offset, at.offset + 1)
    return next(read(kafka, [place]), None)


def _is_end(message: Message) -> bool:
    """Return whether this only says that a partition ends here; raise what it complains of."""
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - public
        raise KafkaException(error)
    return error is not None


@contextmanager
def _consumer(kafka: Connection) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            **kafka.for_librdkafka(),
            "group.id": "penstock-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        yield consumer
    except KafkaException as error:
        raise OperatorError(f"cannot read from Kafka at {kafka}: {error.args[0].str()}") from error
    finally:
        consumer.close()

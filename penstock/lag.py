"""How far the processors are behind raw."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from penstock.errors import OperatorError
from schemas import topics
from schemas.connection import Connection

_SECONDS: Final = 10.0


class Lag:
    """Asks a cluster how many raw records a group has not read yet."""

    def __init__(self, kafka: Connection, group: str, providers: Iterable[str]) -> None:
        self._topics = [topics.raw(provider) for provider in providers]
        self._consumer = Consumer({**kafka.for_librdkafka(), "group.id": group, "log_level": 0})

    def ends(self) -> dict[tuple[str, int], int]:
        """Return (topic, partition) → the offset that the next record will have."""
        with _translated("the ends of raw"):
            known = self._consumer.list_topics(timeout=_SECONDS).topics
            return {
                (topic, number): self._end(topic, number)
                for topic in self._topics
                for number in known[topic].partitions
            }

    def _end(self, topic: str, number: int) -> int:
        return self._consumer.get_watermark_offsets(TopicPartition(topic, number), _SECONDS)[1]

    def behind(self) -> int:
        """Return how many raw records are not read and committed."""
        ends = self.ends()
        asked = [TopicPartition(topic, number) for topic, number in ends]
        with _translated("the offsets of the group"):
            committed = self._consumer.committed(asked, timeout=_SECONDS)
        return sum(ends[at.topic, at.partition] - max(at.offset, 0) for at in committed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise OperatorError(f"cannot ask for {what}: {error.args[0].str()}") from error

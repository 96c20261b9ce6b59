"""Whole topics, read by an independent client: librdkafka, ``read_committed``."""

from collections.abc import Iterator
from time import monotonic
from typing import Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from penstock.errors import OperatorError
from schemas.connection import Connection

_SECONDS: Final = 30.0
"""How long a topic may give nothing before its ends are reached."""


def whole(kafka: Connection, topic: str) -> Iterator[Message]:
    """Yield every committed record that a topic holds, up to where its partitions end."""
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
        yield from _read(consumer, topic)
    except KafkaException as error:
        raise OperatorError(f"cannot read topic {topic}: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str) -> Iterator[Message]:
    partitions = consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    unread = set(partitions)
    limit = monotonic() + _SECONDS
    while unread:
        for message in consumer.consume(1000, timeout=0.1):
            limit = monotonic() + _SECONDS
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                unread.discard(message.partition())
            else:
                raise KafkaException(error)
        if monotonic() > limit:
            raise OperatorError(
                f"{topic} gave nothing for {_SECONDS:.0f} s before the end of partitions "
                f"{', '.join(map(str, sorted(unread)))}"
            )

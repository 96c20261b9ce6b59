"""What is visible on ``events`` and ``rejected`` while it happens."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from time import time
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, Message
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas import topics
from schemas.connection import Connection

_SAMPLES: Final = 2_000
_LAST: Final = 8


@dataclass(slots=True)
class Seen:
    """What an outside client has seen of one provider."""

    facts: int = 0
    rejected: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    """Seconds from ``received_at`` to visible here, of the last events."""

    def percentile(self, share: float) -> float | None:
        """Return a latency in seconds; None if there is none yet."""
        ordered = sorted(self.latencies)
        return ordered[int(share * (len(ordered) - 1))] if ordered else None


class Watch:
    """Follows both topics in a thread, as a ``read_committed`` client of another team would."""

    def __init__(self, kafka: Connection, registry_url: str, providers: Sequence[str]) -> None:
        self.seen: Mapping[str, Seen] = {provider: Seen() for provider in providers}
        self.last: deque[Mapping[str, Any]] = deque(maxlen=_LAST)
        self.first_at: float | None = None
        """When the first event was visible, in seconds since the epoch."""
        self._registry = SchemaRegistryClient({"url": registry_url})
        self._decode = AvroDeserializer(self._registry)
        self._consumer = Consumer(
            {
                **kafka.for_librdkafka(),
                "group.id": "penstock-watch",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        self._stopping = Event()
        self._thread = Thread(target=self._follow, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._consumer.subscribe([topics.EVENTS, topics.REJECTED])
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()
        self._registry.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.2)
            if message is not None and message.error() is None:
                self._see(message)

    def _see(self, message: Message) -> None:
        topic = str(message.topic())
        context = SerializationContext(topic, MessageField.VALUE)
        record: Mapping[str, Any] = self._decode(message.value(), context)
        seen = self.seen[record["provider"]]
        if topic == topics.REJECTED:
            seen.rejected += 1
            return
        now = time()
        self.first_at = self.first_at or now
        seen.facts += record["is_fact"]
        seen.latencies.append(now - record["received_at"].timestamp())
        self.last.append(record)

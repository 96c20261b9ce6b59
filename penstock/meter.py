"""How a run goes, asked from outside in a thread of its own: nothing waits for the answers."""

from collections.abc import Sequence
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Final, Self

import httpx
from confluent_kafka import Consumer

from penstock.errors import OperatorError
from penstock.lag import Lag
from schemas import topics
from schemas.connection import Connection

_EVERY: Final = 2.0
_SECONDS: Final = 2.0


class Meter:
    """Counts what twins told and what is visible on ``events``."""

    def __init__(
        self, kafka: Connection, group: str, providers: Sequence[str], controls: Sequence[str]
    ) -> None:
        """``controls``: where the twins take orders."""
        self.told = 0
        self.published = 0
        self.lag: int | None = None
        """Raw records that are not read yet; None while the cluster does not say."""
        self._controls = controls
        self._lag = Lag(kafka, group, providers)
        self._consumer = Consumer(
            {
                **kafka.for_librdkafka(),
                "group.id": "penstock-meter",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        self._stopping = Event()
        self._thread = Thread(target=self._follow, name="meter", daemon=True)

    def __enter__(self) -> Self:
        self._consumer.subscribe([topics.EVENTS])
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
        self._lag.__exit__()

    def _follow(self) -> None:
        asked = 0.0
        while not self._stopping.is_set():
            messages = self._consumer.consume(5_000, timeout=0.25)
            self.published += sum(message.error() is None for message in messages)
            if monotonic() > asked + _EVERY:
                asked = monotonic()
                self._ask()

    def _ask(self) -> None:
        try:
            self.told = sum(map(_told, self._controls))
            self.lag = self._lag.behind()
        except (OperatorError, httpx.TransportError):
            self.lag = None


def _told(control: str) -> int:
    answer = httpx.get(f"{control}/twin/books", timeout=_SECONDS)
    return int(answer.json()["told"])

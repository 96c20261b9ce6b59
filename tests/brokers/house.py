"""A whole Penstock on three brokers: twins, ingest, two workers, all kept running."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Final, TypeVar

import httpx
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from penstock.cast import Cast, Role, assembled
from penstock.demo_settings import write_settings
from penstock.errors import OperatorError
from penstock.lag import Lag
from penstock.launch import Wanted
from penstock.preparation import prepare
from penstock.reconcile import Reconciliation, read_books, reconcile
from penstock.stack import Stack, local_stack
from penstock.supervisor import Supervised
from schemas import topics
from twins import TWINS

APPLICATION: Final = "penstock"
ACCOUNTS: Final = {"pepay": "main", "transak": "desk"}
"""Provider → account: of two partitions, so that two tasks work."""
RATE: Final = 60
"""Facts a second and provider."""
_TICK: Final = 0.2
_PATIENCE: Final = 90.0
_WORTH_TELLING: Final = 1.0
_WRITTEN: Final = frozenset({"penstock_ingest_frames_total", "penstock_events_total"})
_IN_FLIGHT: Final = frozenset({"penstock_ingest_in_flight_bytes", "penstock_ingest_spool_bytes"})

T = TypeVar("T")
Figures = list[tuple[int, list[float], str]]
"""Restarts of the programs, seconds for which nothing new was visible, the reconciliation."""


class Onlooker:
    """Counts events as another team would read them, and for how long nothing came."""

    def __init__(self, stack: Stack) -> None:
        self.seen = 0
        self.pauses: list[float] = []
        """Seconds, a second at least, in which nothing new was visible."""
        self._last = monotonic()
        self._consumer = Consumer(
            {
                **stack.connection.for_librdkafka(),
                "group.id": "onlooker",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "reconnect.backoff.max.ms": 500,  # 10 s by default
                "log_level": 0,
            }
        )
        partitions = range(stack.partitions)
        self._consumer.assign([TopicPartition(topics.EVENTS, n, 0) for n in partitions])

    def look(self) -> None:
        """Take what is there, within a tick."""
        came = sum(message.error() is None for message in self._consumer.consume(5000, _TICK))
        if came:
            pause, self._last = monotonic() - self._last, monotonic()
            if self.seen and pause > _WORTH_TELLING:
                self.pauses.append(pause)
        self.seen += came

    def close(self) -> None:
        self._consumer.close()


class House:
    """Everybody who takes part, and what an outsider sees of it."""

    def __init__(self, cast: Cast, stack: Stack) -> None:
        self.stack = stack
        self.onlooker = Onlooker(stack)
        self._cast = cast
        self._admin = AdminClient(
            {**stack.connection.for_librdkafka(), "reconnect.backoff.max.ms": 500, "log_level": 0}
        )
        self._over = Event()
        self._failure: OperatorError | None = None
        self._tender = Thread(target=self._tend, name="tend", daemon=True)

    def open(self) -> None:
        self._cast.start_twins(Role(name, account, RATE) for name, account in ACCOUNTS.items())
        for name in ACCOUNTS:
            self._cast.start_ingest(name, self._settings("ingest"))
        for name in ("worker-1", "worker-2"):
            self._cast.start_processor(name, self._settings(name))
        self._tender.start()

    def close(self) -> None:
        self._over.set()
        if self._tender.is_alive():
            self._tender.join()

    def _settings(self, name: str) -> Path:
        return write_settings(
            self._cast.directory / f"{name}.toml",
            self.stack.bootstrap_servers,
            self.stack.registry_url,
            self._cast.introductions,
            f"state-{name}",
        )

    def _tend(self) -> None:
        """Start again whoever ended, and look on."""
        try:
            while not self._over.is_set():
                self.onlooker.look()
                for each in self._cast.programs():
                    each.tend()
        except OperatorError as error:
            self._failure = error
        finally:
            self.onlooker.close()

    # ---- who leads ----------------------------------------------------------------

    def group_coordinator(self) -> int:
        """Return the number of the broker that coordinates the workers' group, from 0."""
        asked = self._admin.describe_consumer_groups([APPLICATION], request_timeout=10)
        return int(asked[APPLICATION].result().coordinator.id) - 1

    def transaction_coordinator(self) -> int:
        """Return the number of the broker that coordinates a busy task's transactions.

        Kafka takes the leader of the partition of ``__transaction_state`` that the hash of
        the transactional id, as Java has it, names.
        """
        topic = "__transaction_state"
        partitions = self._admin.list_topics(topic, timeout=10).topics[topic].partitions
        busy = topics.partition_of(next(iter(ACCOUNTS.values())), self.stack.partitions)
        number = java_hash(f"{APPLICATION}-{busy}") % len(partitions)
        return int(partitions[number].leader) - 1

    def leader(self, topic: str, partition: int) -> int:
        """Return the number of the broker that leads a partition, from 0."""
        found = self._admin.list_topics(topic, timeout=10).topics[topic]
        return int(found.partitions[partition].leader) - 1

    def in_sync(self) -> int:
        """Return the least number of in-sync replicas that a partition has."""
        try:
            found = self._admin.list_topics(timeout=2).topics.values()
        except KafkaException:
            return 0
        return min(len(each.isrs) for topic in found for each in topic.partitions.values())

    # ---- what an outsider sees ----------------------------------------------------

    def written(self) -> dict[str, float]:
        """Return what each program wrote since it was started last: records of raw that were
        acknowledged, events that were committed.
        """
        return {each.child.name: self._of(each, _WRITTEN) for each in self._cast.programs()}

    def _in_flight(self) -> float:
        return sum(self._of(each, _IN_FLIGHT) for each in self._cast.programs())

    def _of(self, program: Supervised, series: frozenset[str]) -> float:
        """Return a program's own figure, summed; 0 while it is being started."""
        told = program.told("address")
        if told is None or program.child.pid is None:
            return 0.0
        try:
            text = httpx.get(f"http://{told['address']}/metrics", timeout=5).text
        except httpx.TransportError:
            return 0.0
        families = text_string_to_metric_families(text)
        samples = [sample for family in families for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name in series)

    def goes_on(self, count: int = 300) -> None:
        """Return once so many more events are visible."""
        wanted = self.onlooker.seen + count
        until(lambda: self.onlooker.seen >= wanted, "events go on")

    # ---- the end ------------------------------------------------------------------

    def restarts(self) -> int:
        """Return how often a program ended and was started again."""
        return sum(each.restarts for each in self._cast.programs())

    def reconciled(self) -> Reconciliation:
        """Let the twins finish, wait until all is read, and hold their books against it."""
        self._cast.quiet()
        with Lag(self.stack.connection, APPLICATION, ACCOUNTS) as lag:
            ends = [lag.ends()]

            def is_drained() -> bool:
                ends.append(lag.ends())
                return ends[-1] == ends[-2] and not lag.behind() and not self._in_flight()

            until(is_drained, "everything is read", every=1.0)
        if self._failure:
            raise self._failure
        return reconcile(
            read_books(self._cast.books),
            self.stack.connection,
            self.stack.registry_url,
            ACCOUNTS,
        )


@contextmanager
def house(directory: Path) -> Iterator[House]:
    """Run it all; nothing is left running, whatever happens."""
    with (
        local_stack(directory / "stack", wanted=Wanted(brokers=3)) as stack,
        assembled(directory) as cast,
    ):
        prepare(stack, TWINS)
        built = House(cast, stack)
        try:
            built.open()
            built.goes_on()
            built.onlooker.pauses.clear()
            yield built
        finally:
            built.close()


def until(look: Callable[[], T | None], what: str, every: float = _TICK) -> T:
    """Return what a look finds, as soon as it finds something."""
    limit = monotonic() + _PATIENCE
    while not (found := look()):
        assert monotonic() < limit, f"not within {_PATIENCE:.0f} s: {what}"
        sleep(every)
    return found


def java_hash(text: str) -> int:
    """Return ``Utils.abs(text.hashCode())``."""
    number = 0
    for character in text:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    return number & 0x7FFFFFFF if number != 0x80000000 else 0

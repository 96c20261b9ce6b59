"""A Kafka cluster's topics, read and written.

https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html#adminclient
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from penstock.errors import OperatorError
from penstock.topic_plan import Found, Plan, plan
from schemas.connection import Connection
from schemas.topics import Topic

_SECONDS: Final = 10.0
"""How long the cluster may take for one answer."""
_LOOK_AGAIN: Final = 0.05
"""Seconds between two looks at what a broker lists."""
_ASK_AGAIN: Final = 1.0
"""Seconds between two looks at whether it is there."""


class Cluster:
    """A Kafka cluster; every question is answered in ten seconds or is an ``OperatorError``."""

    def __init__(self, kafka: Connection, *, seconds: float = _SECONDS) -> None:
        self._kafka = kafka
        self._seconds = seconds
        self._refusal: str | None = None
        told: dict[str, Any] = {**kafka.for_librdkafka(), "error_cb": self._heard}
        self._admin = AdminClient({**told, "log_level": 0})

    def compare(self, wanted: Sequence[Topic]) -> Plan:
        """Return what must be done so that the cluster has these topics."""
        return plan(wanted, self._found({topic.name for topic in wanted}))

    def apply(self, wanted: Sequence[Topic]) -> Plan:
        """Create and alter topics, and return what was done.

        Raises ``OperatorError``, and changes nothing at all, where a partition count
        or a replication factor differs.
        """
        todo = self.compare(wanted)
        if todo.refused:
            raise OperatorError(f"nothing was changed: {'; '.join(todo.refused)}")
        self._create(todo.missing)
        self._alter(todo.differing)
        return todo

    def partitions(self, names: Collection[str]) -> Mapping[str, int]:
        """Return topic → how many partitions it has. Raises ``OperatorError`` for a missing one."""
        listed = self._listed()
        missing = sorted(set(names) - listed.keys())
        if missing:
            raise OperatorError(
                f"Kafka at {self._kafka} has no topic {', '.join(missing)}: "
                "run `penstock topics apply`, or correct the address"
            )
        return {name: len(listed[name].partitions) for name in names}

    def _found(self, names: set[str]) -> Mapping[str, Found]:
        topics = self._listed()
        there = {name: topic for name, topic in topics.items() if name in names}
        settings = self._settings(list(there))
        return {
            name: Found(len(topic.partitions), len(topic.partitions[0].replicas), settings[name])
            for name, topic in there.items()
        }

    def _listed(self) -> Mapping[str, Any]:
        """Ask until the cluster answers; one that refuses us is not asked for long."""
        limit = monotonic() + self._seconds
        while True:
            with self._translated():
                try:
                    found: Mapping[str, Any] = self._admin.list_topics(timeout=_ASK_AGAIN).topics
                except KafkaException:
                    self._admin.poll(0)
                    if self._refusal or monotonic() > limit:
                        raise
                else:
                    return found

    def _settings(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        if not names:
            return {}
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        told = self._results(self._admin.describe_configs(asked, request_timeout=self._seconds))
        return {
            resource.name: {name: entry.value for name, entry in entries.items()}
            for resource, entries in told.items()
        }

    def _create(self, topics: Sequence[Topic]) -> None:
        if not topics:
            return
        new = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config=dict(topic.settings),
            )
            for topic in topics
        ]
        self._results(
            self._admin.create_topics(
                new, operation_timeout=self._seconds, request_timeout=self._seconds
            )
        )
        self._await({topic.name for topic in topics})

    def _await(self, names: set[str]) -> None:
        """Wait until created topics are listed: a busy broker answers before they are."""
        limit = monotonic() + self._seconds
        while missing := names - self._listed().keys():
            if monotonic() > limit:
                raise OperatorError(f"created, but not listed yet: {', '.join(sorted(missing))}")
            sleep(_LOOK_AGAIN)

    def _alter(self, differing: Mapping[str, Mapping[str, str]]) -> None:
        if not differing:
            return
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                topic,
                incremental_configs=[
                    ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                    for name, value in settings.items()
                ],
            )
            for topic, settings in differing.items()
        ]
        self._results(
            self._admin.incremental_alter_configs(resources, request_timeout=self._seconds)
        )

    def _results(self, asked: Mapping[Any, Any]) -> dict[Any, Any]:
        with self._translated():
            return {subject: answer.result() for subject, answer in asked.items()}

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            self._admin.poll(0)
            raise OperatorError(self._refusal or self._silence(error)) from error

    def _heard(self, error: KafkaError) -> None:
        """Keep what librdkafka tells aside: to who asked, it says that there is no answer."""
        match error.code():
            case KafkaError._AUTHENTICATION:  # noqa: SLF001 - its public name
                self._refusal = self._kafka.unwelcome()
            case KafkaError._SSL:  # noqa: SLF001 - its public name
                self._refusal = self._kafka.untrusted("TLS handshake failed")

    def _silence(self, error: KafkaException) -> str:
        return (
            f"Kafka at {self._kafka} did not do what was asked ({error.args[0].str()}): start it, "
            "or correct the address (see --help)"
        )

"""A Kafka cluster's topics, read and written.

https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html#adminclient
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import KafkaException
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
from schemas.topics import Topic

_SECONDS: Final = 10.0
"""How long the cluster may take for one answer."""


class Cluster:
    """A Kafka cluster; every question is answered in ten seconds or is an ``OperatorError``."""

    def __init__(self, bootstrap_servers: str, *, seconds: float = _SECONDS) -> None:
        self._servers = bootstrap_servers
        self._seconds = seconds
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})

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

    def _found(self, names: set[str]) -> Mapping[str, Found]:
        with self._translated():
            topics = self._admin.list_topics(timeout=self._seconds).topics
        there = {name: topic for name, topic in topics.items() if name in names}
        settings = self._settings(list(there))
        return {
            name: Found(len(topic.partitions), len(topic.partitions[0].replicas), settings[name])
            for name, topic in there.items()
        }

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
            raise OperatorError(
                f"Kafka at {self._servers} did not do what was asked "
                f"({error.args[0].str()}): start it, or correct the address (see --help)"
            ) from error

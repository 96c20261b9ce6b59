"""Who works on which partition number: a task is never split between two workers."""

from collections.abc import Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)


def assigned(
    subscriptions: Mapping[str, frozenset[str]], partitions: Mapping[str, int]
) -> dict[str, dict[str, list[int]]]:
    """Return member → topic → partition numbers.

    Partition p of every topic goes to one member. While a rolling upgrade adds a topic,
    members that do not know it would leave p of that topic to somebody else, and so get
    nothing: the members that know most topics share the work, the others stand by.
    """
    most = max(len(topics) for topics in subscriptions.values())
    workers = sorted(member for member, topics in subscriptions.items() if len(topics) == most)
    result: dict[str, dict[str, list[int]]] = {member: {} for member in subscriptions}
    for number in range(max(partitions.values(), default=0)):
        worker = workers[number % len(workers)]
        for topic in sorted(subscriptions[worker]):
            if number < partitions.get(topic, 0):
                result[worker].setdefault(topic, []).append(number)
    return result


class ByPartitionNumber(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka: untyped
    """Speaks ``assigned`` in the group protocol."""

    name = "penstock-by-partition-number"
    version = 0

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        subscriptions = {m: frozenset(told.subscription) for m, told in members.items()}
        topics = frozenset().union(*subscriptions.values())
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(work.items()), b"")
            for member, work in assigned(subscriptions, counts).items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing to keep between two assignments."""

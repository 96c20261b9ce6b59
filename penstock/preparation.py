"""A stack made ready for the programs: topics and schemas."""

from collections.abc import Iterable

from penstock.cluster import Cluster
from penstock.stack import Stack
from schemas.registry import Registry, register_all
from schemas.topics import all_topics


def prepare(stack: Stack, providers: Iterable[str]) -> None:
    """Create the topics of these providers and register every schema."""
    topics = all_topics(providers, partitions=stack.partitions, replication=stack.replication)
    Cluster(stack.connection).apply(topics)
    register_all(Registry(stack.registry_url))

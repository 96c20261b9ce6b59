"""Topics on a real Kafka: made, mended, and never given another partition count."""

from collections.abc import Callable
from itertools import count

import pytest

from penstock.cluster import Cluster
from penstock.errors import OperatorError
from penstock.ports import LOOPBACK, free
from penstock.stack import Stack
from schemas.connection import Connection
from schemas.topics import Topic, all_topics

NUMBERS = count()


@pytest.fixture
def cluster(stack: Stack) -> Cluster:
    return Cluster(stack.connection)


@pytest.fixture
def topic() -> Callable[..., Topic]:
    """Give a maker of one topic under one new name."""
    name = f"test-cluster-{next(NUMBERS)}"

    def make(partitions: int = 2, replication: int = 1, **settings: str) -> Topic:
        told = {setting.replace("_", "."): value for setting, value in settings.items()}
        return Topic(name, partitions, replication, told)

    return make


def test_missing_topics_are_made_as_the_table_says(cluster: Cluster) -> None:
    wanted = all_topics(["nobody"], partitions=2)[:1]
    assert cluster.compare(wanted).missing == wanted
    cluster.apply(wanted)
    assert cluster.compare(wanted).lines == ()


def test_missing_topic_is_told_by_its_name(cluster: Cluster, topic: Callable[..., Topic]) -> None:
    there = topic(partitions=3)
    cluster.apply([there])
    assert cluster.partitions([there.name]) == {there.name: 3}
    with pytest.raises(OperatorError, match=r"has no topic gone: run `penstock topics apply`"):
        cluster.partitions([there.name, "gone"])


def test_applying_again_changes_nothing(cluster: Cluster, topic: Callable[..., Topic]) -> None:
    cluster.apply([topic(retention_ms="1000")])
    assert cluster.apply([topic(retention_ms="1000")]).lines == ()


def test_setting_that_differs_is_told_and_mended(
    cluster: Cluster, topic: Callable[..., Topic]
) -> None:
    cluster.apply([topic(retention_ms="1000")])
    wanted = topic(retention_ms="2000")
    assert cluster.compare([wanted]).lines == (f"{wanted.name}: retention.ms is 1000, wanted 2000",)
    cluster.apply([wanted])
    assert cluster.compare([wanted]).lines == ()


def test_setting_that_somebody_else_made_is_kept(
    cluster: Cluster, topic: Callable[..., Topic]
) -> None:
    cluster.apply([topic(retention_ms="1000", segment_ms="60000")])
    cluster.apply([topic(retention_ms="2000")])
    assert cluster.compare([topic(retention_ms="2000", segment_ms="60000")]).lines == ()


def test_other_partition_count_is_refused_and_nothing_else_is_touched(
    cluster: Cluster, topic: Callable[..., Topic]
) -> None:
    cluster.apply([topic(partitions=2, retention_ms="1000")])
    other = Topic(f"{topic().name}-other", 1, 1)
    with pytest.raises(OperatorError, match=r"has 2 partitions, wanted 3: .* fixed for life"):
        cluster.apply([other, topic(partitions=3, retention_ms="2000")])
    assert cluster.compare([topic(partitions=2, retention_ms="1000")]).lines == ()
    assert cluster.compare([other]).missing == (other,)


def test_other_replication_is_refused_with_what_to_do(
    cluster: Cluster, topic: Callable[..., Topic]
) -> None:
    cluster.apply([topic()])
    with pytest.raises(OperatorError, match="kafka-reassign-partitions"):
        cluster.apply([topic(replication=3)])


def test_more_replicas_than_brokers_is_kafkas_own_complaint(
    cluster: Cluster, topic: Callable[..., Topic]
) -> None:
    with pytest.raises(OperatorError, match="replication factor"):
        cluster.apply([topic(replication=3)])


def test_broker_that_does_not_answer_is_told_in_time() -> None:
    (port,) = free(1)
    cluster = Cluster(Connection(f"{LOOPBACK}:{port}"), seconds=0.5)
    with pytest.raises(OperatorError, match=f"{LOOPBACK}:{port}"):
        cluster.compare(all_topics(["acme"]))

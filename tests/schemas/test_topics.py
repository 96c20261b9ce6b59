"""The table of topics, and which partition a key lives in."""

from typing import Final

import pytest
from confluent_kafka import Message, Producer

from penstock.stack import Stack
from schemas.topics import (
    EVENTS,
    MAX_FRAME_BYTES,
    MAX_RAW_BYTES,
    MAX_REJECTED_BYTES,
    all_topics,
    joined,
    partition_of,
    raw,
)

DAY_MS: Final = 86_400_000

KEPT_FOR_DAYS = {
    "raw.acme": 400,
    "redrive": 7,
    "rejected": 400,
    "witnesses": 90,
    "state": 400,
}
"""Topic → days, as DESIGN 3.1 has them."""
FOR_EVER = ["events", "coverage", "audit"]
COMPACTED = ["open", "keys"]

TOPICS = {topic.name: topic for topic in all_topics(["acme"], partitions=4)}


def test_these_are_all_topics() -> None:
    assert set(TOPICS) == {*KEPT_FOR_DAYS, *FOR_EVER, *COMPACTED}


@pytest.mark.parametrize(("name", "days"), KEPT_FOR_DAYS.items())
def test_topic_keeps_its_records_as_long_as_the_design_says(name: str, days: int) -> None:
    assert TOPICS[name].settings["cleanup.policy"] == "delete"
    assert TOPICS[name].settings["retention.ms"] == str(days * DAY_MS)


@pytest.mark.parametrize("name", FOR_EVER)
def test_topic_keeps_its_records_for_ever(name: str) -> None:
    assert TOPICS[name].settings["cleanup.policy"] == "delete"
    assert TOPICS[name].settings["retention.ms"] == "-1"


@pytest.mark.parametrize("name", COMPACTED)
def test_topic_keeps_the_last_record_of_each_key(name: str) -> None:
    assert TOPICS[name].settings["cleanup.policy"] == "compact"


def test_every_input_of_a_task_has_as_many_partitions_as_its_state() -> None:
    assert {TOPICS[name].partitions for name in ("raw.acme", "redrive", "state")} == {4}


@pytest.mark.parametrize(("brokers", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_two_brokers_of_three_must_have_a_record(brokers: int, in_sync: str) -> None:
    for topic in all_topics(["acme"], replication=brokers):
        assert topic.replication == brokers
        assert topic.settings["min.insync.replicas"] == in_sync


def test_a_frame_fits_in_a_raw_record_and_that_in_what_the_broker_takes() -> None:
    limits = {int(topic.settings["max.message.bytes"]) for topic in TOPICS.values()}
    assert MAX_REJECTED_BYTES < MAX_FRAME_BYTES < MAX_RAW_BYTES < min(limits)


def test_parts_of_an_id_cannot_run_into_each_other() -> None:
    assert joined("acme", "main", "a/b") != joined("acme", "main", "a", "b")
    assert joined("acme", "a%2Fb") != joined("acme", "a/b")
    assert joined("acme", "main", "o-1") == "acme/main/o-1"


@pytest.mark.parametrize("key", ["main", "public", "acme/main/order/1", "żółw", "", "a" * 300])
def test_key_lives_where_librdkafka_would_put_it(prepared_stack: Stack, key: str) -> None:
    delivered: list[Message] = []
    producer = Producer(
        {"bootstrap.servers": prepared_stack.bootstrap_servers, "partitioner": "consistent"}
    )
    producer.produce(EVENTS, b"", key, on_delivery=lambda _, message: delivered.append(message))
    assert producer.flush(30) == 0
    (message,) = delivered
    assert message.partition() == partition_of(key, prepared_stack.partitions)


def test_raw_topic_is_named_after_its_provider() -> None:
    assert raw("acme") == "raw.acme"

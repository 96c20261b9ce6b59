"""The real registry: what it lets grow, what it refuses, and how that is told."""

import json
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from penstock.ports import LOOPBACK, free
from penstock.stack import Stack
from schemas.codec import confluent, encode_witness, schema_text
from schemas.records import Witness
from schemas.registry import (
    MODE,
    SUBJECTS,
    Incompatible,
    Missing,
    Refused,
    Registry,
    Unreachable,
    register_all,
    schema_ids,
)

WITNESS = schema_text("witness")
NUMBERS = count()


@pytest.fixture
def registry(stack: Stack) -> Registry:
    return Registry(stack.registry_url)


@pytest.fixture
def subject() -> str:
    return f"test-{next(NUMBERS)}-value"


def with_field(text: str, **field: Any) -> str:
    schema = json.loads(text)
    schema["fields"].append(field)
    return json.dumps(schema)


def test_subject_is_registered_under_an_explicit_rule(registry: Registry, subject: str) -> None:
    assert registry.mode(subject) is None
    registry.register(subject, WITNESS)
    assert registry.mode(subject) == MODE


def test_id_is_found_by_the_exact_text_alone(registry: Registry, subject: str) -> None:
    number = registry.register(subject, WITNESS)
    assert registry.schema_id(subject, WITNESS) == number
    with pytest.raises(Missing, match="penstock schemas register"):
        registry.schema_id(subject, WITNESS + "\n")


def test_registering_again_changes_nothing(registry: Registry, subject: str) -> None:
    assert registry.register(subject, WITNESS) == registry.register(subject, WITNESS)
    assert list(registry.versions(subject).values()) == [WITNESS]


def test_field_with_a_default_may_be_added(registry: Registry, subject: str) -> None:
    registry.register(subject, WITNESS)
    grown = with_field(WITNESS, name="note", type=["null", "string"], default=None)
    assert list(registry.objections(subject, grown)) == []
    registry.register(subject, grown)
    assert list(registry.versions(subject).values()) == [WITNESS, grown]


def test_change_that_breaks_a_reader_is_refused_by_name(registry: Registry, subject: str) -> None:
    registry.register(subject, WITNESS)
    with pytest.raises(Incompatible, match=rf"{subject}: Witness.note: was added .* default"):
        registry.register(subject, with_field(WITNESS, name="note", type="string"))
    assert list(registry.versions(subject).values()) == [WITNESS]


def test_every_version_counts_not_only_the_latest(registry: Registry, subject: str) -> None:
    registry.register(subject, with_field(WITNESS, name="n", type="int", default=0))
    registry.register(subject, WITNESS)
    with pytest.raises(Incompatible, match=subject):
        registry.register(subject, with_field(WITNESS, name="n", type="string", default=""))


def test_unit_of_time_cannot_change_though_the_registry_would_let_it(
    registry: Registry, subject: str
) -> None:
    registry.register(subject, WITNESS)
    with pytest.raises(Incompatible, match=r"Witness.received_at: was long as timestamp-micros"):
        registry.register(subject, WITNESS.replace("timestamp-micros", "timestamp-millis"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "Expecting property name"),
        ('{"type": "record", "fields": []}', "name"),
        ('{"type": "record", "name": "R", "fields": [{"name": "f", "type": "M"}]}', "M"),
    ],
)
def test_text_that_is_no_schema_is_told_apart_before_the_registry_sees_it(
    registry: Registry, subject: str, text: str, complaint: str
) -> None:
    with pytest.raises(Refused, match=rf"{subject}: not an Avro schema: .*{complaint}"):
        registry.register(subject, text)
    assert list(registry.versions(subject).values()) == []


def test_first_version_of_a_subject_passes_the_check(registry: Registry, subject: str) -> None:
    assert list(registry.objections(subject, WITNESS)) == []
    assert list(registry.versions(subject).values()) == []


def test_program_learns_every_id_it_writes(registry: Registry) -> None:
    registered = register_all(registry)
    ids = schema_ids(registry)
    assert {f"{topic}-value": number for topic, number in ids.items()} == registered
    assert set(registered) == set(SUBJECTS)


def test_confluents_client_reads_what_we_write(prepared_stack: Stack) -> None:
    written = Witness(
        id="acme/main/1",
        provider="acme",
        account="main",
        via="webhook",
        authority="signed",
        verified="hmac-sha256:k1",
        received_at=1_700_000_000_000_001,
        topic="raw.acme",
        partition=3,
        offset=2**52,
        part="/0",
        published_at=1_700_000_000_000_002,
    )
    url = prepared_stack.registry_url
    prefix = confluent(schema_ids(Registry(url))["witnesses"])
    with SchemaRegistryClient({"url": url}) as client:
        read = AvroDeserializer(client)(
            prefix + encode_witness(written),
            SerializationContext("witnesses", MessageField.VALUE),
        )
    assert read == {
        **msgspec.structs.asdict(written),
        "received_at": datetime(2023, 11, 14, 22, 13, 20, 1, UTC),
        "published_at": datetime(2023, 11, 14, 22, 13, 20, 2, UTC),
    }


def test_address_where_nobody_listens_is_told_with_what_to_do() -> None:
    (port,) = free(1)
    registry = Registry(f"http://{LOOPBACK}:{port}/apis/ccompat/v7")
    with pytest.raises(Unreachable, match=rf":{port}.*PENSTOCK_REGISTRY_URL"):
        schema_ids(registry)
    assert not registry.answers()


def test_address_of_something_else_is_told_with_what_to_do(stack: Stack) -> None:
    elsewhere = Registry(stack.registry_url.removesuffix("/apis/ccompat/v7"))
    with pytest.raises(Refused, match="/subjects"):
        elsewhere.schema_id("events-value", WITNESS)

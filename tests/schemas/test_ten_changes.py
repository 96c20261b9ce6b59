"""Changes of ``events``: what our gate says of them, and what a real registry says."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from penstock.stack import Stack
from schemas.codec import schema_text
from schemas.gate import objections
from schemas.registry import MODE

EVENT = schema_text("event")
SUBJECT = "events-value"
NUMBERS = count()

Change = Callable[[str], str]


def replaced(was: str, is_now: str) -> Change:
    def change(text: str) -> str:
        assert was in text
        return text.replace(was, is_now)

    return change


def added(record: str, **field: Any) -> Change:
    """Return a change that adds a field to a record, wherever that is defined."""

    def change(text: str) -> str:
        schema = json.loads(text)
        (found,) = (one for one in definitions(schema) if one["name"] == record)
        found["fields"].append({"doc": "New.", **field})
        return json.dumps(schema)

    return change


def definitions(schema: Any) -> Iterator[Any]:
    match schema:
        case list():
            for branch in schema:
                yield from definitions(branch)
        case {"type": "record", "fields": fields}:
            yield schema
            for field in fields:
                yield from definitions(field["type"])
        case {"items": items}:
            yield from definitions(items)


DIVIDEND = {
    "type": "record",
    "name": "Dividend",
    "doc": "A share of profit.",
    "fields": [{"name": "gross", "type": ["null", "Money"], "default": None, "doc": "Before tax."}],
}
CORRECTS = next(line for line in EVENT.splitlines() if '"name": "corrects"' in line) + "\n"
SEQUENCE = next(line for line in EVENT.splitlines() if '"name": "entity_sequence"' in line)
MAPPER = next(line for line in EVENT.splitlines() if '"name": "mapper"' in line) + "\n"

ALLOWED = {
    "a nullable field": added("Event", name="batch", type=["null", "string"], default=None),
    "a field with a default inside Item": added("Item", name="count", type="long", default=1),
    "a new kind of payload": added("Event", name="dividend", type=["null", DIVIDEND], default=None),
    "a field with a default taken away": replaced(CORRECTS, ""),
    "other words and another order": replaced(
        MAPPER + CORRECTS, CORRECTS + MAPPER.replace("provider@version", "provider and version")
    ),
}
FORBIDDEN = {
    "a field without a default": (
        added("Event", name="batch", type="string"),
        "Event.batch",
    ),
    "a longer integer": (
        replaced('{"name": "partition", "type": "int"', '{"name": "partition", "type": "long"'),
        "Evidence.partition",
    ),
    "text that may now be null": (
        replaced(
            '{"name": "change", "type": "string"', '{"name": "change", "type": ["string", "null"]'
        ),
        "Event.change",
    ),
    "a renamed record": (replaced('"Money"', '"Cash"'), "Transfer.gross"),
    "a number that becomes text": (
        replaced(
            SEQUENCE,
            SEQUENCE.replace('"long"', '"string"').replace('"default": 0', '"default": ""'),
        ),
        "Event.entity_sequence",
    ),
}
LET_THROUGH = {
    "another scale": (replaced('"scale": 18', '"scale": 8'), "Money.amount"),
    "another precision": (replaced('"precision": 38', '"precision": 28'), "Money.amount"),
    "another unit of time": (
        replaced("timestamp-micros", "timestamp-millis"),
        "Event.occurred_at",
    ),
    "a logical type dropped": (
        replaced('{"type": "long", "logicalType": "timestamp-micros"}', '"long"'),
        "Event.occurred_at",
    ),
    "text that becomes bytes": (
        replaced('{"name": "change", "type": "string"', '{"name": "change", "type": "bytes"'),
        "Event.change",
    ),
    "another namespace": (replaced('"penstock"', '"elsewhere"'), "Event"),
}


def may(change: Change) -> list[str]:
    return [str(one) for one in objections(SUBJECT, change(EVENT))]


@pytest.fixture
def registered(stack: Stack) -> Iterator[Callable[[str], bool]]:
    """Give a function that really registers a text after ``event.avsc``, without our gate."""
    subject = f"ten-{next(NUMBERS)}-value"
    with SchemaRegistryClient({"url": stack.registry_url}) as client:
        client.set_compatibility(subject, MODE)
        client.register_schema(subject, Schema(EVENT, "AVRO"))

        def register(text: str) -> bool:
            try:
                client.register_schema(subject, Schema(text, "AVRO"))
            except SchemaRegistryError as error:
                if error.http_status_code != httpx.codes.CONFLICT:
                    raise
                return False
            return True

        yield register


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed_change_is_allowed_by_both(name: str, registered: Callable[[str], bool]) -> None:
    assert may(ALLOWED[name]) == []
    assert registered(ALLOWED[name](EVENT))


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden_change_is_refused_by_both_and_ours_names_the_field(
    name: str, registered: Callable[[str], bool]
) -> None:
    change, field = FORBIDDEN[name]
    assert any(f"{SUBJECT}: {field}: " in line for line in may(change))
    assert not registered(change(EVENT))


@pytest.mark.parametrize("name", LET_THROUGH)
def test_change_that_the_registry_lets_through_is_refused_by_ours(
    name: str, registered: Callable[[str], bool]
) -> None:
    change, field = LET_THROUGH[name]
    assert any(f"{SUBJECT}: {field}: " in line for line in may(change))
    assert registered(change(EVENT))


def test_field_that_comes_back_as_another_type_is_refused_by_both(
    registered: Callable[[str], bool],
) -> None:
    """The last version alone would let it: only one before it has the field."""
    assert registered(replaced(CORRECTS, "")(EVENT))
    again = replaced(CORRECTS, CORRECTS.replace('"string"', '"long"'))(EVENT)
    assert any(
        "Event.corrects: was null or string" in str(one) for one in objections(SUBJECT, again)
    )
    assert not registered(again)

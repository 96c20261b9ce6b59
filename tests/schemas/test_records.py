"""The typed records say what the ``.avsc`` files say."""

import json
from typing import Any, get_type_hints

import pytest

from schemas import records
from schemas.codec import schema_text

NAMES = ["event", "rejected", "coverage", "witness"]
PLAIN = {"string": str, "bytes": bytes, "int": int, "long": int, "boolean": bool}


def records_in(schema: Any) -> list[dict[str, Any]]:
    """Return every record that a schema defines, itself first."""
    match schema:
        case list():
            return [found for branch in schema for found in records_in(branch)]
        case {"type": "record", "fields": fields}:
            return [schema, *(found for field in fields for found in records_in(field["type"]))]
        case {"type": "array", "items": items}:
            return records_in(items)
        case _:
            return []


def annotation(schema: Any) -> Any:
    """Return what a record must be annotated with, for one Avro type."""
    match schema:
        case ["null", other]:
            return annotation(other) | None
        case {"type": "array", "items": items}:
            return tuple[annotation(items), ...]
        case {"type": "record", "name": name}:
            return getattr(records, name)
        case {"type": "bytes", "logicalType": "decimal"}:
            return records.Decimal
        case {"type": plain}:
            return PLAIN[plain]
        case str(name):
            return PLAIN.get(name) or getattr(records, name)
    raise AssertionError(f"the contract has no {schema}")


DEFINED = {
    record["name"]: record for name in NAMES for record in records_in(json.loads(schema_text(name)))
}


@pytest.mark.parametrize("name", DEFINED)
def test_record_has_the_fields_of_its_schema_in_their_order(name: str) -> None:
    fields = {field["name"]: annotation(field["type"]) for field in DEFINED[name]["fields"]}
    hints = get_type_hints(getattr(records, name))
    assert list(hints) == list(fields)
    assert hints == fields


@pytest.mark.parametrize("name", DEFINED)
def test_times_are_whole_microseconds_and_nothing_else_is_a_time(name: str) -> None:
    for field in DEFINED[name]["fields"]:
        is_time = "timestamp-micros" in json.dumps(field["type"]) and not records_in(field["type"])
        assert is_time == field["name"].endswith("_at"), field["name"]


@pytest.mark.parametrize("name", DEFINED)
def test_every_field_has_a_default_and_says_what_it_is(name: str) -> None:
    for field in DEFINED[name]["fields"]:
        assert "default" in field, field["name"]
        assert field["doc"], field["name"]


def test_an_event_has_one_nullable_payload_for_each_kind() -> None:
    payloads = {
        field["name"]: field for field in DEFINED["Event"]["fields"] if field["name"] != "evidence"
    }
    kinds = [kind.__name__ for kind in records.Payload.__args__]
    found = [
        field["type"][1]["name"]
        for field in payloads.values()
        if isinstance(field["type"], list) and isinstance(field["type"][1], dict)
    ]
    assert found == kinds


@pytest.mark.parametrize("name", NAMES)
def test_contract_has_no_construct_that_a_client_reads_otherwise(name: str) -> None:
    text = schema_text(name)
    for construct in ('"enum"', '"float"', '"double"', '"fixed"', '"map"', "nanos", "-millis"):
        assert construct not in text

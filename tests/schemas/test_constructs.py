"""Only constructs that four languages read alike are in the contract, and each is explained."""

import json

import pytest

from schemas.codec import schema_text
from schemas.constructs import strays
from schemas.registry import SUBJECTS


@pytest.mark.parametrize("name", SUBJECTS.values())
def test_every_schema_keeps_to_what_all_clients_read_and_explains_each_field(name: str) -> None:
    assert [str(remark) for remark in strays(schema_text(name))] == []


@pytest.mark.parametrize(
    "strange",
    [
        "double",
        ["string", "null"],
        ["int", "long"],
        ["null", "int", "string"],
        {"type": "map", "values": "string"},
        {"type": "enum", "name": "E", "symbols": ["A"], "default": "A"},
        {"type": "fixed", "name": "F", "size": 16},
        {"type": "string", "logicalType": "uuid"},
        {"type": "long", "logicalType": "timestamp-millis"},
        {"type": "long", "logicalType": "timestamp-nanos"},
        {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 8},
        {"type": "array", "items": ["null", "string"]},
    ],
    ids=json.dumps,
)
def test_other_construct_is_named(strange: object) -> None:
    (told,) = strays(schema(name="kind", type=strange, default=None, doc="Kind."))
    assert str(told).startswith("R.kind: is ")
    assert "not every client reads that alike" in str(told)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ({"name": "f", "type": "string", "doc": "F."}, "R.f: has no default"),
        ({"name": "f", "type": "string", "default": ""}, "R.f: is not described"),
        (
            {"name": "__proto__", "type": "string", "default": "", "doc": "F."},
            "R.__proto__: has a name that Node loses",
        ),
    ],
)
def test_field_that_cannot_go_or_be_understood_is_named(field: object, told: str) -> None:
    (remark,) = strays(schema(**field))  # type: ignore[arg-type]
    assert str(remark).startswith(told)


def test_record_without_fields_or_words_is_named() -> None:
    empty = {"type": "record", "name": "R", "fields": []}
    told = [str(remark) for remark in strays(json.dumps(empty))]
    assert [line.partition(",")[0] for line in told] == [
        "R: is not described: say in `doc` what it is",
        "R: has no field: Python refuses its records: give it one",
    ]


def schema(**field: object) -> str:
    return json.dumps({"type": "record", "name": "R", "doc": "A sample.", "fields": [field]})

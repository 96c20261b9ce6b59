"""Any record that a schema allows, as the typed records of ``schemas.records``."""

import json
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import strategies as st

from schemas import records
from schemas.codec import schema_text

INT = 2**31
LONG = 2**52
"""Every client reads integers as far as this."""
PLACES = 18
DIGITS = 38


@st.composite
def decimals(draw: st.DrawFn) -> Decimal:
    """Draw what decimal(38, 18) can hold, with as few or as many digits as it likes."""
    exponent = draw(st.integers(-PLACES, DIGITS - PLACES - 1))
    largest = 10 ** (DIGITS - PLACES - exponent) - 1
    unscaled = draw(st.integers(-largest, largest))
    # A tuple, since arithmetic rounds to 28 digits.
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    return Decimal((int(unscaled < 0), digits, exponent))


PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=40),
    "bytes": st.binary(max_size=40),
    "boolean": st.booleans(),
    "int": st.integers(-INT, INT - 1),
    "long": st.integers(-LONG, LONG),
}


def values(schema: Any, named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Return what a field of an Avro type may hold."""
    match schema:
        case ["null", other]:
            return st.none() | values(other, named)
        case {"type": "record"}:
            return record(schema, named)
        case {"type": "array", "items": items}:
            return st.lists(values(items, named), max_size=4).map(tuple)
        case {"logicalType": "decimal"}:
            return decimals()
        case {"type": plain}:
            return PRIMITIVES[plain]
        case _:
            return PRIMITIVES[schema] if schema in PRIMITIVES else named[schema]


def record(schema: Any, named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Return any record of one type; named types are remembered as they are met."""
    fields = {field["name"]: values(field["type"], named) for field in schema["fields"]}
    named[schema["name"]] = st.builds(getattr(records, schema["name"]), **fields)
    return named[schema["name"]]


def any_record(name: str) -> st.SearchStrategy[Any]:
    """Return any record of ``<name>.avsc``."""
    return record(json.loads(schema_text(name)), {})


PAYLOADS = [
    field.name
    for field in msgspec.structs.fields(records.Event)
    if any(field.type == kind | None for kind in records.Payload.__args__)
]


def any_event(payload: str) -> st.SearchStrategy[records.Event]:
    """Return any event with this payload alone."""
    schema = json.loads(schema_text("event"))
    named: dict[str, st.SearchStrategy[Any]] = {}
    fields = {field["name"]: values(field["type"], named) for field in schema["fields"]}
    kind = next(field for field in schema["fields"] if field["name"] == payload)["type"][1]
    others = {other: st.none() for other in PAYLOADS if other != payload}
    return st.builds(records.Event, **{**fields, **others, payload: named[kind["name"]]})

"""A schema as a reader sees it: its records, their fields, and each type in words.

https://avro.apache.org/docs/1.12.0/specification/
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NUMBERS = ("precision", "scale", "size", "symbols")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record."""

    name: str
    type: str
    """In words: ``null or Money``, ``list of Item``, ``bytes as decimal(38, 18)``."""
    default: str | None
    """As JSON; None if it has none."""
    doc: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record type."""

    name: str
    namespace: str
    doc: str
    fields: Mapping[str, Field]


def outline(text: str) -> dict[str, Record]:
    """Return every record type of an Avro schema by its name, the whole first."""
    schema = json.loads(text)
    found = list(_records(schema, ""))
    return {record.name: record for record in found}


def _records(schema: Any, namespace: str) -> Iterator[Record]:  # noqa: ANN401
    match schema:
        case list():
            for branch in schema:
                yield from _records(branch, namespace)
        case {"type": "record", "name": name, "fields": fields}:
            within = schema.get("namespace", namespace)
            listed = {one["name"]: _field(one) for one in fields}
            yield Record(name, within, schema.get("doc", ""), listed)
            for one in fields:
                yield from _records(one["type"], within)
        case {"items": inner} | {"values": inner}:
            yield from _records(inner, namespace)


def _field(told: Mapping[str, Any]) -> Field:
    default = json.dumps(told["default"]) if "default" in told else None
    return Field(told["name"], _words(told["type"]), default, told.get("doc", ""))


def _words(schema: Any) -> str:  # noqa: ANN401
    match schema:
        case list():
            return " or ".join(map(_words, schema))
        case {"type": "record", "name": name}:
            return str(name)
        case {"type": "array", "items": inner}:
            return f"list of {_words(inner)}"
        case {"type": "map", "values": inner}:
            return f"map of {_words(inner)}"
        case {"type": plain}:
            return _plain(_words(plain), schema)
        case _:
            return str(schema)


def _plain(physical: str, schema: Mapping[str, Any]) -> str:
    name = " ".join([physical, *([schema["name"]] if "name" in schema else [])])
    numbers = ", ".join(str(schema[key]) for key in _NUMBERS if key in schema)
    logical = f" as {schema['logicalType']}" if "logicalType" in schema else ""
    return f"{name}{logical}" + (f"({numbers})" if numbers else "")

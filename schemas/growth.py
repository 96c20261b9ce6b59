"""What a later version of a schema must leave as it was, and no registry guards.

A registry in any mode lets a decimal's scale, a time's unit or a logical type change;
readers then read other amounts and other times without an error (measured: 10^10 too
small).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Meanings = Mapping[str, str]
"""Path of a field (``transfer.items[].price.amount``) → what its bytes mean."""

_MEANING = ("logicalType", "precision", "scale", "size")


def meanings(text: str) -> Meanings:
    """Return how the bytes of every field of an Avro schema are to be read."""
    schema = json.loads(text)
    return dict(_walk(schema, "", {}))


def changed(released: str, later: str) -> list[str]:
    """Return a line for each field of both versions whose meaning differs.

    Fields that only one of them has are the registry's concern.
    """
    before, after = meanings(released), meanings(later)
    return [
        f"{path}: was {before[path]}, is {after[path]}"
        for path in before
        if path in after and before[path] != after[path]
    ]


def _walk(schema: Any, path: str, named: dict[str, Any]) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    match schema:
        case list():
            for branch in schema:
                if branch != "null":
                    yield from _walk(branch, path, named)
        case {"type": "record", "name": name, "fields": fields}:
            named[name] = schema
            for field in fields:
                yield from _walk(field["type"], f"{path}.{field['name']}".lstrip("."), named)
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            yield from _walk(inner, f"{path}[]", named)
        case {"type": physical}:
            told = [f"{key}={schema[key]}" for key in _MEANING if key in schema]
            yield path, " ".join([str(physical), *told])
        case str(name) if name in named:
            yield from _walk(named[name], path, named)
        case _:
            yield path, str(schema)

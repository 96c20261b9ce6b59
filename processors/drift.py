"""Fields that a provider has begun to send: nobody reads them, and no page lists them. No I/O."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from processors.mapper import Mapper, Part
from schemas.records import Position

EVERY: Final = 16
"""One frame in so many is looked at, by its offset: each one would cost a tenth of mapping."""
_MOST: Final = 8
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,39}[0-9]{0,2}")
"""What is a field's name, and no id or person that stands where one should."""
_HIDDEN: Final = "?"


class Drift(NamedTuple):
    """The shape of what is new in one part, and where it can be read."""

    provider: str
    kind: str
    fields: tuple[str, ...]
    """Names alone, in order; at most 8, and ``?`` for what may be no name."""
    where: str
    """Raw topic, partition and offset, and the JSON pointer of the part."""


_ANY: Final = msgspec.json.Decoder()


def drift_of(mapper: Mapper, part: Part, position: Position) -> Drift | None:
    """Return what is new in a part that was told, where it is looked at and there is any."""
    if position.offset % EVERY or part.kind not in mapper.routes:
        return None
    try:
        tree = _ANY.decode(part.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # What nobody reads, nobody checks.
    read = _read(tuple(route.decoder.type for route in mapper.routes.values()))
    found = set(_new(tree, read, mapper.unread))
    shown = sorted({name if _NAME.fullmatch(name) else _HIDDEN for name in found})
    where = f"{position.topic}/{position.partition}/{position.offset}{part.pointer}"
    return Drift(mapper.provider, part.kind, tuple(shown[:_MOST]), where) if shown else None


def _new(tree: Any, read: frozenset[str], unread: frozenset[str]) -> Iterator[str]:  # noqa: ANN401
    """Yield names that are new; what nobody reads is not looked into."""
    match tree:
        case dict():
            for name, inner in tree.items():
                if name in read:
                    yield from _new(inner, read, unread)
                elif name not in unread:
                    yield name
        case list():
            for inner in tree:
                yield from _new(inner, read, unread)


@cache
def _read(types: tuple[Any, ...]) -> frozenset[str]:
    """Return the names of all fields that wire types read, at any depth."""
    return frozenset(_names(map(inspect.type_info, types), set()))


def _names(types: Iterable[inspect.Type], seen: set[type]) -> Iterator[str]:
    for told in types:
        match told:
            case inspect.StructType(cls=cls) if cls not in seen:
                seen.add(cls)
                yield from (field.encode_name for field in told.fields)
                if told.tag_field:
                    yield told.tag_field
                yield from _names([field.type for field in told.fields], seen)
            case inspect.UnionType():
                yield from _names(told.types, seen)
            case inspect.VarTupleType() | inspect.ListType():
                yield from _names([told.item_type], seen)
            case inspect.TupleType():
                yield from _names(told.item_types, seen)
            case inspect.DictType():
                yield from _names([told.value_type], seen)

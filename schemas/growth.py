"""What may change from one version of a schema to another, and what may not, in words.

A registry guards less than readers need: in any mode it lets a decimal's scale, a time's
unit or a logical type change; readers then read other amounts and other times without an
error (measured: 10^10 too small). And what it refuses, it explains to machines.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.outline import Field, Record, outline

_ADDED = "older records lack it, and a reader could not fill it in: give it a default"
_REMOVED = "readers of that version need it, and could not fill it in: keep it"
_LOUD = "readers of one version could not read records of the other: add a field beside it"
_SILENT = (
    "readers of the other version would read other values without an error: add a field beside it"
)
_DROPPED = "it could never be taken away again: keep the default"
_OTHER_DEFAULT = "a record that lacks it would be read as another value: keep the default"
_RENAMED = "readers find a record by its name: keep it"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to know of a schema, or of what changed in it."""

    at: str
    """``Money.amount``, or ``Money``."""
    says: str
    harm: str | None = None
    """What it would do to readers, and what to do instead; None if it may be."""

    def __str__(self) -> str:
        return ": ".join(filter(None, [self.at, self.says, self.harm]))


def differences(before: str, after: str) -> list[Remark]:
    """Return everything in which two Avro schemas differ, field by field.

    A record that both have is compared once, wherever it is used.
    """
    old, new = outline(before), outline(after)
    return [
        *_renamed(next(iter(old), "no record"), next(iter(new), "no record")),
        *(remark for name in old if name in new for remark in _record(old[name], new[name])),
    ]


def refused(before: str, after: str) -> list[Remark]:
    """Return the differences that would harm a reader of either version."""
    return [remark for remark in differences(before, after) if remark.harm]


def _renamed(old: str, new: str) -> Iterator[Remark]:
    if old != new:
        yield Remark(new, f"stands where {old} stood", _RENAMED)


def _record(old: Record, new: Record) -> Iterator[Remark]:
    if old.namespace != new.namespace:
        moved = f"its namespace was {old.namespace!r}, is {new.namespace!r}"
        yield Remark(new.name, moved, _RENAMED)
    if old.doc != new.doc:
        yield Remark(new.name, "is described in other words")
    for name, field in old.fields.items():
        at = f"{new.name}.{name}"
        if name in new.fields:
            yield from _field(at, field, new.fields[name])
        else:
            yield _removed(at, field)
    yield from (
        _added(f"{new.name}.{name}", field)
        for name, field in new.fields.items()
        if name not in old.fields
    )
    if [name for name in old.fields if name in new.fields] != [
        name for name in new.fields if name in old.fields
    ]:
        yield Remark(new.name, "its fields stand in another order")


def _removed(at: str, field: Field) -> Remark:
    if field.default is None:
        return Remark(at, "was removed and had no default", _REMOVED)
    return Remark(at, f"was removed, readers of that version read {field.default}")


def _added(at: str, field: Field) -> Remark:
    if field.default is None:
        return Remark(at, f"was added as {field.type} without a default", _ADDED)
    return Remark(at, f"was added as {field.type}, {field.default} where a record lacks it")


def _field(at: str, old: Field, new: Field) -> Iterator[Remark]:
    if old.type != new.type:
        harm = _SILENT if _physical(old) == _physical(new) else _LOUD
        yield Remark(at, f"was {old.type}, is {new.type}", harm)
    elif old.default != new.default:
        yield from _default(at, old, new)
    if old.doc != new.doc:
        yield Remark(at, "is described in other words")


def _default(at: str, old: Field, new: Field) -> Iterator[Remark]:
    match old.default, new.default:
        case str(gone), None:
            yield Remark(at, f"lost its default {gone}", _DROPPED)
        case None, str(given):
            yield Remark(at, f"got the default {given}")
        case str(was), str(given) if not was.startswith("{"):
            yield Remark(at, f"its default was {was}, is {given}", _OTHER_DEFAULT)
        case _:
            # A record's default says each of its fields, so it grows as they do.
            yield Remark(at, "its default follows its fields")


def _physical(field: Field) -> str:
    return field.type.partition(" as ")[0]

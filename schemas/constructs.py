"""The few constructs of Avro that every client reads alike, and what strays from them.

Measured with the clients of four languages: ``docs/contract.md`` says what goes wrong
with others.
"""

from collections.abc import Iterator
from typing import Final

from schemas.growth import Remark
from schemas.outline import Field, Record, outline

AMOUNT: Final = "bytes as decimal(38, 18)"
TIME: Final = "long as timestamp-micros"

_PLAIN: Final = {"string", "bytes", "boolean", "int", "long", AMOUNT, TIME}
_UNREADABLE: Final = {"__proto__"}
"""Names of fields that a client loses."""


def strays(text: str) -> list[Remark]:
    """Return what in a schema some client would read otherwise, or nobody could explain."""
    records = outline(text)
    return [remark for record in records.values() for remark in _record(record, set(records))]


def _record(record: Record, records: set[str]) -> Iterator[Remark]:
    if not record.doc:
        yield Remark(record.name, "is not described", "say in `doc` what it is")
    if not record.fields:
        yield Remark(record.name, "has no field", "Python refuses its records: give it one")
    for field in record.fields.values():
        for says, harm in _field(field, records):
            yield Remark(f"{record.name}.{field.name}", says, harm)


def _field(field: Field, records: set[str]) -> Iterator[tuple[str, str]]:
    if field.type.removeprefix("null or ").removeprefix("list of ") not in _PLAIN | records:
        yield f"is {field.type}", "not every client reads that alike, see docs/contract.md"
    if field.default is None:
        yield "has no default", "it could never be taken away again: give it one"
    if field.name in _UNREADABLE:
        yield "has a name that Node loses", "choose another"
    if not field.doc:
        yield "is not described", "say in `doc` what it is"

"""Records of ours read back from their topics, whichever version wrote them.

https://avro.apache.org/docs/1.12.0/specification/#schema-resolution
"""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final, Generic, TypeVar

import fastavro
import msgspec

from schemas.codec import schema_text

T = TypeVar("T", bound=msgspec.Struct)

_NAME_BYTES: Final = 5
"""A zero and the id of a schema: Confluent's wire format."""


class Reader(Generic[T]):
    """Reads the records of one type."""

    def __init__(self, kind: type[T], text_of: Callable[[int], str]) -> None:
        """``text_of``: id of a schema → its text, as ``Registry.text`` knows it."""
        self._kind = kind
        self._text_of = text_of
        self._ours = _plain(schema_text(kind.__name__.lower()))
        self._writers: dict[int, Any] = {}

    def __call__(self, value: bytes) -> T:
        """Return a record from the value of a message; times are microseconds, amounts exact.

        Raises ``ValueError`` for what is no record of ours, and what ``text_of`` raises.
        """
        if value[:1] != b"\x00" or len(value) < _NAME_BYTES:
            raise ValueError("expected the name of a schema, found none")
        number = int.from_bytes(value[1:_NAME_BYTES])
        if number not in self._writers:
            self._writers[number] = _plain(self._text_of(number))
        try:
            told = fastavro.schemaless_reader(
                BytesIO(value[_NAME_BYTES:]), self._writers[number], self._ours
            )
        except (EOFError, IndexError) as error:
            raise ValueError("expected a whole record, found a torn one") from error
        return msgspec.convert(told, self._kind)


def _plain(text: str) -> Any:  # noqa: ANN401 - fastavro's parsed schema
    """Return a schema without its times, which so stay numbers."""
    return fastavro.parse_schema(json.loads(text, object_hook=_without_time))


def _without_time(told: dict[str, Any]) -> dict[str, Any]:
    if told.get("logicalType") == "timestamp-micros":
        del told["logicalType"]
    return told

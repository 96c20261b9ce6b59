"""Records of ours from their topics, with one line about what is none of ours."""

from typing import Generic, TypeVar, cast

import msgspec
from confluent_kafka import Message

from penstock.errors import OperatorError
from schemas.avro_reader import Reader
from schemas.registry import Registry

T = TypeVar("T", bound=msgspec.Struct)


class Foreign(OperatorError):
    """A record that Penstock did not write."""


class Records(Generic[T]):
    """Reads messages of one type, by the schema that each was written with."""

    def __init__(self, kind: type[T], registry_url: str) -> None:
        self._read = Reader(kind, Registry(registry_url).text)

    def __call__(self, message: Message) -> T:
        """Return the record that a message holds; raise ``Foreign`` if it holds none of ours."""
        try:
            return self._read(message.value() or b"")
        except ValueError as error:
            raise Foreign(f"{place(message)}: {error}: it was not written by Penstock") from error


def place(message: Message) -> str:
    """Return where a message lies, for people."""
    return f"{message.topic()} partition {message.partition()} offset {message.offset()}"


def headers(message: Message) -> list[tuple[str, bytes]]:
    """Return a message's headers, in their order."""
    told = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return [(name, value or b"") for name, value in told]

"""Records of ``redrive``: a rejected part's frame, to be judged again; and who asked for it.

Value and headers are those of the raw record; three headers more say what it is about.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from schemas.codec import Headers
from schemas.records import Micros, Position, Rejected

MAX_ATTEMPTS: Final = 5
"""So often a part is judged; then it stays rejected."""

_OF: Final = "of"
_PART: Final = "part"
_ATTEMPT: Final = "attempt"


class Again(NamedTuple):
    """What is judged again, and for the how manieth time."""

    of: Position
    """Where the frame lies in raw."""
    part: str
    """JSON pointer of the rejected part; empty for the whole frame."""
    attempt: int


class Redrive(NamedTuple):
    """One record of ``redrive``, ready to be written."""

    partition: int
    """That of the raw record: its task is the one that must read it."""
    key: str
    value: bytes
    headers: Headers


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One record of ``audit``: what one transaction of an operator's gave to ``redrive``.

    ``redrive`` forgets after a week; this does not.
    """

    action: str = "redrive"
    run: str
    """Ties together what one command wrote in several transactions."""
    asked_at: Micros
    by: str
    """``user@host``, or who the operator said it was."""
    filters: Mapping[str, str]
    """What was asked for, by option of the command."""
    chosen: int
    """How many parts the whole run was to redrive."""
    parts: tuple[Again, ...]
    """Those that this transaction did."""


class NotRedriven(ValueError):
    """Why a rejected part cannot be redriven."""


def redrive(rejected: Rejected, frame: bytes | None = None) -> Redrive:
    """Return the record that lets a rejected part be judged once more.

    ``frame`` is the raw record's value, needed where ``rejected`` holds but a part of it.
    Raises ``NotRedriven`` after ``MAX_ATTEMPTS``, and where the bytes are not whole.
    """
    if rejected.attempt >= MAX_ATTEMPTS:
        raise NotRedriven(f"it was judged {rejected.attempt} times: it stays rejected")
    value = rejected.value if frame is None else frame
    if len(value) != rejected.size:
        raise NotRedriven(
            f"expected {rejected.size} bytes, found {len(value)}: read the frame from "
            f"{rejected.topic} partition {rejected.partition} offset {rejected.offset}"
        )
    of = Position(rejected.topic, rejected.partition, rejected.offset)
    told = [(header.name, header.value) for header in rejected.headers]
    headers = [*told, *again_headers(Again(of, rejected.part, rejected.attempt + 1))]
    return Redrive(rejected.partition, rejected.account, value, headers)


_ASKED: Final = msgspec.json.Decoder(Asked)


def encode_asked(asked: Asked) -> bytes:
    """Return the value of a record of ``audit``: JSON."""
    return msgspec.json.encode(asked)


def decode_asked(value: bytes) -> Asked:
    """Return what was asked; ``msgspec.MsgspecError`` for what is none."""
    return _ASKED.decode(value)


def again_headers(again: Again) -> Headers:
    """Return the headers that ``again`` reads back."""
    return [
        (_OF, "/".join(map(str, again.of)).encode()),
        (_PART, again.part.encode()),
        (_ATTEMPT, b"%d" % again.attempt),
    ]


def again(headers: Iterable[tuple[str, bytes]]) -> Again:
    """Return what a record of ``redrive`` is about; ``ValueError`` if it does not say."""
    told = dict(headers)
    try:
        topic, partition, offset = told[_OF].decode().split("/")
        of = Position(topic, int(partition), int(offset))
        return Again(of, told[_PART].decode(), int(told[_ATTEMPT]))
    except KeyError as error:
        raise ValueError(f"redrive record without header {error}") from error

"""What Paymium says in words: announcements to all; to a user, notices and the state of KYC.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from processors.mapper import Keys, Part, Route, Statement, Wire, Word
from processors.mappers.paymium.frames import Told
from schemas.records import Notice


class _Announcement(Wire, frozen=True):
    """Only the names of severity and display type are known; the rest is a guess."""

    severity: str | None = None
    message: Mapping[str, str] = {}
    """Language → text, for everybody."""


def _announcement(told: _Announcement, part: Part, _: Keys) -> Iterator[Statement]:
    yield Statement(
        payload=Notice(topic="announcement", severity=told.severity, text=told.message.get("en")),
        action="published",
        provider_type=part.context.word,
        entity_kind="announcement",
        entity_id=_content_hash(part.body),
        only_if_new=True,  # Repeated every ten seconds.
    )


# A number stands as it was written.
_ANYTHING: Final = msgspec.json.Decoder(float_hook=lambda number: msgspec.Raw(number.encode()))
_SORTED: Final = msgspec.json.Encoder(order="sorted")


def _content_hash(body: bytes) -> str:
    """Return SHA-256 of the JSON with sorted keys, no blanks, and its own digits."""
    return sha256(_SORTED.encode(_ANYTHING.decode(body))).hexdigest()


class _Message(Wire, frozen=True):
    message: str
    """To a person: it stays in raw."""


class _State(Wire, frozen=True):
    state: Word


def _notice(_told: _Message, part: Part, _: Keys) -> Iterator[Statement]:
    yield _said(Notice(topic="notice"), "published", part.context)


def _state(told: _State, part: Part, _: Keys) -> Iterator[Statement]:
    yield _said(Notice(topic="kyc", status=told.state), "updated", part.context)


def _said(notice: Notice, done: str, told: Told) -> Statement:
    return Statement(
        payload=notice,
        action=done,
        provider_type=told.word,
        entity_kind="user",
        entity_id=told.account,
    )


ANNOUNCEMENT: Final = Route(msgspec.json.Decoder(_Announcement), _announcement)
NOTICE: Final = Route(msgspec.json.Decoder(_Message), _notice)
STATE: Final = Route(msgspec.json.Decoder(_State), _state)

"""From in-band marks to ``coverage``: where we may have missed something. No I/O."""

from typing import Protocol

import msgspec

from schemas.records import (
    ChannelSeen,
    Closed,
    Coverage,
    Kind,
    Micros,
    Position,
    Raw,
    Recovered,
    Via,
)
from schemas.topics import joined

_CLOSED = msgspec.json.Decoder(Closed)
_RECOVERED = msgspec.json.Decoder(Recovered)
_KILLED = "killed"


class Book(Protocol):
    """Where channels are looked up and holes are written."""

    published_at: Micros
    coverage: list[Coverage]
    channels: dict[str, ChannelSeen]

    def channel(self, name: str) -> ChannelSeen | None: ...


def follow_mark(raw: Raw, position: Position, book: Book) -> None:
    """Move the channel's last sign of life; write a hole or a recovery where one ends.

    A hole starts at the last kept frame or live mark, because a killed process writes
    no ``closed``, and ends when the channel opens again.
    """
    if raw.kind is Kind.RECOVERED:
        book.coverage.append(_recovery(raw, position, book.published_at))
        return
    if raw.via is not Via.SOCKET:
        return
    name = joined(raw.provider, raw.account, raw.route)
    if raw.kind is Kind.CLOSED:
        _close(name, raw, book)
        return
    if raw.kind is Kind.OPENED:
        before = book.channel(name)
        if before is not None and before.connection != raw.connection:
            book.coverage.append(_hole(before, raw, position, book.published_at))
    book.channels[name] = ChannelSeen(raw.received_at, raw.connection, "")


def _close(name: str, raw: Raw, book: Book) -> None:
    before = book.channel(name)
    if before is not None and before.connection == raw.connection:
        book.channels[name] = before._replace(cause=_CLOSED.decode(raw.value).cause)


def _hole(before: ChannelSeen, raw: Raw, position: Position, now: Micros) -> Coverage:
    return Coverage(
        kind="hole",
        provider=raw.provider,
        account=raw.account,
        environment=raw.environment,
        channel=raw.route,
        from_at=before.alive_at,
        to_at=raw.received_at,
        cause=before.cause or _KILLED,
        complete=False,
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        recorded_at=now,
    )


def _recovery(raw: Raw, position: Position, now: Micros) -> Coverage:
    recovered = _RECOVERED.decode(raw.value)
    return Coverage(
        kind="recovery",
        provider=raw.provider,
        account=raw.account,
        environment=raw.environment,
        channel=raw.route,
        from_at=recovered.from_at,
        to_at=recovered.up_to_at,
        cause="",
        recovered_by=recovered.by,
        count=recovered.count,
        complete=recovered.complete,
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        recorded_at=now,
    )

"""From in-band marks to ``coverage``: where we may have missed something. No I/O."""

from typing import Protocol

import msgspec
from msgspec.structs import replace

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
_ON_THE_WAY = 5_000_000
"""Microseconds: what a provider told before our last sign of life may still have been on its
way, behind that frame or in buffers of ours, and ended with the connection. Milliseconds on
an idle machine, and as long as a broker keeps us from reading: too large is honest."""


class Book(Protocol):
    """Where channels are looked up and holes are written."""

    published_at: Micros
    coverage: list[Coverage]
    channels: dict[str, ChannelSeen]

    def channel(self, name: str) -> ChannelSeen | None: ...


def follow_mark(raw: Raw, position: Position, book: Book) -> None:
    """Move the channel's last sign of life; write a hole or a recovery where one ends.

    A hole starts ``_ON_THE_WAY`` before the last kept frame or live mark, because a killed
    process writes no ``closed``, and ends when the channel opens again. What a connection
    tells before it is open does not end it.
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
    before = book.channel(name)
    if before is not None and before.connection != raw.connection:
        if raw.kind is not Kind.OPENED:
            return
        book.coverage.append(_hole(before, raw, position, book.published_at))
    book.channels[name] = ChannelSeen(raw.received_at, raw.connection, "")


def _close(name: str, raw: Raw, book: Book) -> None:
    before = book.channel(name)
    if before is not None and before.connection == raw.connection:
        book.channels[name] = replace(before, cause=_CLOSED.decode(raw.value).cause)


def _hole(before: ChannelSeen, raw: Raw, position: Position, now: Micros) -> Coverage:
    return Coverage(
        kind="hole",
        provider=raw.provider,
        account=raw.account,
        environment=raw.environment,
        channel=raw.route,
        from_at=max(0, before.alive_at - _ON_THE_WAY),
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

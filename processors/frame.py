"""A raw record in its place, and the records that are built from it. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from processors.errors import FrameError, Malformed, TooLarge
from processors.mapper import Mapper, Part, Statement
from schemas import records
from schemas.codec import encode_event, raw_headers
from schemas.records import (
    Authority,
    Change,
    Event,
    Evidence,
    Header,
    Micros,
    Position,
    Raw,
    Rejected,
    Via,
    Witness,
)
from schemas.topics import MAX_EVENT_BYTES, MAX_REJECTED_BYTES, joined


class Frame(msgspec.Struct, frozen=True):
    """A raw record in its place, with what every event of it repeats."""

    raw: Raw
    position: Position
    mapper: Mapper
    sha256: str
    attempt: int = 1
    """More than 1: it is judged again, after a part of it was rejected."""


class Place(msgspec.Struct, frozen=True):
    """What the envelope says beyond the frame and the statement."""

    id: str
    occurred_at: Micros
    sequence: int
    is_stale: bool
    change: Change


_PAYLOAD_FIELD: Final[Mapping[type, str]] = {
    records.Transfer: "transfer",
    records.Conversion: "conversion",
    records.Invoice: "invoice",
    records.Payment: "payment",
    records.Purchase: "purchase",
    records.Order: "order",
    records.Posting: "posting",
    records.MarketTrade: "market_trade",
    records.Quote: "quote",
    records.Book: "book",
    records.Balance: "balance",
    records.Listing: "listing",
    records.Settlement: "settlement",
    records.Notice: "notice",
}


def event_of(frame: Frame, part: Part, statement: Statement, place: Place, now: Micros) -> Event:
    """Return a statement in canonical form; ``now`` is when it is published."""
    raw = frame.raw
    payload = _PAYLOAD_FIELD[type(statement.payload)]
    return Event(
        id=place.id,
        type=f"{payload}.{statement.action}",
        is_fact=statement.identity is not None,
        provider=raw.provider,
        account=raw.account,
        environment=raw.environment,
        provider_type=statement.provider_type,
        entity_kind=statement.entity_kind,
        entity_id=statement.entity_id,
        group=statement.group,
        entity_sequence=place.sequence,
        is_stale=place.is_stale,
        change=place.change,
        authority=authority_of(raw, part),
        occurred_at=place.occurred_at,
        time_source="received" if statement.occurred_at is None else "provider",
        received_at=raw.received_at,
        published_at=now,
        via=raw.via,
        evidence=Evidence(*frame.position, part.pointer, frame.sha256, part.verified),
        mapper=frame.mapper.name,
        **{payload: statement.payload},  # type: ignore[arg-type]
    )


def encoded(event: Event) -> bytes:
    """Return an event's Avro bytes; raise ``TooLarge`` for what the broker would refuse."""
    written = encode_event(event)
    if len(written) > MAX_EVENT_BYTES:
        raise TooLarge(f"event: expected at most {MAX_EVENT_BYTES} bytes, found {len(written)}")
    return written


def authority_of(raw: Raw, part: Part) -> Authority:
    """Return how much a part proves: what its envelope does, else what its path does."""
    return part.authority or _PROVEN[raw.via]


_PROVEN: Final[Mapping[Via, Authority]] = {
    Via.SOCKET: Authority.BEST_EFFORT,
    Via.WEBHOOK: Authority.BEST_EFFORT,
    Via.POLL: Authority.READ_BACK,
    Via.BACKFILL: Authority.READ_BACK,
}


def witness_of(frame: Frame, part: Part, event_id: str, now: Micros) -> Witness:
    """Return the record of a further path; ``now`` is when it is published."""
    raw, position = frame.raw, frame.position
    return Witness(
        id=event_id,
        provider=raw.provider,
        account=raw.account,
        via=raw.via,
        authority=authority_of(raw, part),
        verified=part.verified,
        received_at=raw.received_at,
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        part=part.pointer,
        published_at=now,
    )


def rejection_of(
    frame: Frame, pointer: str, error: FrameError, about: Statement | None, now: Micros
) -> Rejected:
    """Return the rejection of a part; ``about`` is what it stated, where that is known."""
    raw, position = frame.raw, frame.position
    identity = about and about.identity
    return Rejected(
        provider=raw.provider,
        account=raw.account,
        environment=raw.environment,
        reason=error.reason,
        message=str(error),
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        part=pointer,
        value=raw.value[:MAX_REJECTED_BYTES],
        size=len(raw.value),
        headers=tuple(Header(name, value) for name, value in raw_headers(raw)),
        fact_id=joined(raw.provider, raw.account, *identity) if identity else None,
        entity_kind=about.entity_kind if about else None,
        entity_id=about.entity_id if about else None,
        mapper=frame.mapper.name,
        attempt=frame.attempt,
        received_at=raw.received_at,
        rejected_at=now,
    )


class Delivered(NamedTuple):
    """A record as Kafka holds it, before anyone read its headers."""

    headers: Sequence[tuple[str, bytes]]
    value: bytes
    position: Position


def foreign(
    delivered: Delivered, mapper: Mapper | None, found: ValueError, now: Micros, attempt: int = 1
) -> Rejected:
    """Return the rejection of a record that none of ours wrote.

    ``mapper`` is whose topic it lies in; None where that cannot be told.
    """
    headers, value, position = delivered
    told = dict(headers)
    return Rejected(
        provider=mapper.provider if mapper else "",
        account=told.get("account", b"").decode(errors="replace"),
        environment=told.get("environment", b"").decode(errors="replace"),
        reason=Malformed.reason,
        message=f"headers: expected those of a raw record, found {found}",
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        part="",
        value=value[:MAX_REJECTED_BYTES],
        size=len(value),
        headers=tuple(Header(name, header) for name, header in headers),
        mapper=mapper.name if mapper else "",
        attempt=attempt,
        received_at=now,
        rejected_at=now,
    )

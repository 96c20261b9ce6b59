"""From a raw record to what a transaction writes: open, map, judge. No I/O.

The rules of identity, conflict, change and staleness are here and nowhere else;
``docs/identity.md`` says what each provider puts into them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from hashlib import blake2b, sha256
from typing import Final, NamedTuple, Protocol

import msgspec

from processors.coverage import follow_mark
from processors.errors import (
    BeyondHorizon,
    Conflict,
    Crashed,
    FrameError,
    InvalidValue,
    Malformed,
    TooLarge,
    UnknownKind,
)
from processors.mapper import Keys, Mapper, Part, Statement
from schemas import records
from schemas.codec import encode_event, path_bit, raw_headers
from schemas.records import (
    Authority,
    Change,
    ChannelSeen,
    Coverage,
    EntitySeen,
    Event,
    Evidence,
    FactSeen,
    Header,
    Kind,
    Micros,
    Position,
    Raw,
    Rejected,
    Status,
    Via,
    Witness,
)
from schemas.topics import HORIZON_DAYS, MAX_EVENT_BYTES, MAX_REJECTED_BYTES, joined

HORIZON: Final = HORIZON_DAYS * 86_400 * 1_000_000
_NOTHING: Final = bytes(8)


class Memory(Protocol):
    """What a task remembers of committed transactions."""

    def fact(self, key: bytes) -> FactSeen | None: ...
    def observation(self, key: bytes) -> FactSeen | None: ...
    def entity(self, key: bytes) -> EntitySeen | None: ...
    def channel(self, name: str) -> ChannelSeen | None: ...


class Guard(Protocol):
    """Knows which parts killed their task, and wants to know which one is next."""

    def is_condemned(self, position: Position, part: int) -> bool: ...
    def enter(self, position: Position, part: int) -> None: ...


WHOLE: Final = -1
"""Stands for a frame of which no part was reached yet, where parts are numbered."""


@dataclass(slots=True)
class Batch:
    """What one transaction adds, seen on top of what is remembered already."""

    memory: Memory
    published_at: Micros
    events: list[tuple[Event, bytes]] = field(default_factory=list)
    """Each with its Avro bytes, without the five bytes that name the schema."""
    rejected: list[Rejected] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    facts: dict[bytes, FactSeen] = field(default_factory=dict)
    entities: dict[bytes, EntitySeen] = field(default_factory=dict)
    channels: dict[str, ChannelSeen] = field(default_factory=dict)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """(provider, via) of each fact told again."""
    unjudged: list[str] = field(default_factory=list)
    """Provider of each fact told again whose stakes were taken by another recipe."""

    def fact(self, key: bytes) -> FactSeen | None:
        return self.facts.get(key) or self.memory.fact(key)

    def observation(self, key: bytes) -> FactSeen | None:
        return self.facts.get(key) or self.memory.observation(key)

    def entity(self, key: bytes) -> EntitySeen | None:
        return self.entities.get(key) or self.memory.entity(key)

    def channel(self, name: str) -> ChannelSeen | None:
        return self.channels.get(name) or self.memory.channel(name)

    def absorb(self, inner: "Batch") -> None:
        """Take over what was tried on top of this batch."""
        self.events += inner.events
        self.witnesses += inner.witnesses
        self.facts |= inner.facts
        self.entities |= inner.entities
        self.duplicates += inner.duplicates
        self.unjudged += inner.unjudged


@dataclass(frozen=True, slots=True)
class _Frame:
    """A raw record in its place, with what every event of it repeats."""

    raw: Raw
    position: Position
    mapper: Mapper
    sha256: str


def process(  # noqa: PLR0913, PLR0917 - a record, how to read it, and where it goes
    raw: Raw,
    position: Position,
    mapper: Mapper,
    keys: Keys,
    batch: Batch,
    guard: Guard | None = None,
) -> None:
    """Add to ``batch`` all that one raw record leads to.

    Never raises for what a provider sent: each part leaves by exactly one door, as
    events, as silence on purpose, or as one rejected record. ``guard`` is there while
    a record is suspected to have killed its task.
    """
    follow_mark(raw, position, batch)
    if raw.kind is not Kind.FRAME:
        return
    frame = _Frame(raw, position, mapper, sha256(raw.value).hexdigest())
    try:
        _pass(guard, position, WHOLE)
        parts = list(mapper.open(raw, keys))
    except _UNREADABLE as error:
        batch.rejected.append(_rejected(frame, "", _as_frame_error(error), None, batch))
        return
    for index, part in enumerate(parts):
        _tell_whole(frame, index, part, keys, batch, guard)


def _pass(guard: Guard | None, position: Position, part: int) -> None:
    """Let a part in that may be tried; raise ``Crashed`` for one that may not."""
    if guard is None:
        return
    if guard.is_condemned(position, part):
        raise Crashed("it killed its task twice while nothing else was processed")
    guard.enter(position, part)


# A document nested deeper than the interpreter's stack is as unreadable as a torn one.
_UNREADABLE: Final = (FrameError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _as_frame_error(error: Exception) -> FrameError:
    match error:
        case FrameError():
            return error
        case msgspec.MsgspecError():
            return Malformed(str(error))
        case RecursionError():
            return Malformed("$: expected JSON, found one nested too deep to read")
        case _:
            return Malformed("$: expected UTF-8 text, found bytes that are not")


def _tell_whole(  # noqa: PLR0913, PLR0917 - as process, for one part
    frame: _Frame, index: int, part: Part, keys: Keys, batch: Batch, guard: Guard | None
) -> None:
    """Tell all that a part states, or reject it whole."""
    statement = None
    try:
        _pass(guard, frame.position, index)
        statements = _statements(frame.mapper, part, keys)
        inner = batch if len(statements) == 1 else Batch(batch, batch.published_at)
        for number, statement in enumerate(statements):
            if statement.identity is not None:
                _tell_fact(frame, part, statement, statement.identity, inner)
            else:
                name = f"{index}.{number}" if number else str(index)
                _tell_observation(frame, part, statement, name, inner)
    except _UNREADABLE as error:
        refused = _rejected(frame, part.pointer, _as_frame_error(error), statement, batch)
        batch.rejected.append(refused)
        return
    if inner is not batch:
        batch.absorb(inner)


def _statements(mapper: Mapper, part: Part, keys: Keys) -> list[Statement]:
    route = mapper.routes.get(part.kind)
    if route is not None:
        return list(route.states(route.decoder.decode(part.body), part, keys))
    if part.kind in mapper.silent:
        return []
    raise UnknownKind(f"{mapper.provider} has no route for {part.kind[:_KIND_SHOWN]!r}")


_KIND_SHOWN: Final = 64


# ---- facts ----------------------------------------------------------------------------


def _tell_fact(
    frame: _Frame, part: Part, statement: Statement, identity: tuple[str, ...], batch: Batch
) -> None:
    raw = frame.raw
    fact_id = joined(raw.provider, raw.account, *identity)
    key = _hash(fact_id, 16)
    stakes = stakes_hash(statement.stakes)
    occurred_at = _occurred_at(raw, statement)
    path = path_bit(raw.via, _authority(raw, part))
    seen = batch.fact(key)
    if seen is None:
        entity_key = _entity_key(raw, statement)
        entity = batch.entity(entity_key)
        place = _place(fact_id, occurred_at, statement, stakes, entity)
        event = _event(frame, part, statement, place, batch.published_at)
        batch.events.append((event, _encoded(event)))
        batch.entities[entity_key] = _entity_after(entity, statement, stakes, raw.received_at)
        batch.facts[key] = FactSeen(
            stakes=stakes,
            recipe=statement.recipe,
            is_fact=True,
            paths=path,
            occurred_at=min(occurred_at, raw.received_at) // 1_000_000,
            offset=frame.position.offset,
        )
        return
    if seen.recipe != statement.recipe:
        batch.unjudged.append(raw.provider)
    elif seen.stakes != stakes:
        told = f"{frame.position.topic} offset {seen.offset}"
        raise Conflict(f"{fact_id}: expected the stakes told at {told}, found others")
    batch.duplicates.append((raw.provider, raw.via))
    if not seen.paths & path:
        batch.facts[key] = seen._replace(paths=seen.paths | path)
        if _has_money(statement):
            batch.witnesses.append(_witness(frame, part, fact_id, batch.published_at))


def stakes_hash(stakes: tuple[str | Decimal | None, ...]) -> bytes:
    """Return 8 bytes that are equal for equal stakes: 30 and 30.0 are."""
    return _hash("\x1f".join([_normal(stake) for stake in stakes]), 8)


def _normal(stake: str | Decimal | None) -> str:
    match stake:
        case None:
            return ""
        case str():
            return "s" + stake
        case _:
            return "n" + (str(stake.normalize(_EXACT)) if stake else "0")


_EXACT: Final = Context(prec=300)


def _hash(text: str, size: int) -> bytes:
    return blake2b(text.encode(), digest_size=size).digest()


def _occurred_at(raw: Raw, statement: Statement) -> Micros:
    occurred_at = statement.occurred_at
    if occurred_at is None:
        return raw.received_at
    if not 0 <= occurred_at < _LAST_TIME:
        raise InvalidValue("occurred_at: expected a time between 1970 and 2112")
    if raw.received_at - occurred_at > HORIZON:
        raise BeyondHorizon(f"occurred_at: expected at most {HORIZON_DAYS} days of age")
    return occurred_at


# Every long stays within +-2^52: some clients read longs as doubles.
_LAST_TIME: Final = 2**52


class _Place(NamedTuple):
    """What the envelope says beyond the frame and the statement."""

    id: str
    occurred_at: Micros
    sequence: int
    is_stale: bool
    change: Change


def _place(
    fact_id: str,
    occurred_at: Micros,
    statement: Statement,
    stakes: bytes,
    entity: EntitySeen | None,
) -> _Place:
    """Return where a new fact stands among those of its entity."""
    if entity is None:
        return _Place(fact_id, occurred_at, 1, is_stale=False, change=Change.STATUS)
    return _Place(
        fact_id,
        occurred_at,
        entity.sequence + 1,
        is_stale=_is_older(statement, entity),
        change=_change(statement, stakes, entity),
    )


def _is_older(statement: Statement, entity: EntitySeen) -> bool:
    """Compare by (version, rank); without a version on either side the rank decides."""
    if statement.version is not None and entity.version is not None:
        return (statement.version, statement.rank) < (entity.version, entity.rank)
    return statement.rank < entity.rank


def _change(statement: Statement, stakes: bytes, entity: EntitySeen) -> Change:
    told = entity.stakes.get(_status(statement))
    if told is None:
        return Change.STATUS
    return Change.NONE if told == stakes else Change.STAKES


def _status(statement: Statement) -> Status:
    return statement.status or Status.UNKNOWN


def _entity_after(
    entity: EntitySeen | None, statement: Statement, stakes: bytes, now: Micros
) -> EntitySeen:
    """Return what is remembered of an entity once this fact is told."""
    status = _status(statement)
    seconds = now // 1_000_000
    if entity is None:
        return EntitySeen(
            sequence=1,
            version=statement.version,
            rank=statement.rank,
            is_final=statement.is_final,
            touched_at=seconds,
            observed=_NOTHING,
            stakes={status: stakes},
        )
    kept = entity._replace(
        sequence=entity.sequence + 1,
        touched_at=seconds,
        stakes={**entity.stakes, status: stakes},
    )
    if _is_older(statement, entity):
        return kept
    return kept._replace(
        version=statement.version or entity.version,
        rank=statement.rank,
        is_final=statement.is_final,
    )


# ---- observations ---------------------------------------------------------------------


def _tell_observation(
    frame: _Frame, part: Part, statement: Statement, number: str, batch: Batch
) -> None:
    """Tell a reading without identity; one that repeats itself only if it differs."""
    raw = frame.raw
    name = joined(raw.provider, raw.account, raw.connection, str(raw.sequence), number)
    key = _hash(name, 16)
    if batch.observation(key) is not None:
        batch.duplicates.append((raw.provider, raw.via))
        return
    entity_key = _entity_key(raw, statement)
    entity = batch.entity(entity_key)
    observed = blake2b(msgspec.msgpack.encode(statement.payload), digest_size=8).digest()
    repeats = statement.only_if_new or raw.via is not Via.SOCKET
    if not repeats or entity is None or entity.observed != observed:
        place = _Place(name, _occurred_at(raw, statement), 0, is_stale=False, change=Change.NONE)
        event = _event(frame, part, statement, place, batch.published_at)
        batch.events.append((event, _encoded(event)))
    seconds = raw.received_at // 1_000_000
    batch.facts[key] = FactSeen(
        stakes=observed,
        recipe=statement.recipe,
        is_fact=False,
        paths=0,
        occurred_at=seconds,
        offset=frame.position.offset,
    )
    batch.entities[entity_key] = (entity or _UNSEEN)._replace(observed=observed, touched_at=seconds)


_UNSEEN: Final = EntitySeen(
    sequence=0, version=None, rank=0, is_final=True, touched_at=0, observed=_NOTHING, stakes={}
)


# ---- records --------------------------------------------------------------------------

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


def _event(frame: _Frame, part: Part, statement: Statement, place: _Place, now: Micros) -> Event:
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
        authority=_authority(raw, part),
        occurred_at=place.occurred_at,
        time_source="received" if statement.occurred_at is None else "provider",
        received_at=raw.received_at,
        published_at=now,
        via=raw.via,
        evidence=Evidence(*frame.position, part.pointer, frame.sha256, part.verified),
        mapper=frame.mapper.name,
        **{payload: statement.payload},  # type: ignore[arg-type]
    )


def _encoded(event: Event) -> bytes:
    encoded = encode_event(event)
    if len(encoded) > MAX_EVENT_BYTES:
        raise TooLarge(f"event: expected at most {MAX_EVENT_BYTES} bytes, found {len(encoded)}")
    return encoded


def _authority(raw: Raw, part: Part) -> Authority:
    if part.authority is not None:
        return part.authority
    if raw.via in (Via.POLL, Via.BACKFILL):
        return Authority.READ_BACK
    return Authority.BEST_EFFORT


def _entity_key(raw: Raw, statement: Statement) -> bytes:
    return _hash(joined(raw.provider, raw.account, statement.entity_kind, statement.entity_id), 16)


def _has_money(statement: Statement) -> bool:
    return any(isinstance(stake, Decimal) for stake in statement.stakes)


def _witness(frame: _Frame, part: Part, event_id: str, now: Micros) -> Witness:
    raw, position = frame.raw, frame.position
    return Witness(
        id=event_id,
        provider=raw.provider,
        account=raw.account,
        via=raw.via,
        authority=_authority(raw, part),
        verified=part.verified,
        received_at=raw.received_at,
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        part=part.pointer,
        published_at=now,
    )


def _rejected(
    frame: _Frame, pointer: str, error: FrameError, about: Statement | None, batch: Batch
) -> Rejected:
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
        attempt=1,
        received_at=raw.received_at,
        rejected_at=batch.published_at,
    )


class Delivered(NamedTuple):
    """A record as Kafka holds it, before anyone read its headers."""

    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    position: Position


def foreign(delivered: Delivered, mapper: Mapper, found: ValueError, now: Micros) -> Rejected:
    """Return the rejection of a raw record that ingest did not write."""
    headers, value, position = delivered
    told = dict(headers)
    return Rejected(
        provider=mapper.provider,
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
        mapper=mapper.name,
        attempt=1,
        received_at=now,
        rejected_at=now,
    )

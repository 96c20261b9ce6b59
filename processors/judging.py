"""Is it new, does it contradict, what does it change, is it older? No I/O.

The rules of identity, conflict, change and staleness are here and nowhere else;
``docs/identity.md`` says what each provider puts into them.
"""

from decimal import Context, Decimal
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec.structs import replace

from processors.batch import Batch, Further
from processors.errors import BeyondHorizon, Conflict, InvalidValue
from processors.frame import Frame, Place, authority_of, encoded, event_of, witness_of
from processors.mapper import Part, Statement
from schemas.codec import behind, hundredths, path_bit, via_of
from schemas.records import (
    Change,
    EntitySeen,
    Event,
    FactSeen,
    Micros,
    OpenEntity,
    Raw,
    Status,
    Via,
)
from schemas.topics import HORIZON_DAYS, joined

HORIZON: Final = HORIZON_DAYS * 86_400 * 1_000_000
_NOTHING: Final = bytes(8)


# ---- facts ----------------------------------------------------------------------------


def tell_fact(
    frame: Frame, part: Part, statement: Statement, identity: tuple[str, ...], batch: Batch
) -> None:
    """Tell a fact, once: told again it is a witness at most. Raises a ``FrameError``."""
    raw = frame.raw
    fact_id = joined(raw.provider, raw.account, *identity)
    key = _hash(fact_id, 16)
    stakes = stakes_hash(statement.stakes)
    occurred_at = _occurred_at(raw, statement)
    path = path_bit(raw.via, authority_of(raw, part))
    seen = batch.fact(key)
    if seen is None:
        entity_key = _entity_key(raw, statement)
        entity = batch.entity(entity_key)
        place = _place(fact_id, occurred_at, statement, stakes, entity)
        event = event_of(frame, part, statement, place, batch.published_at)
        batch.events.append((event, encoded(event)))
        after = _entity_after(entity, statement, stakes, raw.received_at)
        batch.entities[entity_key] = after
        was_open = entity is not None and not entity.is_final
        if was_open is after.is_final:
            batch.turn(event.key, None if after.is_final else _opened(event, statement))
        batch.facts[key] = FactSeen(
            stakes=stakes,
            recipe=statement.recipe,
            is_fact=True,
            paths=path,
            received_at=hundredths(raw.received_at),
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
        batch.facts[key] = replace(seen, paths=seen.paths | path)
        batch.further.append(_further(raw, seen))
        if _has_money(statement):
            batch.witnesses.append(witness_of(frame, part, fact_id, batch.published_at))


def _further(raw: Raw, seen: FactSeen) -> Further:
    late = behind(raw.received_at, seen.received_at)
    told = via_of(seen.paths)
    return Further(raw.provider, told and (told if late >= 0 else raw.via), raw.via, late)


def stakes_hash(stakes: tuple[str | Decimal | None, ...]) -> bytes:
    """Return 8 bytes that are equal for equal stakes: 30 and 30.0 are."""
    return _hash("\x1f".join([_normal(stake) for stake in stakes]), 8)


def _normal(stake: str | Decimal | None) -> str:
    if stake is None:
        return ""
    if isinstance(stake, str):
        return "s" + stake
    return "n" + str(_exact(stake)) if stake else "n0"


_exact: Final = Context(prec=300).normalize


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


def _place(
    fact_id: str,
    occurred_at: Micros,
    statement: Statement,
    stakes: bytes,
    entity: EntitySeen | None,
) -> Place:
    """Return where a new fact stands among those of its entity."""
    if entity is None:
        return Place(fact_id, occurred_at, 1, is_stale=False, change=Change.STATUS)
    return Place(
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
    kept = replace(
        entity,
        sequence=entity.sequence + 1,
        touched_at=seconds,
        stakes={**entity.stakes, status: stakes},
    )
    if _is_older(statement, entity):
        return kept
    return replace(
        kept,
        version=statement.version or entity.version,
        rank=statement.rank,
        is_final=statement.is_final,
    )


def _opened(event: Event, statement: Statement) -> OpenEntity:
    return OpenEntity(
        provider=event.provider,
        account=event.account,
        entity_kind=event.entity_kind,
        entity_id=event.entity_id,
        status=_status(statement),
        since=event.occurred_at,
    )


# ---- observations ---------------------------------------------------------------------


def tell_observation(
    frame: Frame, part: Part, statement: Statement, number: str, batch: Batch
) -> None:
    """Tell a reading without identity; one that repeats itself only if it differs.

    Raises a ``FrameError``.
    """
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
        place = Place(name, _occurred_at(raw, statement), 0, is_stale=False, change=Change.NONE)
        event = event_of(frame, part, statement, place, batch.published_at)
        batch.events.append((event, encoded(event)))
    seconds = raw.received_at // 1_000_000
    batch.facts[key] = FactSeen(
        stakes=observed,
        recipe=statement.recipe,
        is_fact=False,
        paths=0,
        received_at=hundredths(raw.received_at),
        offset=frame.position.offset,
    )
    batch.entities[entity_key] = replace(entity or _UNSEEN, observed=observed, touched_at=seconds)


_UNSEEN: Final = EntitySeen(
    sequence=0, version=None, rank=0, is_final=True, touched_at=0, observed=_NOTHING, stakes={}
)


def _entity_key(raw: Raw, statement: Statement) -> bytes:
    return _hash(joined(raw.provider, raw.account, statement.entity_kind, statement.entity_id), 16)


def _has_money(statement: Statement) -> bool:
    return any(isinstance(stake, Decimal) for stake in statement.stakes)

"""One event, held against the bytes that it came from. No I/O."""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import msgspec

from processors.batch import Batch
from processors.mapper import Keys, Mapper
from processors.pipeline import process
from schemas.records import (
    Event,
    Evidence,
    Payload,
    Position,
    Raw,
    Reason,
    Rejected,
    Witness,
)


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at again."""

    holds: bool | None
    """None: it could not be checked."""
    said: str


@dataclass(frozen=True, slots=True)
class Held:
    """An event's evidence, looked at again."""

    sha256: Check
    signature: Check
    told_again: Check
    """Whether the mapper of today reads the same from the same bytes."""

    @property
    def is_false(self) -> bool:
        """True where the evidence is not what the event says; another mapper is no such thing."""
        return self.sha256.holds is False or self.signature.holds is False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where an event came from, and what belongs to it."""

    event: Event
    at: Position
    """On ``events``."""
    raw: Raw | None
    """None: raw no longer holds the frame."""
    held: Held
    witnesses: tuple[Witness, ...]
    entity: tuple[Event, ...]
    """Every fact of the event's entity, this one too, by ``entity_sequence``."""


class Nothing:
    """A memory that holds nothing: every frame is the first."""

    def fact(self, key: bytes) -> None: ...
    def observation(self, key: bytes) -> None: ...
    def entity(self, key: bytes) -> None: ...
    def channel(self, name: str) -> None: ...


_GONE: Final = Check(None, "raw no longer holds the frame")


def hold(event: Event, raw: Raw | None, mapper: Mapper, keys: Keys | str) -> Held:
    """Hold an event against its frame; ``keys``: those of its account, or why there are none."""
    if raw is None:
        return Held(_GONE, _GONE, _GONE)
    digest = sha256(raw.value).hexdigest() == event.evidence.sha256
    said = "the frame's SHA-256 is the evidence's" if digest else "the frame is another one"
    if isinstance(keys, str):
        unknown = Check(None, f"not judged again: {keys}")
        return Held(Check(digest, said), unknown, unknown)
    _, _, key_id = event.evidence.verified.partition(":")
    if key_id and key_id not in keys.verification:
        missing = Check(None, f"key {key_id} is neither in the settings nor on `keys`")
        return Held(Check(digest, said), missing, missing)
    ring = {key_id: keys.verification[key_id]} if key_id else {}
    batch = Batch(Nothing(), event.published_at)
    process(raw, _of(event.evidence), mapper, replace(keys, verification=ring), batch)
    again = next((one for one, _ in batch.events if one.id == event.id), None)
    refused = _refusal(batch, event)
    return Held(
        Check(digest, said), _signature(event, again, refused), _payload(event, again, refused)
    )


def _of(evidence: Evidence) -> Position:
    return Position(evidence.topic, evidence.partition, evidence.offset)


def _refusal(batch: Batch, event: Event) -> Rejected | None:
    """Return why today the part, or the whole frame, would be rejected."""
    return next((r for r in batch.rejected if r.part in ("", event.evidence.part)), None)


def _signature(event: Event, again: Event | None, refused: Rejected | None) -> Check:
    verified = event.evidence.verified
    if ":" not in verified:
        return Check(None, f"nothing is signed ({verified}): {event.authority}, by {event.via}")
    if again is not None and again.evidence.verified == verified:
        return Check(holds=True, said=f"{verified} made the signature")
    if refused is not None and refused.reason == Reason.UNVERIFIED:
        return Check(holds=False, said=f"{verified}: {refused.message}")
    return Check(None, f"{verified}: the part does not open as it did")


def _payload(event: Event, again: Event | None, refused: Rejected | None) -> Check:
    if again is None:
        why = refused.message if refused else "it states something else"
        return Check(holds=False, said=f"today it would not be told: {why}")
    ours, theirs = payload_of(event), payload_of(again)
    if ours == theirs:
        return Check(holds=True, said=f"{again.mapper} reads the same from it")
    names = [name for name in ours.__struct_fields__ if _differ(ours, theirs, name)]
    return Check(holds=False, said=f"{again.mapper} reads another {', '.join(names)}")


def _differ(ours: Payload, theirs: Payload, name: str) -> bool:
    return bool(getattr(ours, name) != getattr(theirs, name, None))


def payload_of(event: Event) -> Payload:
    """Return the one payload that an event has."""
    found: Payload = getattr(event, event.type.partition(".")[0])
    return found

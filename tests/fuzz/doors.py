"""By which door each part of a frame left, and whether that is one that it may leave by."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

import msgspec
from fastavro import schemaless_reader

from processors.batch import Batch
from processors.mapper import Keys, Part, Statement
from processors.mappers import MAPPERS
from processors.pipeline import process
from schemas import codec
from schemas.records import Event, Position, Raw, Reason, Rejected, Via
from schemas.topics import joined
from tests.processors.memory import Remembered
from tests.test_every_provider import as_told, event_schema, keys_of, payload_of, plain


class Broken(AssertionError):
    """A promise that a damaged frame showed to be none."""


_TOLD_BY_REST: Final = "told by REST alone, which gives them an identity"
_WORDLESS: Final[Mapping[tuple[str, Via, str], str]] = {
    ("paymium", Via.SOCKET, "trades"): _TOLD_BY_REST,
    ("paymium", Via.SOCKET, "new-trade"): _TOLD_BY_REST,
}
"""What may be read and state nothing, and why. An empty array has nothing to state, either."""

FRAME_REJECTED: Final = "frame rejected"


@dataclass(frozen=True, slots=True)
class Judged:
    """A frame's parts, and what became of each."""

    record: Raw
    parts: tuple[Part, ...]
    """Empty where the frame could not be opened, too."""
    batch: Batch
    events: Mapping[str, list[Event]]
    """By the pointer of the part."""
    rejected: Mapping[str, list[Rejected]]
    doors: Counter[str] = field(default_factory=Counter)

    @property
    def is_whole(self) -> bool:
        """Whether it was opened."""
        return not self.doors[FRAME_REJECTED]


def judged(record: Raw) -> Judged:
    """Process one frame, remembering nothing. Raises ``Broken`` for a part without one door."""
    keys = keys_of(record.provider)
    batch = Batch(Remembered(), published_at=record.received_at)
    position = Position(f"raw.{record.provider}", 0, record.sequence)
    mapper = MAPPERS[record.provider]
    process(record, position, mapper, keys, batch)
    written(batch)
    found = Judged(record, _parts(record, keys), batch, _told(batch), _refused(batch))
    _leave(found, keys)
    return found


def _parts(record: Raw, keys: Keys) -> tuple[Part, ...]:
    """Open a frame again; none of its parts is one where any of them cannot be reached."""
    try:
        return tuple(MAPPERS[record.provider].open(record, keys))
    except Exception:  # noqa: BLE001 - what process made of it is judged, not this
        return ()


def _told(batch: Batch) -> dict[str, list[Event]]:
    events: dict[str, list[Event]] = {}
    for event, _ in batch.events:
        events.setdefault(event.evidence.part, []).append(event)
    return events


def _refused(batch: Batch) -> dict[str, list[Rejected]]:
    rejected: dict[str, list[Rejected]] = {}
    for one in batch.rejected:
        rejected.setdefault(one.part, []).append(one)
    return rejected


# ---- one door ---------------------------------------------------------------------------


def _leave(found: Judged, keys: Keys) -> None:
    """Count the door of every part; raise ``Broken`` where there is none, or more than one."""
    pointers = [part.pointer for part in found.parts]
    if len(pointers) != len(set(pointers)):
        raise Broken(f"two parts are called {_twice(pointers)}")
    strangers = (found.events.keys() | found.rejected.keys()) - set(pointers)
    if not pointers and strangers == {""} and not found.events:
        found.doors[FRAME_REJECTED] += len(found.rejected[""])
        if found.doors[FRAME_REJECTED] != 1:
            raise Broken("a frame was rejected more than once")
        return
    if strangers:
        raise Broken(f"what is no part left by a door: {sorted(strangers)}")
    for part in found.parts:
        found.doors[_door(found, part, keys)] += 1
    if not pointers:
        found.doors["empty"] += 1


def _twice(pointers: Sequence[str]) -> list[str]:
    return [pointer for pointer, count in Counter(pointers).items() if count > 1]


def _door(found: Judged, part: Part, keys: Keys) -> str:
    told, refused = found.events.get(part.pointer), found.rejected.get(part.pointer)
    if told and refused:
        raise Broken(f"{part.pointer}: told and rejected")
    if refused:
        if len(refused) > 1:
            raise Broken(f"{part.pointer}: rejected {len(refused)} times")
        return f"rejected {refused[0].reason}"
    return "event" if told else _silence(found, part, keys)


def _silence(found: Judged, part: Part, keys: Keys) -> str:
    """Return on which purpose a part says nothing. Raises ``Broken`` where on none."""
    provider = found.record.provider
    mapper = MAPPERS[provider]
    if part.kind in mapper.silent:
        return "silent"
    route = mapper.routes.get(part.kind)
    try:
        statements = (
            list(route.states(route.decoder.decode(part.body), part, keys)) if route else []
        )
    except Exception as error:
        raise Broken(f"{part.pointer}: cannot be read, and was not rejected") from error
    if not statements:
        if (
            b"".join(part.body.split()) != b"[]"
            and (provider, found.record.via, part.kind) not in _WORDLESS
        ):
            raise Broken(f"{part.pointer}: {provider} read a {part.kind!r}, and stated nothing")
        return "silent"
    untold = [one for one in statements if not _was_told(found, one)]
    if untold:
        raise Broken(f"{part.pointer}: {len(untold)} statements left by no door")
    return "told before"


def _was_told(found: Judged, statement: Statement) -> bool:
    events = [event for event, _ in found.batch.events]
    if statement.identity is not None:
        of = (found.record.provider, found.record.account)
        return joined(*of, *statement.identity) in {event.id for event in events}
    about = (statement.entity_kind, statement.entity_id)
    return about in {(event.entity_kind, event.entity_id) for event in events}


# ---- neighbours -------------------------------------------------------------------------


def spared(before: Judged, after: Judged, pointer: str, *, is_legal: bool) -> None:
    """Raise ``Broken`` if damage at a place reached parts beside it, or made its own vanish.

    ``is_legal``: the frame is the JSON that it was but for this place, so that it can be opened.
    """
    parts = [part.pointer for part in before.parts]
    within = [part for part in parts if pointer.startswith(f"{part}/")]
    beside = [part for part in parts if part not in _owners(parts, pointer)]
    if not after.is_whole:
        if is_legal and beside:
            raise Broken(f"{pointer}: the whole frame was rejected for one of its parts")
        return
    if within and not any(_meet(part.pointer, pointer) for part in after.parts):
        raise Broken(f"{pointer}: the part that holds it left by no door")
    claimed = {event.id for event, _ in after.batch.events}
    for place in beside:
        _same(before, after, place, claimed)


def _owners(parts: Sequence[str], pointer: str) -> list[str]:
    """Return whose place it is: that of the one part in its array or object; else everybody's."""
    while pointer:
        owners = [part for part in parts if _meet(part, pointer)]
        if owners:
            return owners
        pointer = pointer.rpartition("/")[0]
    return list(parts)


def _same(before: Judged, after: Judged, place: str, claimed: set[str]) -> None:
    told = sorted(map(_meaning, before.events.get(place, ())))
    now = sorted(map(_meaning, after.events.get(place, ())))
    if told == now:
        return
    conflicts = after.rejected.get(place, [])
    if conflicts and all(one.reason is Reason.CONFLICT for one in conflicts):
        return  # What was damaged claims the identity of this one, and was first.
    if all(event.id in claimed for event in before.events.get(place, ()) if event.is_fact):
        return  # The same, told by the damaged part.
    raise Broken(f"{place}: changed by what happened to another part")


def _meaning(event: Event) -> tuple[str, str, bytes]:
    """What an event says; the ids of observations count parts, and are left out."""
    name = event.id if event.is_fact else ""
    return name, event.type, msgspec.json.encode(payload_of(event))


def _meet(one: str, other: str) -> bool:
    return _lies_in(one, other) or _lies_in(other, one)


def _lies_in(place: str, part: str) -> bool:
    return place == part or place.startswith(f"{part}/")


# ---- what is written --------------------------------------------------------------------


def written(batch: Batch) -> None:
    """Encode all that a transaction would write, and read it back. Raises ``Broken``."""
    for event, encoded in batch.events:
        read = schemaless_reader(BytesIO(encoded), event_schema(), None)
        if as_told(read) != plain(event):
            raise Broken(f"{event.type} is another one when Avro has read it back")
        event.key.encode()
        codec.cloud_event_headers(event)
    for rejected in batch.rejected:
        codec.encode_rejected(rejected)
    for witness in batch.witnesses:
        codec.encode_witness(witness)
    for key, opened in batch.opened.items():
        key.encode()
        if opened and codec.decode_open(codec.encode_open(opened)) != opened:
            raise Broken("an open entity is another one when it is read back")
    _remembered(batch)


def _remembered(batch: Batch) -> None:
    for fact in batch.facts.values():
        if codec.unpack_fact(codec.pack_fact(fact)) != fact:
            raise Broken("a fact is remembered as another")
    for entity in batch.entities.values():
        if codec.unpack_entity(codec.pack_entity(entity)) != entity:
            raise Broken("an entity is remembered as another")

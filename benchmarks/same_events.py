"""What a run told, held against what ours told: the same ids, and for each the same bytes.

Only ``published_at`` may differ. ``open`` is compared as compaction leaves it: two programs cut
their transactions elsewhere, and what opens and closes within one of ours is not written.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO
from typing import Any, NamedTuple, Protocol

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from penstock.topic_reader import Span, read, spans
from schemas.codec import schema_text
from schemas.connection import Connection

_CONFLUENT = 5
"""Bytes before each record; they name the schema."""


def _upto_evidence() -> dict[str, Any]:
    """Return the schema of how an event begins: the rest need not be read."""
    whole: dict[str, Any] = json.loads(schema_text("event"))
    names = [one["name"] for one in whole["fields"]]
    return whole | {"fields": whole["fields"][: names.index("evidence") + 1]}


_BEGINNING = parse_schema(_upto_evidence())
_WHOLE = parse_schema(json.loads(schema_text("event")))


class Seen(NamedTuple):
    """One event, in a few bytes."""

    value: bytes
    """Hash of its Avro bytes but for ``published_at``."""
    around: bytes
    """Hash of key and headers."""
    evidence: int
    """Offset of its frame."""
    at: Span


@dataclass(slots=True)
class Telling:
    """What one run told."""

    events: dict[str, Seen] = field(default_factory=dict)
    """By id; of one that was told again, what was told last."""
    records: int = 0
    open: dict[bytes, bytes] = field(default_factory=dict)

    def within(self, offset: int) -> "Telling":
        """Return what was told of frames below an offset of their partition."""
        events = {name: told for name, told in self.events.items() if told.evidence < offset}
        return Telling(events, len(events))


class Contender(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def judges(self) -> bool: ...
    @property
    def tells_once(self) -> bool: ...


def ends(kafka: Connection, names: Sequence[str]) -> Mapping[tuple[str, int], int]:
    """Return where topics end now: what a run tells comes behind that."""
    return {(at.topic, at.partition): at.end for at in spans(kafka, names)}


def telling(
    kafka: Connection, events: str, opened: str, begun: Mapping[tuple[str, int], int]
) -> Telling:
    """Return what was told since ``begun``; since ever, where that says nothing."""
    found = Telling()
    for message in read(kafka, _since(kafka, events, begun)):
        offset = message.offset() or 0
        at = Span(events, message.partition() or 0, offset, offset + 1)
        name, told = seen(message.value() or b"", message.key(), message.headers(), at)
        found.events[name] = told
        found.records += 1
    for message in read(kafka, _since(kafka, opened, begun)):
        key, value = message.key() or b"", message.value()
        if value is None:
            found.open.pop(key, None)
        else:
            found.open[key] = value
    return found


def _since(kafka: Connection, topic: str, begun: Mapping[tuple[str, int], int]) -> list[Span]:
    return [at._replace(begin=begun.get((topic, at.partition), 0)) for at in spans(kafka, [topic])]


def seen(value: bytes, key: bytes | None, headers: object, at: Span) -> tuple[str, Seen]:
    """Return the id of an event, and what of it must be equal."""
    told: Any = schemaless_reader(BytesIO(value[_CONFLUENT:]), _BEGINNING)
    timeless = value.replace(_long(told["published_at"]), b"", 1)
    around = repr((key, headers)).encode()
    return told["id"], Seen(_hash(timeless), _hash(around), told["evidence"]["offset"], at)


def _long(time: Any) -> bytes:  # noqa: ANN401 - fastavro makes a datetime of it
    written = BytesIO()
    schemaless_writer(written, {"type": "long", "logicalType": "timestamp-micros"}, time)
    return written.getvalue()


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def require_same_events(
    peer: Contender, ours: Telling, found: Telling, whole: Callable[[Seen], Mapping[str, Any]]
) -> None:
    """Raise ``SystemExit`` with the first difference; ``whole`` reads an event again for it."""
    if lacking := ours.events.keys() - found.events.keys():
        raise SystemExit(f"{peer.name}: {len(lacking):,} events lack, such as {min(lacking)}")
    if beside := found.events.keys() - ours.events.keys():
        raise SystemExit(f"{peer.name}: {len(beside):,} events too many, such as {min(beside)}")
    if peer.tells_once and found.records != len(found.events):
        raise SystemExit(f"{peer.name}: {found.records - len(found.events):,} are told again")
    if not peer.judges:
        return
    for name, told in ours.events.items():
        theirs = found.events[name]
        if (told.value, told.around) != (theirs.value, theirs.around):
            difference = _difference(whole(told), whole(theirs))
            raise SystemExit(f"{peer.name}: {name} is another event: {difference}")


def require_same_open(peer: Contender, ours: Telling, found: Telling) -> None:
    """Raise ``SystemExit`` unless the same entities are open."""
    if ours.open != found.open:
        differing = ours.open.items() ^ found.open.items()
        raise SystemExit(f"{peer.name}: `open` differs: {sorted(differing)[:2]}")


def whole_event(kafka: Connection, told: Seen) -> Mapping[str, Any]:
    """Return all that an event says, by the names of its fields; nothing if it was deleted."""
    for message in read(kafka, [told.at]):
        value: Any = schemaless_reader(BytesIO((message.value() or b"")[_CONFLUENT:]), _WHOLE)
        return {**value, "(key)": message.key(), "(headers)": message.headers()}
    return {}


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    differing = (
        f"{name}: expected {told}, found {theirs.get(name)}"
        for name, told in ours.items()
        if name != "published_at" and told != theirs.get(name)
    )
    return next(differing, "other bytes")

"""What the twins say they told, against what an independent client reads.

Neither side is ours to correct here: the books are in the providers' words, ``events``
is read by libraries of others with the registry's own schema, and ``readings`` holds the
two together.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastavro import parse_schema, schemaless_reader

from ingest.feeds import feed_of
from penstock.read_back import ReadBack
from penstock.readings import READINGS
from penstock.readings.telling import Expected, Telling
from penstock.topic_reader import whole
from schemas import topics
from schemas.connection import Connection

_NAME_BYTES: Final = 5
"""A zero and the id of a schema: Confluent's wire format."""
_SHOWN: Final = 5
"""Differences that are worth telling one by one."""


_DELIVERED: Final = ("webhook", "forged webhook", "old webhook")
_PATHS: Final = ("socket", "webhook", "poll", "backfill", "witnesses", "holes", "missed")

Holes = Mapping[tuple[str, str, str], list[tuple[float, float]]]
"""Provider, account and channel → from and to of each hole, in seconds since the epoch."""
Decode = Callable[[bytes], Mapping[str, Any]]
Decoder = Callable[[SchemaRegistryClient], Decode]


def by_confluent(registry: SchemaRegistryClient) -> Decode:
    """Read events as another team does, with confluent-kafka's Avro deserializer."""
    decode = AvroDeserializer(registry)
    context = SerializationContext(topics.EVENTS, MessageField.VALUE)
    return lambda value: decode(value, context)


def by_fastavro(registry: SchemaRegistryClient) -> Decode:
    """Read events in a fifth of the CPU, for runs of a million: the same reader, less around it."""
    schemas: dict[bytes, Any] = {}

    def decode(value: bytes) -> Mapping[str, Any]:
        name = value[:_NAME_BYTES]
        if name not in schemas:
            known = registry.get_schema(int.from_bytes(name[1:]))
            schemas[name] = parse_schema(json.loads(str(known.schema_str)))
        return cast(
            "Mapping[str, Any]",
            schemaless_reader(BytesIO(value[_NAME_BYTES:]), schemas[name], None),
        )

    return decode


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Books against topics. It holds if nothing is lost, told twice, invented or different."""

    told: int
    """Facts that happened at the providers."""
    published: int
    duplicates: int
    """Frames that told a fact again and reached raw."""
    damaged: int
    """Frames that were damaged on purpose and reached raw."""
    rejected: int
    missed: int
    """Facts of which no frame reached raw: told while we were away, and ``coverage`` says so."""
    lost: tuple[str, ...]
    """Ids of facts that ``events`` lacks: raw holds them, or they lie in no hole, or they are
    outstanding."""
    twice: tuple[str, ...]
    invented: tuple[str, ...]
    """Ids on ``events`` that nobody told."""
    different: tuple[str, ...]
    """Facts whose status, amounts or currencies differ: what, expected and found."""
    outstanding: tuple[str, ...]
    """Ids of facts that nobody heard and the provider tells again, of a run that has settled."""
    by_path: Mapping[str, Counter[str]] = field(repr=False)
    """Provider → path → facts that it brought first; ``witnesses``, ``holes`` and ``missed``."""
    acknowledged: Collection[str] = field(repr=False)
    """Ids of facts that raw holds."""

    @property
    def holds(self) -> bool:
        wrong = self.lost or self.twice or self.invented or self.different
        return not wrong and self.rejected == self.damaged

    def __str__(self) -> str:
        money = "different" if self.different else "equal"
        return (
            f"RECONCILED told={self.told} published={self.published} lost={len(self.lost)} "
            f"twice={len(self.twice)} money={money} duplicates={self.duplicates} "
            f"damaged={self.damaged} rejected={self.rejected} missed={self.missed}"
        )

    def paths(self) -> Iterator[str]:
        """Yield a line for each provider: which paths brought its facts, and what was missed."""
        for provider, counts in sorted(self.by_path.items()):
            told = "  ".join(f"{name} {counts[name]:>5}" for name in _PATHS)
            yield f"{provider:<9} {told}"

    def complaints(self) -> Iterator[str]:
        """Yield a few lines about each thing that does not hold."""
        wrong = {
            "not read back": self.outstanding,
            "lost": tuple(one for one in self.lost if one not in self.outstanding),
            "told twice": self.twice,
            "on events, told by nobody": self.invented,
            "different": self.different,
        }
        for what, ids in wrong.items():
            for one in ids[:_SHOWN]:
                yield f"{what}: {one}"
            if len(ids) > _SHOWN:
                yield f"{what}: and {len(ids) - _SHOWN} more"
        if self.rejected != self.damaged:
            yield f"rejected: expected the {self.damaged} damaged ones, found {self.rejected}"


@dataclass(slots=True)
class Books:
    """What all twins told, by what it must read as."""

    facts: dict[str, Expected] = field(default_factory=dict)
    frames: dict[str, set[str]] = field(default_factory=dict)
    """Event id → SHA-256 of every proper frame that told it."""
    moments: dict[str, list[float]] = field(default_factory=dict)
    """Event id → when it was told, each time, heard or not; seconds since the epoch."""
    damaged: set[str] = field(default_factory=set)
    """SHA-256 of the frames that were damaged."""

    def enter(self, told: Telling) -> None:
        if told.kind == "damaged":
            if told.sha256:
                self.damaged.add(told.sha256)
            return
        expected = READINGS[told.provider](told)
        self.facts.setdefault(expected.event_id, expected)
        moments = self.moments.setdefault(expected.event_id, [])
        # A hole is one of the socket: a delivery that nobody takes lies in none.
        if not moments or told.fault not in _DELIVERED:
            moments.append(told.told_at)
        frames = self.frames.setdefault(expected.event_id, set())
        if told.sha256:
            frames.add(told.sha256)

    def acknowledged(self, kept: Mapping[str, int]) -> Mapping[str, int]:
        """Return event id → how many frames of it raw holds, of those that reached it."""
        return {
            event_id: heard
            for event_id, frames in self.frames.items()
            if (heard := sum(kept.get(frame, 0) for frame in frames))
        }


def read_books(files: Iterable[Path]) -> Books:
    """Return the books in these files; a last line torn by a kill counts as not told."""
    books = Books()
    for file in files:
        *lines, _torn = file.read_bytes().split(b"\n")
        for line in lines:
            books.enter(msgspec.json.decode(line, type=Telling))
    return books


def reconcile(  # noqa: PLR0913 - where to look, and two ways to look closer
    books: Books,
    kafka: Connection,
    registry_url: str,
    providers: Iterable[str],
    *,
    see: Callable[[int, Mapping[str, Any]], None] = lambda _partition, _event: None,
    decoder: Decoder = by_confluent,
    is_settled: bool = False,
) -> Reconciliation:
    """Read raw, events and rejected as they are now, and hold them against the books.

    ``is_settled``: all that a provider tells again had the time to be read back.
    ``see`` is shown every event with its partition, in the order of each partition.
    """
    kept = kept_frames(kafka, providers)
    acknowledged = books.acknowledged(kept)
    found: Counter[str] = Counter()
    readings: Counter[str] = Counter()
    different: list[str] = []
    by_path: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for partition, event in placed_events(kafka, registry_url, decoder):
        see(partition, event)
        event_id = event["id"]
        if not event["is_fact"]:  # Of readings without an identity a twin keeps no books.
            readings[event_id] += 1
            continue
        found[event_id] += 1
        by_path[event["provider"]][event["via"]] += 1
        if found[event_id] == 1 and (expected := books.facts.get(event_id)):
            different += _differences(expected, event)
    unheard = books.facts.keys() - acknowledged.keys() - found.keys()
    known_holes = holes(kafka, registry_url, decoder)
    told_in_no_hole = uncovered(unheard, books, known_holes)
    missing = unheard - told_in_no_hole
    outstanding = _outstanding(missing, books, known_holes, found) if is_settled else set()
    for provider, _, _ in _channels(known_holes):
        by_path[provider]["holes"] += 1
    for event_id in missing - outstanding:
        by_path[event_id.partition("/")[0]]["missed"] += 1
    for _, witness in _decoded(kafka, registry_url, topics.WITNESSES, decoder):
        by_path[witness["provider"]]["witnesses"] += 1
    return Reconciliation(
        told=len(books.facts),
        published=found.total(),
        duplicates=sum(acknowledged.values()) - len(acknowledged),
        damaged=sum(kept[frame] for frame in books.damaged),
        rejected=sum(1 for _ in whole(kafka, topics.REJECTED)),
        missed=len(missing - outstanding),
        lost=tuple(sorted((acknowledged.keys() - found.keys()) | told_in_no_hole | outstanding)),
        twice=tuple(
            sorted(event_id for event_id, times in (found + readings).items() if times > 1)
        ),
        invented=tuple(sorted(found.keys() - books.facts.keys())),
        different=tuple(sorted(different)),
        outstanding=tuple(sorted(outstanding)),
        by_path=by_path,
        acknowledged=acknowledged.keys(),
    )


def _channels(known: Holes) -> Iterator[tuple[str, str, str]]:
    return (channel for channel, spans in known.items() for _ in spans)


def _outstanding(
    missing: Collection[str], books: Books, known: Holes, found: Collection[str]
) -> set[str]:
    ends = {event_id: _end(books.moments[event_id][0], event_id, known) for event_id in missing}
    return set(ReadBack(books.facts, books.moments).outstanding(ends, found))


def kept_frames(kafka: Connection, providers: Iterable[str]) -> Counter[str]:
    """Return SHA-256 of a frame → how often raw holds it."""
    return Counter(
        sha256(message.value() or b"").hexdigest()
        for provider in providers
        for message in whole(kafka, topics.raw(provider))
        if ("kind", b"frame") in (message.headers() or ())
    )


def read_events(kafka: Connection, registry_url: str) -> Iterator[Mapping[str, Any]]:
    """Yield every event, decoded as another team would."""
    return (event for _, event in placed_events(kafka, registry_url, by_confluent))


def placed_events(
    kafka: Connection, registry_url: str, decoder: Decoder
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield every event with its partition, in the order of each partition."""
    return _decoded(kafka, registry_url, topics.EVENTS, decoder)


def holes(kafka: Connection, registry_url: str, decoder: Decoder = by_confluent) -> Holes:
    """Return every hole on ``coverage``."""
    found: defaultdict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for _, record in _decoded(kafka, registry_url, topics.COVERAGE, decoder):
        if record["kind"] == "hole":
            channel = (record["provider"], record["account"], record["channel"])
            span = (record["from_at"].timestamp(), record["to_at"].timestamp())
            found[channel].append(span)
    return found


def uncovered(unheard: Collection[str], books: Books, holes: Holes) -> set[str]:
    """Return those that were told at a time which no hole of their channel has."""
    return {
        event_id
        for event_id in unheard
        if not all(_lies_in(moment, event_id, holes) for moment in books.moments[event_id])
    }


def _lies_in(moment: float, event_id: str, holes: Holes) -> bool:
    return any(begin <= moment <= end for begin, end in _of_its_channel(event_id, holes))


def _end(moment: float, event_id: str, holes: Holes) -> float:
    """Return when the hole that this moment lies in was over."""
    return max(end for begin, end in _of_its_channel(event_id, holes) if begin <= moment <= end)


def _of_its_channel(event_id: str, holes: Holes) -> list[tuple[float, float]]:
    provider, account, *_ = event_id.split("/")
    return holes.get((provider, account, feed_of(provider, account).route), [])


def _decoded(
    kafka: Connection, registry_url: str, topic: str, decoder: Decoder
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with SchemaRegistryClient({"url": registry_url}) as registry:
        decode = decoder(registry)
        for message in whole(kafka, topic):
            yield message.partition() or 0, decode(message.value() or b"")


def _differences(expected: Expected, event: Mapping[str, Any]) -> Iterator[str]:
    payload = event[expected.payload]
    if payload is None:
        yield f"{expected.event_id}: expected a {expected.payload}, found none"
        return
    if payload.get("provider_status", "") != expected.status:
        yield f"{expected.event_id}: expected status {expected.status}"
    for name, (amount, currency) in expected.amounts.items():
        money = _money(payload, name)
        if money is None and name in expected.by_some_paths:
            continue
        if money is None or (_amount(money), money["currency"]) != (amount, currency):
            yield f"{expected.event_id}: expected {name} {amount} {currency}, found {money}"


def _money(payload: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    group, _, inner = name.rpartition("/")
    if not group:
        return payload[name]  # type: ignore[no-any-return]
    named = {one["name"]: one["money"] for one in payload[group]}
    return named.get(inner)


def _amount(money: Mapping[str, Any]) -> Decimal:
    return Decimal(money["exact"]) if money["exact"] else money["amount"]

"""What the twins say they told, against what an independent client reads.

Neither side is ours to correct here: the books are in the providers' words, ``events``
is read with confluent-kafka's Avro deserializer, and ``readings`` holds the two together.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from penstock.readings import READINGS
from penstock.readings.telling import Expected, Telling
from penstock.topic_reader import whole
from schemas import topics

_SHOWN: Final = 5
"""Differences that are worth telling one by one."""


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
    """Facts of which no frame reached raw: told while we were away."""
    lost: tuple[str, ...]
    """Ids of facts that raw holds and ``events`` lacks."""
    twice: tuple[str, ...]
    invented: tuple[str, ...]
    """Ids on ``events`` that nobody told."""
    different: tuple[str, ...]
    """Facts whose status, amounts or currencies differ: what, expected and found."""

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

    def complaints(self) -> Iterator[str]:
        """Yield a few lines about each thing that does not hold."""
        wrong = {
            "lost": self.lost,
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
    damaged: set[str] = field(default_factory=set)
    """SHA-256 of the frames that were damaged."""

    def enter(self, told: Telling) -> None:
        if told.kind == "damaged":
            if told.sha256:
                self.damaged.add(told.sha256)
            return
        expected = READINGS[told.provider](told)
        self.facts.setdefault(expected.event_id, expected)
        frames = self.frames.setdefault(expected.event_id, set())
        if told.sha256:
            frames.add(told.sha256)


def read_books(files: Iterable[Path]) -> Books:
    """Return the books in these files; a last line torn by a kill counts as not told."""
    books = Books()
    for file in files:
        *lines, _torn = file.read_bytes().split(b"\n")
        for line in lines:
            books.enter(msgspec.json.decode(line, type=Telling))
    return books


def reconcile(
    books: Books, bootstrap_servers: str, registry_url: str, providers: Iterable[str]
) -> Reconciliation:
    """Read raw, events and rejected as they are now, and hold them against the books."""
    kept = Counter(
        sha256(message.value() or b"").hexdigest()
        for provider in providers
        for message in whole(bootstrap_servers, topics.raw(provider))
        if ("kind", b"frame") in (message.headers() or ())
    )
    found: dict[str, list[Mapping[str, Any]]] = {}
    for event in read_events(bootstrap_servers, registry_url):
        if event["is_fact"]:  # Of readings without an identity a twin keeps no books.
            found.setdefault(event["id"], []).append(event)
    acknowledged = {
        event_id: heard
        for event_id, frames in books.frames.items()
        if (heard := sum(kept[frame] for frame in frames))
    }
    return Reconciliation(
        told=len(books.facts),
        published=sum(map(len, found.values())),
        duplicates=sum(acknowledged.values()) - len(acknowledged),
        damaged=sum(kept[frame] for frame in books.damaged),
        rejected=sum(1 for _ in whole(bootstrap_servers, topics.REJECTED)),
        missed=len(books.facts.keys() - acknowledged.keys() - found.keys()),
        lost=tuple(sorted(acknowledged.keys() - found.keys())),
        twice=tuple(sorted(event_id for event_id, events in found.items() if len(events) > 1)),
        invented=tuple(sorted(found.keys() - books.facts.keys())),
        different=tuple(
            difference
            for event_id in sorted(found.keys() & books.facts.keys())
            for difference in _differences(books.facts[event_id], found[event_id][0])
        ),
    )


def read_events(bootstrap_servers: str, registry_url: str) -> Iterator[Mapping[str, Any]]:
    """Yield every event, decoded as another team would."""
    context = SerializationContext(topics.EVENTS, MessageField.VALUE)
    with SchemaRegistryClient({"url": registry_url}) as registry:
        decode = AvroDeserializer(registry)
        for message in whole(bootstrap_servers, topics.EVENTS):
            yield decode(message.value(), context)


def _differences(expected: Expected, event: Mapping[str, Any]) -> Iterator[str]:
    payload = event[expected.payload]
    if payload is None:
        yield f"{expected.event_id}: expected a {expected.payload}, found none"
        return
    if payload.get("provider_status", "") != expected.status:
        yield f"{expected.event_id}: expected status {expected.status}"
    for name, (amount, currency) in expected.amounts.items():
        money = _money(payload, name)
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

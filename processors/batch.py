"""What one transaction adds, and what a task must remember to judge it. No I/O."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from processors.drift import Drift
from schemas.records import (
    ChannelSeen,
    Coverage,
    EntitySeen,
    Event,
    FactSeen,
    Micros,
    OpenEntity,
    Rejected,
    Via,
    Witness,
)
from schemas.redrive import Redrive


class Memory(Protocol):
    """What a task remembers of committed transactions."""

    def fact(self, key: bytes) -> FactSeen | None: ...
    def observation(self, key: bytes) -> FactSeen | None: ...
    def entity(self, key: bytes) -> EntitySeen | None: ...
    def channel(self, name: str) -> ChannelSeen | None: ...


class Further(NamedTuple):
    """A further path of a fact, the first time that it brought it."""

    provider: str
    first: Via | None
    """The path that was first; None where that was counted before."""
    via: Via
    behind: float
    """Seconds after the path that told it; below 0 if it was received before that."""


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
    opened: dict[str, OpenEntity | None] = field(default_factory=dict)
    """Key on ``open`` → the entity that opened, None for one that closed.

    An entity that did both is not in it: nothing changed.
    """
    redriven: list[Redrive] = field(default_factory=list)
    """Rejected parts that are to be judged again."""
    facts: dict[bytes, FactSeen] = field(default_factory=dict)
    entities: dict[bytes, EntitySeen] = field(default_factory=dict)
    channels: dict[str, ChannelSeen] = field(default_factory=dict)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """(provider, via) of each fact told again."""
    further: list[Further] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    """Provider of each fact told again whose stakes were taken by another recipe."""
    drifts: list[Drift] = field(default_factory=list)
    """What is new in the shape of parts; a sample of them."""

    def fact(self, key: bytes) -> FactSeen | None:
        return self.facts.get(key) or self.memory.fact(key)

    def observation(self, key: bytes) -> FactSeen | None:
        return self.facts.get(key) or self.memory.observation(key)

    def entity(self, key: bytes) -> EntitySeen | None:
        return self.entities.get(key) or self.memory.entity(key)

    def channel(self, name: str) -> ChannelSeen | None:
        return self.channels.get(name) or self.memory.channel(name)

    def turn(self, key: str, entity: OpenEntity | None) -> None:
        """Note that an entity opened or closed; one that turns back did not turn."""
        if key in self.opened:
            del self.opened[key]
        else:
            self.opened[key] = entity

    def absorb(self, inner: "Batch") -> None:
        """Take over what was tried on top of this batch."""
        self.events += inner.events
        self.witnesses += inner.witnesses
        self.facts |= inner.facts
        self.entities |= inner.entities
        for key, entity in inner.opened.items():
            self.turn(key, entity)
        self.duplicates += inner.duplicates
        self.further += inner.further
        self.unjudged += inner.unjudged

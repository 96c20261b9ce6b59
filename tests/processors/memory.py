"""A task's memory in dicts, for tests of what is judged and not of how it is kept."""

from processors.batch import Batch
from schemas.codec import unpack_state
from schemas.records import ChannelSeen, EntitySeen, FactSeen, StateRecord


class Remembered:
    """What ``process`` asks of a memory, and nothing more."""

    def __init__(self) -> None:
        self.facts: dict[bytes, FactSeen] = {}
        self.entities: dict[bytes, EntitySeen] = {}
        self.channels: dict[str, ChannelSeen] = {}

    def fact(self, key: bytes) -> FactSeen | None:
        return self.facts.get(key)

    def observation(self, key: bytes) -> FactSeen | None:
        return self.facts.get(key)

    def entity(self, key: bytes) -> EntitySeen | None:
        return self.entities.get(key)

    def channel(self, name: str) -> ChannelSeen | None:
        return self.channels.get(name)

    def __len__(self) -> int:
        return len(self.facts)

    def replay(self, packed: bytes) -> None:
        self.apply(unpack_state(packed))

    def apply(self, learnt: StateRecord | Batch) -> None:
        self.facts |= learnt.facts
        self.entities |= learnt.entities
        self.channels |= learnt.channels

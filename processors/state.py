"""What a task remembers: rebuilt from its partition of ``state``, kept in memory.

Only committed transactions get in: ``apply`` is called when the commit has returned.
"""

from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from typing import Final, TypeVar

from processors.pipeline import Batch
from schemas.codec import unpack_state
from schemas.records import ChannelSeen, EntitySeen, FactSeen, StateRecord

_PER_RECORD: Final = 5_000
"""Facts and entities in one ``state`` record: some 700 KB at most."""

K = TypeVar("K")
V = TypeVar("V")


class State:
    """The memory of one task."""

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}
        """Input topic → the next offset to read."""
        self._facts: dict[bytes, FactSeen] = {}
        self._entities: dict[bytes, EntitySeen] = {}
        self._channels: dict[str, ChannelSeen] = {}

    def fact(self, key: bytes) -> FactSeen | None:
        return self._facts.get(key)

    def entity(self, key: bytes) -> EntitySeen | None:
        return self._entities.get(key)

    def channel(self, name: str) -> ChannelSeen | None:
        return self._channels.get(name)

    def __len__(self) -> int:
        return len(self._facts)

    def replay(self, packed: bytes) -> None:
        """Take in one record of the topic. ``ValueError`` if it cannot be read."""
        self.apply(unpack_state(packed))

    def apply(self, record: StateRecord) -> None:
        self.positions.update(record.positions)
        self._facts.update(record.facts)
        self._entities.update(record.entities)
        self._channels.update(record.channels)


def records_of(batch: Batch, positions: Mapping[str, int]) -> Iterator[StateRecord]:
    """Yield what a transaction adds, in records that the broker takes.

    The positions are in the last one, so that whoever reads them has read all.
    """
    facts, entities = _chunks(batch.facts), _chunks(batch.entities)
    last = max(len(facts), len(entities)) - 1
    for number, (some_facts, some_entities) in enumerate(zip_longest(facts, entities)):
        yield StateRecord(
            positions=positions if number == last else {},
            facts=some_facts or {},
            entities=some_entities or {},
            channels=batch.channels if number == last else {},
        )


def _chunks(whole: Mapping[K, V]) -> list[dict[K, V]]:
    items = iter(whole.items())
    chunks = [dict(chunk) for chunk in iter(lambda: list(islice(items, _PER_RECORD)), [])]
    return chunks or [{}]

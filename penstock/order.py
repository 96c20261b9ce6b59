"""Whether the facts of each entity lie on ``events`` in an order that can be relied on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.readings.telling import Expected

_SHOWN: Final = 5
_OrderKey = tuple[tuple[int, ...], int]


@dataclass(slots=True)
class _Life:
    """What was seen of one entity."""

    partition: int
    newest: _OrderKey
    last: int = 0
    sequences: set[int] = field(default_factory=set)
    statuses: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Order:
    """Sees every fact in partition order, and judges it by the order keys of the books."""

    facts: Mapping[str, Expected]
    """Event id → what was told."""
    disorder: list[str] = field(default_factory=list)
    _lives: dict[str, _Life] = field(default_factory=dict)

    def see(self, partition: int, event: Mapping[str, Any]) -> None:
        expected = self.facts.get(event["id"])
        if expected is None or not expected.entity:
            return
        key = expected.order_key
        life = self._lives.setdefault(expected.entity, _Life(partition, key))
        for wrong in _wrong(life, key, partition, event, event[expected.payload]["status"]):
            self.disorder.append(f"{event['id']}: {wrong}")
        life.newest = max(life.newest, key)
        life.last = event["entity_sequence"]
        life.sequences.add(life.last)
        life.statuses.add(event[expected.payload]["status"])

    def holes(self) -> list[str]:
        """Return a line for every entity whose sequence is not 1, 2, 3 … up to its last."""
        return [
            f"{entity}: sequence lacks {_some(missing)}"
            for entity, life in self._lives.items()
            if (missing := sorted(set(range(1, max(life.sequences) + 1)) - life.sequences))
        ]


def _wrong(
    life: _Life, key: _OrderKey, partition: int, event: Mapping[str, Any], status: str
) -> Iterator[str]:
    sequence = event["entity_sequence"]
    if partition != life.partition:
        yield f"partition {partition}, others of its entity are in {life.partition}"
    if sequence <= life.last:
        yield f"sequence {sequence} after {life.last}"
    if event["is_stale"] != (key < life.newest):
        yield f"is_stale is {event['is_stale']}, {key} after {life.newest}"
    if (event["change"] == "status") != (status not in life.statuses):
        yield f"change is {event['change']}, told before: {', '.join(sorted(life.statuses))}"


def _some(numbers: list[int]) -> str:
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return ", ".join(map(str, numbers[:_SHOWN])) + more

"""Keys by when they were written, in column families that go whole when their time is over.

RocksDB could drop old keys while it compacts, but its Python binding has no filter for
that; a sweep would read and rewrite everything. Dropping a family unlinks its files.
"""

from collections.abc import Iterator
from typing import NamedTuple

from processors.store import Family, Store


class Age(NamedTuple):
    """One span of time, ``number`` widths after the epoch, and what was written in it."""

    number: int
    family: Family


class Ages:
    """Remembers a key for at least ``kept`` widths after it was last written."""

    def __init__(self, store: Store, name: str, width: int, kept: int) -> None:
        """``width``: seconds of an age; ``kept``: how many ages before the current one live."""
        self._store = store
        self._name = name
        self._width = width
        self._kept = kept
        found = (
            Age(int(full.removeprefix(f"{name}-")), family)
            for full, family in store.families.items()
            if full.startswith(f"{name}-")
        )
        self._living = sorted(found, key=lambda age: -age.number)
        """Newest first: what was written last about a key is found first."""

    def get(self, key: bytes) -> bytes | None:
        for _, family in self._living:
            value = self._store.find(family.rows, key)
            if value is not None:
                return value
        return None

    def current(self, clock: int) -> Family:
        """Return the family to write to; ``clock``, in seconds, never runs backwards."""
        number = clock // self._width
        if not self._living or self._living[0].number < number:
            family = self._store.create(f"{self._name}-{number}")
            self._living.insert(0, Age(number, family))
        return self._living[0].family

    def forget(self, below: int | None = None) -> None:
        """Drop every age whose time is over, but none from ``below`` on."""
        while self._living:
            number = self._living[-1].number
            if number >= self._living[0].number - self._kept:
                return
            if below is not None and number >= below:
                return
            self._living.pop()
            self._store.drop(f"{self._name}-{number}")

    def past(self) -> list[int]:
        """Return the numbers of the ages before the current one, oldest first."""
        return [age.number for age in reversed(self._living[1:])]

    def range(self, number: int, first: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values of one age in order, from the key ``first`` on."""
        age = next(age for age in self._living if age.number == number)
        return self._store.range(first, age.family.rows)

    def is_newest(self, number: int, key: bytes) -> bool:
        """Whether nothing was written about a key after an age."""
        return all(
            self._store.find(age.family.rows, key) is None
            for age in self._living
            if age.number > number
        )

    def __len__(self) -> int:
        """About how many keys are remembered."""
        return sum(
            age.family.rows.property_int_value("rocksdb.estimate-num-keys") or 0
            for age in self._living
        )

    def close(self) -> None:
        """Let go of every family: a store cannot close while one is held."""
        self._living.clear()

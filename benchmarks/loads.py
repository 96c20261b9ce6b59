"""What a benchmark sends at fixed times: frames of all providers, or the reference work."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle, islice
from random import Random
from typing import Final

import msgspec
from msgspec import structs

from benchmarks.frames import TOLD_AGAIN_EVERY, Recording
from benchmarks.open_loop import Outgoing
from benchmarks.peers.work import raw_event
from benchmarks.stages import raws
from schemas import topics
from schemas.codec import raw_headers
from schemas.records import Raw

PARTITIONS: Final = 12
_ACCOUNTS: Final = 1_200

Load = Callable[[int, int], list[Outgoing]]
"""Active partitions, records → what is sent, the partitions in turn."""


class Accounts:
    """Names that nobody used yet, by the partition that they belong to."""

    def __init__(self) -> None:
        self.all = [str(number) for number in range(_ACCOUNTS)]
        self._unused: dict[int, list[str]] = {}
        for name in self.all:
            self._unused.setdefault(topics.partition_of(name, PARTITIONS), []).append(name)

    def of(self, partition: int) -> str:
        if not self._unused[partition]:
            raise SystemExit(f"{_ACCOUNTS} accounts are not enough: ask for shorter windows")
        return self._unused[partition].pop()


def frames_of_all(recordings: Sequence[Recording], accounts: Accounts) -> Load:
    """Tell the frames of all providers in turn, to accounts that never heard them."""
    told = [raw for together in zip(*map(raws, recordings), strict=True) for raw in together]

    def way(partition: int) -> Iterator[Outgoing]:
        while True:
            account = accounts.of(partition)
            for raw in told:
                yield _appended(structs.replace(raw, account=account), partition)

    def load(partitions: int, records: int) -> list[Outgoing]:
        ways = [way(partition) for partition in range(partitions)]
        return [next(way) for way in islice(cycle(ways), records)]

    return load


def _appended(raw: Raw, partition: int) -> Outgoing:
    headers = tuple(raw_headers(raw))
    return Outgoing(topics.raw(raw.provider), partition, raw.account, raw.value, headers)


def reference_events(topic: str) -> Load:
    """Tell events of the reference work; one in ten was told before, in its partition."""
    chance = Random(topic)  # noqa: S311 - the same each time
    numbers = count()

    def new(partition: int) -> Outgoing:
        account, value = raw_event(next(numbers), chance)
        return Outgoing(topic, partition, account, value, mark=_event_id(value))

    def load(partitions: int, records: int) -> list[Outgoing]:
        told: list[Outgoing] = []
        for number in range(records):
            before = number // partitions // 2 * partitions + number % partitions
            is_new = number % TOLD_AGAIN_EVERY != TOLD_AGAIN_EVERY - 1 or before == number
            told.append(new(number % partitions) if is_new else told[before])
        return told

    return load


def _event_id(value: bytes) -> bytes:
    name: str = msgspec.json.decode(value)["id"]
    return name.encode()

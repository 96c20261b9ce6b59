"""What happens in a chaos run, and when: it follows from the seed and the minutes alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Act(StrEnum):
    """One thing that is done to the system."""

    KILL_WORKER = "kill -9 of a worker"
    KILL_WORKERS = "kill -9 of all workers at once"
    FREEZE_WORKER = "SIGSTOP of a worker for longer than its session, then SIGCONT"
    SCALE = "workers 1 to 3, or 3 to 1"
    KILL_INGEST = "kill -9 of ingest"
    DISCONNECT = "a provider cuts every connection"
    KILL_BROKER = "SIGKILL of the broker"
    STOP_BROKER = "SIGTERM of the broker"
    FILL_DISK = "full disk under state"
    DELETE_STORE = "a store deleted after a kill"
    TRUNCATE_STORE = "a store's file truncated after a kill"
    CORRUPT_STORE = "a store's file overwritten after a kill"
    SWAP_STORES = "two stores swapped after a kill"


@dataclass(frozen=True, slots=True)
class Timed:
    """An act at its time."""

    at: float
    """Seconds after the beginning."""
    act: Act
    pick: float
    """From 0 up to 1: which of those that it may hit."""
    lasts: float
    """Seconds until it is undone, for those that are."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Acts that come one after the other; streams do not wait for each other."""

    acts: Mapping[Act, int]
    """Each with its relative frequency."""
    pause: tuple[float, float]
    """Seconds from one to the next, from and to."""
    in_haste: float = 0.0
    """The share of acts that come upon the heels of the one before."""


# A worker's session is 10 s, and as long the others wait for one that was killed; to start
# it again takes some more. Most pauses are longer, since who does not work cannot be
# interrupted at work; some acts come earlier, into the middle of taking over.
STREAMS: Final = (
    Stream(
        {
            Act.KILL_WORKER: 6,
            Act.KILL_WORKERS: 4,
            Act.FREEZE_WORKER: 2,
            Act.SCALE: 3,
            Act.DELETE_STORE: 1,
            Act.TRUNCATE_STORE: 1,
            Act.CORRUPT_STORE: 1,
            Act.SWAP_STORES: 1,
        },
        pause=(16, 24),
        in_haste=0.3,
    ),
    Stream({Act.KILL_INGEST: 1}, pause=(4, 12)),
    # One that was killed needs some 9 s to come back.
    Stream({Act.KILL_BROKER: 1, Act.STOP_BROKER: 1}, pause=(40, 70)),
    Stream({Act.FILL_DISK: 1}, pause=(40, 80)),
    Stream({Act.DISCONNECT: 1}, pause=(4, 12)),
)
IN_HASTE: Final = (0.5, 4.0)
LASTS: Final[Mapping[Act, tuple[float, float]]] = {
    Act.FREEZE_WORKER: (12, 15),
    Act.KILL_BROKER: (0.5, 4),
    Act.STOP_BROKER: (0.5, 4),
    Act.FILL_DISK: (4, 8),
}


def schedule(random: Random, minutes: float) -> tuple[Timed, ...]:
    """Return every act of a run in its order."""
    # Each stream has a source of its own, so that one does not disturb the others.
    found = [
        timed
        for stream in STREAMS
        for timed in _acts(stream, Random(random.getrandbits(64)), minutes * 60)  # noqa: S311 - chaos
    ]
    return tuple(sorted(found, key=lambda timed: timed.at))


def _acts(stream: Stream, random: Random, seconds: float) -> Iterator[Timed]:
    at = random.uniform(0, stream.pause[1] / 2)
    while at < seconds:
        (act,) = random.choices(tuple(stream.acts), tuple(stream.acts.values()))
        yield Timed(at, act, random.random(), random.uniform(*LASTS.get(act, (0, 0))))
        hurries = random.random() < stream.in_haste
        at += random.uniform(*(IN_HASTE if hurries else stream.pause))

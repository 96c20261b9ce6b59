"""One case of the fuzzer: a recorded frame, damaged by chance, through all that reads it."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from schemas.records import Raw
from tests.fuzz.damage import LEGAL, Damaged, damaged, values
from tests.fuzz.doors import Judged, judged, spared
from tests.fuzz.ingestion import (
    PROTOCOLS,
    is_heard,
    judged_at_the_door,
    read_by_dialects,
    read_by_rest,
)
from tests.test_every_provider import RECORDINGS, frame_of, lines, raw

FRAMES: Final = tuple((path, number) for path in RECORDINGS for number in range(len(lines(path))))
"""Every recorded frame that processors read, as its file and its number there."""
_WORDS: Final = tuple(
    (path, number)
    for path in PROTOCOLS
    for number, line in enumerate(lines(path))
    if is_heard(line)
)
"""Every recorded frame of a protocol, which dialects alone read."""
_LONGEST_ELSEWHERE: Final = 400


@dataclass(frozen=True, slots=True)
class Case:
    """What is read, and what was done to it."""

    path: Path
    number: int
    damaged: Damaged

    @property
    def provider(self) -> str:
        return self.path.parent.name

    @property
    def record(self) -> Raw:
        return raw(self.path, self.number, self.damaged.frame)


@cache
def elsewhere() -> tuple[bytes, ...]:
    """Return the JSON texts of all values that were recorded, of any provider."""
    found = {value for path, number in FRAMES for value in values(raw(path, number).value)}
    return tuple(sorted(value for value in found if _is_plain(value)))


def _is_plain(value: bytes) -> bool:
    """Tell whether it is short, and JSON to a strict reader, which NaN is not."""
    try:
        msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return False
    return len(value) < _LONGEST_ELSEWHERE


_ALL: Final = (*FRAMES, *_WORDS)


def case(seed: int, number: int) -> Case:
    """Return a case: the same seed and number, the same bytes."""
    chance = Random(f"{seed}/{number}")
    return case_of(chance, *chance.choice(_ALL))


def case_of(chance: Random, path: Path, number: int) -> Case:
    """Damage a certain frame by chance."""
    return Case(path, number, damaged(chance, frame_of(lines(path)[number]), elsewhere()))


@cache
def intact(path: Path, number: int) -> Judged:
    return judged(raw(path, number))


def tried(one: Case) -> Counter[str]:
    """Return by which doors the parts left. Raises ``Broken``, or what should not be raised."""
    if one.path in PROTOCOLS:
        return Counter([f"ingest: {_ingested(one)}"])
    after = judged(one.record)
    kind, _, pointer = one.damaged
    if pointer is not None:
        spared(intact(one.path, one.number), after, pointer, is_legal=kind in LEGAL)
    return after.doors + Counter([f"ingest: {_ingested(one)}"])


def _ingested(one: Case) -> str:
    match one.path.stem:
        case "socket" | "protocol":
            return read_by_dialects(one.provider, one.damaged.frame)
        case "rest":
            return read_by_rest(one.record)
        case _:
            return str(judged_at_the_door(raw(one.path, one.number), one.damaged.frame))

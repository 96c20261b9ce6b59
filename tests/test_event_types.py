"""Every event type that the providers' pages list is told, or silent for a written reason.

``frames/<provider>/EVENT_TYPES.md`` is kept by hand from the pages, and never from the
routes: so that neither can forget what the other knows.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from processors.batch import Batch
from processors.mappers import MAPPERS
from schemas.records import Event, Status
from tests.processors.memory import Remembered
from tests.test_every_provider import (
    FRAMES,
    RECORDINGS,
    keys_of,
    lines,
    payload_of,
    play,
    raw,
)

NONE = "-"
NEVER_RAW = {"not asked", "not kept"}
"""Of a call that we never make, and of what a door does not let in."""
COLUMNS = ("path", "event", "form", "status", "told as", "recording")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: what a page says may come, and what becomes of it."""

    path: str
    """``socket``, ``rest`` or ``webhook``: the recording of that name."""
    event: str
    """The provider's own word."""
    form: str
    status: str
    told: str
    """Our type; or ``silent``, ``rejected`` or one of ``NEVER_RAW``, a colon and the reason."""
    recording: str
    """Note of a recorded frame that holds it."""

    def __str__(self) -> str:
        return f"{self.path} {self.event} {self.form} {self.status}"


@cache
def listed(provider: str) -> tuple[Row, ...]:
    text = (FRAMES / provider / "EVENT_TYPES.md").read_text("utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in table]
    assert tuple(cells[0]) == COLUMNS
    return tuple(Row(*row) for row in cells[2:])


ROWS = [(provider, row) for provider in MAPPERS for row in listed(provider)]
by_provider = pytest.mark.parametrize("provider", MAPPERS)
by_row = pytest.mark.parametrize(
    ("provider", "row"), ROWS, ids=[f"{provider} {row}" for provider, row in ROWS]
)


@cache
def alone(path: Path, number: int) -> Batch:
    """What one recorded frame tells to somebody who remembers nothing."""
    return play(Batch(Remembered(), 0), raw(path, number))


def recorded(provider: str, row: Row) -> tuple[Path, int]:
    path = FRAMES / provider / f"{row.path}.jsonl"
    numbers = [n for n, line in enumerate(lines(path)) if line["note"] == row.recording]
    assert len(numbers) == 1, f"{path.name}: {len(numbers)} frames are called {row.recording!r}"
    return path, numbers[0]


def status_of(event: Event) -> str:
    return getattr(payload_of(event), "provider_status", None) or NONE


def kinds(provider: str, path: Path, number: int) -> Iterator[str]:
    for part in MAPPERS[provider].open(raw(path, number), keys_of(provider)):
        yield part.kind


@by_row
def test_a_listed_event_type_is_told_as_listed_or_silent_for_a_reason(
    provider: str, row: Row
) -> None:
    verdict, _, reason = row.told.partition(": ")
    if verdict in NEVER_RAW:
        assert reason
        assert row.recording == NONE
        return
    batch = alone(*recorded(provider, row))
    if verdict in {"silent", "rejected"}:
        assert reason
        assert not batch.events
        assert bool(batch.rejected) is (verdict == "rejected")
        return
    told = [(event.type, event.provider_type, status_of(event)) for event, _ in batch.events]
    assert (row.told, row.event, row.status) in told


@by_provider
def test_every_route_and_silent_kind_is_listed(provider: str) -> None:
    reached = {
        kind
        for row in listed(provider)
        if row.recording != NONE and not row.told.startswith("rejected")
        for kind in kinds(provider, *recorded(provider, row))
    }
    mapper = MAPPERS[provider]
    assert mapper.routes.keys() | mapper.silent <= reached


@by_provider
def test_every_word_that_a_recording_tells_is_listed(provider: str) -> None:
    """A status that nobody lists is told as unknown, and is in no list."""
    known = {(row.path, row.event, row.status) for row in listed(provider)}
    told = {
        (path.stem, event.provider_type, status_of(event))
        for path in RECORDINGS
        if path.parent.name == provider
        for number in range(len(lines(path)))
        for event, _ in alone(path, number).events
        if not event.type.endswith(f".{Status.UNKNOWN}")
    }
    assert sorted(told - known) == []


@by_provider
def test_no_event_type_is_listed_twice(provider: str) -> None:
    twice = [row for row, count in Counter(map(str, listed(provider))).items() if count > 1]
    assert twice == []

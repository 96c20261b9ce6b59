"""Marks to holes."""

import msgspec
import pytest

from processors.batch import Batch
from processors.coverage import follow_mark
from schemas.records import Closed, Coverage, Kind, Position, Raw, Recovered, Via
from tests.processors.memory import Remembered

SECOND = 1_000_000


def mark(kind: Kind, at: int, connection: str = "c1", value: bytes = b"{}") -> Raw:
    return Raw(
        provider="acme",
        account="main",
        environment="sandbox",
        via=Via.SOCKET,
        route="orders",
        kind=kind,
        connection=connection,
        sequence=1,
        received_at=at * SECOND,
        value=value,
    )


def holes(*marks: Raw) -> list[Coverage]:
    batch = Batch(Remembered(), 0)
    for offset, raw in enumerate(marks):
        follow_mark(raw, Position("raw.acme", 0, offset), batch)
    return batch.coverage


CLOSED = msgspec.json.encode(Closed("silent"))


def test_the_first_connection_ever_leaves_no_hole() -> None:
    assert holes(mark(Kind.OPENED, 1), mark(Kind.ALIVE, 11), mark(Kind.FRAME, 12)) == []


@pytest.mark.parametrize(
    ("closing", "cause"),
    [([mark(Kind.CLOSED, 30, value=CLOSED)], "silent"), ([], "killed")],
)
def test_a_hole_runs_from_before_the_last_sign_of_life_to_the_next_opening(
    closing: list[Raw], cause: str
) -> None:
    (hole,) = holes(
        mark(Kind.OPENED, 1), mark(Kind.FRAME, 12), *closing, mark(Kind.OPENED, 40, "c2")
    )
    assert (hole.from_at, hole.to_at) == (7 * SECOND, 40 * SECOND)
    assert (hole.cause, hole.complete, hole.offset) == (cause, False, 2 + len(closing))


def test_what_is_told_before_the_opening_does_not_hide_the_hole() -> None:
    (hole,) = holes(
        mark(Kind.OPENED, 1),
        mark(Kind.FRAME, 12),
        mark(Kind.FRAME, 39, "c2"),
        mark(Kind.OPENED, 40, "c2"),
    )
    assert (hole.from_at, hole.to_at) == (7 * SECOND, 40 * SECOND)


def test_an_alive_mark_moves_the_start_of_the_hole() -> None:
    (hole,) = holes(mark(Kind.OPENED, 1), mark(Kind.ALIVE, 20), mark(Kind.OPENED, 40, "c2"))
    assert hole.from_at == 15 * SECOND


def test_a_recovery_says_what_came_back() -> None:
    recovered = Recovered(
        from_="a", up_to="b", from_at=5, up_to_at=45, by="backfill", count=3, complete=True
    )
    (record,) = holes(mark(Kind.RECOVERED, 50, value=msgspec.json.encode(recovered)))
    assert (record.kind, record.recovered_by, record.count, record.complete) == (
        "recovery",
        "backfill",
        3,
        True,
    )
    assert (record.from_at, record.to_at) == (5, 45)

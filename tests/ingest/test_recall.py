"""Where a new process goes on: at the last mark, moved by its own socket's frames alone."""

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingest.feed import Cursor, Rate, Rest
from ingest.feeds.pepay.socket import FEED as PEPAY
from ingest.recall import Recall
from ingest.turns import Turn
from schemas.records import Kind, Raw, Recovered, Via


def numbered(text: str) -> Cursor:
    return Cursor((int(text),), text)


REST = Rest(
    reading=lambda *_: None,  # type: ignore[arg-type, return-value]  # nothing is asked
    request=lambda *_: None,  # type: ignore[arg-type, return-value]
    every=1.0,
    rate=Rate(1, 1.0),
    holds=0.0,
    cursor=numbered,
)
FEED = replace(PEPAY, cursor=lambda frame: numbered(str(frame, "ascii")), rest=REST)  # type: ignore[arg-type]


def raw(value: bytes, kind: Kind = Kind.FRAME, connection: str = "a", via: Via = Via.SOCKET) -> Raw:
    return Raw(
        provider="p",
        account="main",
        environment="sandbox",
        via=via,
        route="events",
        kind=kind,
        connection=connection,
        sequence=0,
        received_at=0,
        value=value,
    )


def mark(up_to: int, connection: str = "a", *, complete: bool = True, number: int = 0) -> Raw:
    told = Recovered(
        from_="0",
        up_to=str(up_to),
        from_at=0,
        up_to_at=0,
        by="backfill",
        count=0,
        complete=complete,
        number=number,
    )
    return raw(msgspec.json.encode(told), Kind.RECOVERED, connection)


def recalled(*records: Raw) -> Recall:
    recall = Recall(FEED)
    recall.take(reversed(records))
    recall.begin()
    return recall


def cursor(*records: Raw) -> str | None:
    found = recalled(*records).cursor
    return found.text if found else None


def test_a_mark_is_a_cursor() -> None:
    assert cursor(raw(b"1"), mark(5), raw(b"{}", Kind.ALIVE)) == "5"


def test_frames_behind_the_mark_move_it_and_never_back() -> None:
    assert cursor(mark(5), raw(b"7"), raw(b"6"), raw(b"{}", Kind.CLOSED)) == "7"
    assert cursor(mark(5), raw(b"4")) == "5"


def test_frames_of_another_connection_move_nothing_before_it_was_read_back() -> None:
    assert cursor(mark(5, "a"), raw(b"7"), raw(b"20", connection="b")) == "7"
    assert cursor(mark(5, "a"), raw(b"20", connection="b"), mark(21, "b")) == "21"


def test_a_webhook_and_a_page_move_nothing() -> None:
    assert cursor(mark(5), raw(b"9", via=Via.WEBHOOK), raw(b"8", via=Via.BACKFILL)) == "5"


def test_an_incomplete_mark_moves_nothing() -> None:
    assert cursor(mark(5), raw(b"6"), mark(9, complete=False)) == "6"


def test_what_webhooks_named_since_the_mark_is_asked_about_again() -> None:
    rest = replace(REST, reference=lambda body: body.decode() or None)
    recall = Recall(replace(FEED, rest=rest))
    named = [raw(body, via=Via.WEBHOOK) for body in (b"before", b"p1", b"", b"p2")]
    recall.take(reversed([named[0], mark(5), *named[1:]]))
    assert recall.references == ["p2", "p1"]


def test_where_nothing_was_ever_read_back_everything_since_the_first_frame_is() -> None:
    assert cursor(raw(b"3"), raw(b"9"), raw(b"12", connection="b")) == "3"
    assert cursor() is None


def test_nothing_behind_the_mark_is_read() -> None:
    recall = Recall(FEED)
    recall.take(iter([mark(5), raw(b"not a number")]))
    assert recall.is_over


def test_the_last_number_is_found_on_the_last_mark() -> None:
    assert recalled(mark(4, number=7), mark(5, complete=False, number=9)).number == 9


def test_numbers_go_on_after_a_restart_whose_clock_stepped_back() -> None:
    before = Turn()
    used = [before.number(now) for now in (5_000_000, 5_000_000, 4_000_000)]
    assert used == [5_000_000, 5_000_001, 5_000_002]
    after = Turn()
    after.resume(before.last)
    after.resume(0)
    assert after.number(1_000_000) > before.last + 1000
    assert after.number(99_000_000) == 99_000_000


EVENTS = st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 50)), max_size=20)


@given(EVENTS)
def test_whatever_lies_in_raw_the_cursor_is_no_further_than_its_marks_vouch(
    events: list[tuple[str, bool, int]],
) -> None:
    """Told forwards: a connection's frames count once it was read back."""
    furthest: int | None = None
    whole: set[str] = set()
    records = []
    for connection, is_mark, at in events:
        records.append(
            mark(at, connection) if is_mark else raw(str(at).encode(), connection=connection)
        )
        if is_mark:
            whole.add(connection)
        if connection in whole:
            furthest = max(furthest or 0, at)
    found = recalled(*records)
    if furthest is not None:
        assert found.cursor is not None
        assert found.cursor.rank[0] <= furthest

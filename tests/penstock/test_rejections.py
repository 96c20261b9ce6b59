"""Which rejected parts stand so, and which of them a redrive takes."""

import time
from decimal import Decimal

import pytest

from penstock.errors import OperatorError
from penstock.moments import moment
from penstock.printing import body_text, plain, printable
from penstock.rejections import Filters, Rejection, counts, plan, standing
from schemas.records import Money, Position, Transfer
from schemas.redrive import Again


def rejection(offset: int, **told: object) -> Rejection:
    return Rejection(
        **{  # type: ignore[arg-type]
            "at": f"0/{offset}",
            "provider": "acme",
            "account": "main",
            "reason": "unknown_kind",
            "message": "$.type: expected a kind with a route, found another",
            "of": Position("raw.acme", 0, offset),
            "part": "",
            "attempt": 1,
            "size": 10,
            "is_whole": True,
            "fact_id": None,
            "mapper": "acme@1",
            "received_at": offset,
            "rejected_at": offset,
            **told,
        }
    )


FIRST = Position("raw.acme", 0, 1)


def test_of_a_part_that_was_rejected_again_only_the_last_time_counts() -> None:
    again = rejection(9, of=FIRST, attempt=2, reason="malformed")
    found = [rejection(1), rejection(2), again]
    assert standing(found, {}, Filters()) == [rejection(2), again]
    assert standing(found, {}, Filters(reasons=["unknown_kind"])) == [rejection(2)]
    assert standing(found, {}, Filters(until=9)) == [rejection(2)], "it is not what it was then"


def test_parts_of_one_frame_stand_for_themselves() -> None:
    found = [rejection(n, of=FIRST, part=f"/{n}") for n in range(3)]
    assert standing(found, {}, Filters()) == found


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [1, 2, 3]),
        (Filters(providers=["acme"]), [1, 3]),
        (Filters(accounts=["other"]), [3]),
        (Filters(reasons=["conflict", "malformed"]), [2]),
        (Filters(since=2, until=3), [2]),
    ],
)
def test_filters_take_what_they_name(filters: Filters, expected: list[int]) -> None:
    found = [
        rejection(1),
        rejection(2, provider="bureau", reason="malformed"),
        rejection(3, account="other"),
    ]
    assert [one.rejected_at for one in standing(found, {}, filters)] == expected


def test_what_was_asked_for_and_not_rejected_since_is_left_unless_anew() -> None:
    asked = {Again(FIRST, "", 2): 77}
    found = standing([rejection(1), rejection(2)], asked, Filters())
    assert [one.asked_at for one in found] == [77, None]
    assert [one.at for one in plan(found, limit=None, anew=False).chosen] == ["0/2"]
    assert [one.at for one in plan(found, limit=None, anew=True).chosen] == ["0/1", "0/2"]
    since = standing([rejection(1), rejection(9, of=FIRST, attempt=2)], asked, Filters())
    assert [one.asked_at for one in since] == [None], "it was judged, and may be again"


def test_a_part_that_was_judged_five_times_stays_rejected() -> None:
    todo = plan([rejection(1, attempt=4), rejection(2, attempt=5)], limit=None, anew=False)
    assert [one.at for one in todo.chosen] == ["0/1"]
    assert [one.at for one in todo.worn_out] == ["0/2"]


def test_a_limit_takes_the_oldest_and_says_how_many_are_left() -> None:
    todo = plan([rejection(n) for n in range(10)], limit=4, anew=False)
    assert [one.at for one in todo.chosen] == ["0/0", "0/1", "0/2", "0/3"]
    assert todo.beyond == 6


def test_rejections_are_counted_by_reason_and_provider() -> None:
    found = [rejection(1), rejection(2, asked_at=5), rejection(3, reason="malformed")]
    assert list(counts(found)) == [("unknown_kind", "acme", 2, 1), ("malformed", "acme", 1, 0)]


def test_a_time_is_said_in_utc_or_as_so_long_ago() -> None:
    assert moment("2026-11-21T12:00") == moment("2026-11-21T13:00:00+01:00")
    assert moment("2026-11-21") == 1_795_219_200_000_000
    assert abs(time.time() - 7200 - moment("2h") / 1_000_000) < 60
    with pytest.raises(OperatorError, match="no time"):
        moment("yesterday")


def test_nobody_commands_our_terminal() -> None:
    assert printable("paid\x1b[2J\x07\x9b31m") == "paid\\x1b[2J\\x07\\x9b31m"
    assert printable("zażółć\n30 €") == "zażółć\n30 €"
    assert body_text(b'42["x\x1b"]\xff') == '42["x\\x1b"]\\xff'


def test_bytes_that_are_json_keep_every_digit() -> None:
    assert body_text(b'{"amount":0.10,"n":1e5}') == '{\n  "amount": 0.10,\n  "n": 1e5\n}'


def test_a_record_for_json_tells_times_and_exact_amounts() -> None:
    money = Money(Decimal("30.100000000000000000"), "USD")
    told = plain(
        Transfer(direction="in", method="bank", status="s", provider_status="S", gross=money)
    )
    assert told["gross"] == {"amount": "30.1", "currency": "USD"}
    assert "fee" not in told
    assert plain(rejection(0))["rejected_at"] == "1970-01-01T00:00:00.000Z"

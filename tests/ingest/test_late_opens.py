"""What is on ``open`` too late for the round of a new connection is asked about by another one."""

import pytest

from ingest.feed import Known
from ingest.late_opens import LateOpens
from schemas.records import OpenEntity

BEGAN = 1_000_000_000


def opened(name: str, since: int) -> OpenEntity:
    return OpenEntity(
        provider="acme",
        account="shop",
        entity_kind="trade",
        entity_id=name,
        status="pending",
        since=since,
    )


KNOWN = opened("known", since=BEGAN - 60_000_000)
LATE = opened("late", since=BEGAN - 1)


def after_a_round(*asked: OpenEntity, is_of_a_connection: bool = True) -> LateOpens:
    late = LateOpens()
    known = Known(now=BEGAN, cursor=None, opens=asked)
    late.asked(known, is_of_a_connection=is_of_a_connection)
    return late


def test_nothing_is_late_before_the_first_round() -> None:
    assert not LateOpens().are_among([KNOWN, LATE])


def test_what_was_asked_about_is_not_late() -> None:
    assert not after_a_round(KNOWN).are_among([KNOWN])


def test_what_opened_before_the_connection_and_is_there_only_now_is_late() -> None:
    assert after_a_round(KNOWN).are_among([KNOWN, LATE])


def test_it_is_asked_about_once() -> None:
    late = after_a_round(KNOWN)
    again = Known(now=BEGAN + 1, cursor=None, opens=(KNOWN, LATE))
    late.asked(again, is_of_a_connection=False)
    assert not late.are_among([KNOWN, LATE])


@pytest.mark.parametrize(("ahead", "is_late"), [(4.9, True), (5.1, False)])
def test_what_opened_while_somebody_listened_is_told_by_the_socket(
    ahead: float, *, is_late: bool
) -> None:
    newer = opened("newer", since=BEGAN + int(ahead * 1_000_000))
    assert after_a_round(KNOWN).are_among([newer]) is is_late


def test_a_regular_round_has_no_connection_to_catch_up_with() -> None:
    assert not after_a_round(is_of_a_connection=False).are_among([LATE])

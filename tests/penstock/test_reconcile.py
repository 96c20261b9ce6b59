"""What was told while nobody listened lies in a hole on coverage, or it is lost."""

import pytest

from penstock.readings.telling import Telling
from penstock.reconcile import Books, Holes, uncovered

ID = "pepay/shop/evt_1-1"


def told_at(*moments: float) -> Books:
    books = Books()
    for moment in moments:
        books.enter(
            Telling(
                told_at=moment,
                provider="pepay",
                account="shop",
                kind="fact",
                key=("evt_1-1",),
                type="invoice.updated",
                status="paid",
                entity="inv_1",
                money={"amount": "1.00", "currency": "usd"},
                sha256=None,
            )
        )
    return books


def hole(begin: float, end: float, account: str = "shop", channel: str = "commerce") -> Holes:
    return {("pepay", account, channel): [(begin, end)]}


def test_what_was_told_within_a_hole_is_covered() -> None:
    assert uncovered({ID}, told_at(12.5, 13.0), hole(12.5, 13.0)) == set()


@pytest.mark.parametrize(
    "holes",
    [
        {},
        hole(12.6, 20),
        hole(2, 12.4),
        hole(12, 12.9),
        hole(12, 20, account="other"),
        hole(12, 20, channel="other"),
    ],
)
def test_a_hole_that_is_too_small_or_anothers_covers_nothing(holes: Holes) -> None:
    assert uncovered({ID}, told_at(12.5, 13.0), holes) == {ID}

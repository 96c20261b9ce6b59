"""Transak read back: which orders are asked for, and what every answer leads to."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ingest.feed import (
    Account,
    Answer,
    Call,
    Cursor,
    Disconnected,
    Known,
    Refused,
    Unauthorized,
    fitted,
)
from ingest.feeds import FEEDS
from ingest.feeds.transak.api import LOGIN, SOCKET
from ingest.feeds.transak.rest import REST
from schemas.records import OpenEntity
from tests.ingest.rounds import Told, answered, ok, walked

NOW = 1_743_861_600_000_000  # 2025-04-05T14:00:00Z
ACCOUNT = Account(
    provider="transak",
    name="main",
    environment="sandbox",
    url=SOCKET,
    secrets={"api_key": "twin-api-key", "api_secret": "twin-api-secret", "access_token": "T"},
)
STATUSES = {
    "AWAITING_PAYMENT_FROM_USER",
    "PAYMENT_DONE_MARKED_BY_USER",
    "PROCESSING",
    "PENDING_DELIVERY_FROM_TRANSAK",
    "ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK",
    "COMPLETED",
    "EXPIRED",
    "FAILED",
    "CANCELLED",
    "REFUNDED",
}
LISTS = len(STATUSES) * 2
MOST_PAGES = 500


def known(*opens: OpenEntity, cursor: int | None = None) -> Known:
    at = None if cursor is None else Cursor((cursor,), str(cursor))
    return Known(now=NOW, cursor=at, opens=opens)


def is_open(order_id: str, kind: str = "order") -> OpenEntity:
    return OpenEntity(
        provider="transak",
        account="main",
        entity_kind=kind,
        entity_id=order_id,
        status="created",
        since=NOW,
    )


@dataclass
class Shop:
    """The list as Transak keeps it: (product, status) → ids of orders."""

    orders: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def answer(self, call: Call) -> Answer:
        if call.route == "order":
            return ok({"meta": {}, "data": {"_id": call.path.rpartition("/")[2]}})
        product = call.query["filter[productsAvailed]"][2:-2]
        return page(self.orders.get((product, call.query["filter[status]"]), []), call)


def page(orders: list[str], call: Call) -> Answer:
    skip, limit = int(call.query["skip"]), int(call.query["limit"])
    rows = [{"_id": each} for each in orders[skip : skip + limit]]
    return ok({"meta": {"skip": skip, "totalCount": len(orders)}, "data": rows})


def round_of(what: Known, shop: Shop | None = None) -> Told:
    return walked(REST.reading(ACCOUNT, what), (shop or Shop()).answer)


# ---- what is asked ----------------------------------------------------------------------


def test_every_status_of_both_products_is_asked_for_by_name() -> None:
    told = round_of(known())
    asked = [(c.query["filter[productsAvailed]"], c.query["filter[status]"]) for c in told.calls]
    assert sorted(asked) == sorted(
        (product, status) for product in ('["BUY"]', '["SELL"]') for status in STATUSES
    )
    assert {call.query["filter[sortOrder]"] for call in told.calls} == {"asc"}


def test_list_goes_back_ninety_days_the_first_time_and_a_day_before_the_last_round_then() -> None:
    assert {call.query["startDate"] for call in round_of(known()).calls} == {"2025-01-05"}
    later = round_of(known(cursor=NOW - 60_000_000)).calls
    since = {c.query["startDate"] for c in later if c.query["filter[status]"] != "REFUNDED"}
    assert since == {"2025-04-04"}


def test_refunds_are_asked_for_over_the_whole_window_since_they_may_come_late() -> None:
    calls = round_of(known(cursor=NOW)).calls
    refunds = [c for c in calls if c.query["filter[status]"] == "REFUNDED"]
    assert {call.query["startDate"] for call in refunds} == {"2025-01-05"}


def test_orders_that_are_open_and_on_no_list_are_asked_for_one_by_one() -> None:
    opens = (is_open("a/b"), is_open("listed"), is_open("c"), is_open("elsewhere", kind="trade"))
    told = round_of(known(*opens), Shop({("BUY", "PROCESSING"): ["listed"]}))
    assert [call.path for call in told.calls[-2:]] == ["/order/a%2Fb", "/order/c"]
    assert {call.path for call in told.calls[:-2]} == {"/orders"}


def test_request_is_as_published_and_bears_the_token_in_a_header_alone() -> None:
    call = round_of(known()).calls[0]
    request = REST.request(ACCOUNT, call, 1)
    url = urlsplit(request.url)
    assert (url.netloc, url.path) == ("api-stg.transak.com", "/partners/api/v2/orders")
    assert parse_qs(url.query)["filter[productsAvailed]"] == ['["BUY"]']
    assert request.headers == {"access-token": "T"}


# ---- paging -----------------------------------------------------------------------------


def test_paging_goes_to_the_end_and_keeps_every_page() -> None:
    orders = [f"o{n}" for n in range(350)]
    told = round_of(known(), Shop({("SELL", "COMPLETED"): orders}))
    skips = [int(c.query["skip"]) for c in told.calls if c.query["skip"] != "0"]
    assert skips == [90, 180, 270]
    assert len(told.kept) == LISTS + 3
    assert told.done
    assert told.done.whole
    assert told.done.recovered
    assert told.done.recovered.count == 350


@pytest.mark.parametrize("leave", [1, 9])
def test_rows_that_leave_while_the_list_is_read_hide_no_other(leave: int) -> None:
    orders = [f"o{n}" for n in range(250)]
    seen: set[str] = set()

    def answer(call: Call) -> Answer:
        told = page(orders if call.query["filter[status]"] == "FAILED" else [], call)
        seen.update(orders[int(call.query["skip"]) :][:100])
        if call.query["skip"] == "0" and call.query["filter[status]"] == "FAILED":
            del orders[:leave]
        return told

    told = walked(REST.reading(ACCOUNT, known()), answer)
    assert seen >= {f"o{n}" for n in range(leave, 250)}
    assert told.done
    assert told.done.whole


def test_list_that_moved_further_than_a_page_overlaps_is_read_again_from_its_start() -> None:
    orders = [f"o{n}" for n in range(250)]
    skips: list[str] = []

    def answer(call: Call) -> Answer:
        mine = (call.query["filter[status]"], call.query["filter[productsAvailed]"])
        if mine != ("FAILED", '["BUY"]'):
            return page([], call)
        told = page(orders, call)
        skips.append(call.query["skip"])
        if len(skips) == 1:
            del orders[:50]
        return told

    told = walked(REST.reading(ACCOUNT, known()), answer)
    assert skips == ["0", "90", "0", "90", "180"]
    assert told.done
    assert told.done.whole


def test_list_that_never_stands_still_is_given_up_and_the_round_is_not_whole() -> None:
    count = 0

    def answer(call: Call) -> Answer:
        nonlocal count
        count += 1
        rows = [{"_id": f"{count}-{n}"} for n in range(100)]
        return ok({"meta": {"skip": int(call.query["skip"]), "totalCount": 10**6}, "data": rows})

    told = walked(REST.reading(ACCOUNT, known()), answer)
    assert told.done
    assert not told.done.whole
    assert len(told.said) == LISTS


def test_endless_list_ends() -> None:
    def answer(call: Call) -> Answer:
        skip = int(call.query["skip"])
        rows = [{"_id": f"o{skip + n}"} for n in range(100)]
        return ok({"meta": {"skip": skip, "totalCount": 10**9}, "data": rows})

    told = walked(REST.reading(ACCOUNT, known()), answer)
    assert told.done
    assert not told.done.whole
    assert len(told.calls) < MOST_PAGES * LISTS + LISTS


# ---- what else may be answered ----------------------------------------------------------


def first_then_well(first: Answer | Disconnected) -> Told:
    """A round whose first answer is this one."""
    answers = [first]
    shop = Shop()
    return walked(
        REST.reading(ACCOUNT, known(is_open("a"))),
        lambda call: answers.pop() if answers else shop.answer(call),
    )


def test_401_asks_for_a_fresh_token() -> None:
    assert isinstance(first_then_well(answered(401)).error, Unauthorized)


def test_order_that_rest_does_not_know_is_said_and_holds_nothing_up() -> None:
    shop = Shop()
    told = walked(
        REST.reading(ACCOUNT, known(is_open("a"), is_open("b"))),
        lambda call: answered(404) if call.path == "/order/a" else shop.answer(call),
    )
    assert told.said == ["an order that was told is unknown to REST"]
    assert told.calls[-1].path == "/order/b"
    assert told.done
    assert told.done.whole


@pytest.mark.parametrize(
    "answer",
    [
        answered(400),
        answered(200, b"<!doctype html>"),
        answered(200, b'{"meta":{},"data":[{"_id"'),
        answered(200, b'{"data":7}'),
        answered(200, b"[" * 100_000),
        answered(302),
    ],
)
def test_what_cannot_be_read_is_said_skipped_and_the_round_is_not_whole(answer: Answer) -> None:
    told = first_then_well(answer)
    assert len(told.said) == 1
    assert len(told.kept) == LISTS
    assert told.done
    assert not told.done.whole
    assert told.done.recovered
    assert not told.done.recovered.complete


def test_empty_page_in_the_middle_and_a_page_that_was_not_asked_for_are_not_whole() -> None:
    for told in (
        walked(
            REST.reading(ACCOUNT, known()),
            lambda _: ok({"meta": {"skip": 0, "totalCount": 5}, "data": []}),
        ),
        walked(
            REST.reading(ACCOUNT, known()),
            lambda _: ok({"meta": {"skip": 7, "totalCount": 5}, "data": []}),
        ),
    ):
        assert told.done
        assert not told.done.whole
        assert len(told.calls) == LISTS


@pytest.mark.parametrize(
    "answer", [answered(429, retry_after=7.0), answered(503), Disconnected("no answer")]
)
def test_busy_provider_is_asked_again_later_and_nothing_is_lost(
    answer: Answer | Disconnected,
) -> None:
    told = first_then_well(answer)
    assert told.calls[0] == told.calls[1]
    assert told.waited
    assert told.done
    assert told.done.whole


@pytest.mark.parametrize("answer", [answered(429), answered(500), Disconnected("no answer")])
def test_one_that_stays_busy_ends_the_round(answer: Answer | Disconnected) -> None:
    told = walked(REST.reading(ACCOUNT, known()), lambda _: answer)
    assert isinstance(told.error, Disconnected)
    assert len(told.calls) < 10


# ---- how far it came --------------------------------------------------------------------


def test_whole_round_says_what_it_covers_and_the_next_one_goes_on_from_there() -> None:
    told = round_of(known(cursor=NOW - 500))
    assert told.done
    recovered = told.done.recovered
    assert recovered
    assert (recovered.from_, recovered.up_to) == (str(NOW - 500), str(NOW))
    assert (recovered.from_at, recovered.up_to_at) == (NOW - 500, NOW)
    assert (recovered.by, recovered.complete) == ("poll", True)
    assert REST.cursor
    assert REST.cursor(recovered.up_to) == Cursor((NOW,), str(NOW))
    assert REST.cursor("") is None


# ---- the token --------------------------------------------------------------------------


def test_refresh_is_as_published() -> None:
    for request in (LOGIN.refresh(ACCOUNT), LOGIN.log_in(ACCOUNT)):
        assert request.method == "POST"
        assert request.url == "https://api-stg.transak.com/partners/api/v2/refresh-token"
        assert request.headers["api-secret"] == "twin-api-secret"
        assert request.body == b'{"apiKey":"twin-api-key"}'


def test_rest_lives_beside_a_socket_that_is_not_the_published_one() -> None:
    account = Account(
        provider="transak",
        name="main",
        environment="sandbox",
        url="ws://127.0.0.1:1/app/x",
        secrets=ACCOUNT.secrets,
    )
    assert LOGIN.refresh(account).url == "http://127.0.0.1:1/partners/api/v2/refresh-token"


def test_refresh_grants_a_token_and_says_how_long_it_lives() -> None:
    body = b'{"data":{"accessToken":"eyJ","expiresAt":1744377108}}'
    tokens = LOGIN.tokens(answered(200, body), 1744377000.0)
    assert (tokens.secrets, tokens.life) == ({"access_token": "eyJ"}, 108.0)


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (answered(401), Unauthorized),
        (answered(403), Unauthorized),
        (answered(400), Refused),
        (answered(429), Disconnected),
        (answered(502), Disconnected),
        (answered(200, b"<html>"), Disconnected),
        (answered(200, b'{"data":{"accessToken":"eyJ","expiresAt":1}}'), Disconnected),
    ],
)
def test_refresh_without_a_token_means_what_it_says(
    answer: Answer, meaning: type[Exception]
) -> None:
    with pytest.raises(meaning):
        LOGIN.tokens(answer, 1000.0)


def test_without_an_api_secret_the_socket_is_followed_as_before() -> None:
    feed: Any = FEEDS["transak"]
    alone = fitted(feed, {"api_key"})
    assert (alone.rest, alone.login) == (None, None)
    assert fitted(feed, {"api_key", "api_secret"}) is feed
    assert fitted(FEEDS["satoriex"], ()) is FEEDS["satoriex"]

"""AssetPay read back: what is asked for, and what every answer leads to."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ingest.feed import Account, Answer, Call, Disconnected, Known, Unauthorized
from ingest.feeds.assetpay.rest import REST
from schemas.records import OpenEntity
from tests.ingest.rounds import Told, answered, ok, walked

NOW = 1_773_309_602_000_000  # 2026-03-12T10:00:02Z
ACCOUNT = Account(
    provider="assetpay",
    name="main",
    environment="sandbox",
    url="wss://api-staging.assetpay.gg/socket.io/",
    secrets={"api_key": "ap_twin"},
)
NO_TRADES = ok({"success": True, "data": {"items": [], "nextCursor": None}})
NO_ENTRIES = ok({"success": True, "data": {"items": [], "pagination": {"page": 1, "total": 0}}})
LISTS = 3


def is_open(entity_id: str, kind: str = "trade") -> OpenEntity:
    return OpenEntity(
        provider="assetpay",
        account="main",
        entity_kind=kind,
        entity_id=entity_id,
        status="created",
        since=NOW,
    )


def quiet(call: Call) -> Answer:
    """A merchant of whom there is nothing to list."""
    match call.route:
        case "self_trades":
            return NO_TRADES
        case "ledger" if "offset" in call.query:
            return NO_ENTRIES
        case _:
            return ok({"success": True, "data": [{}]})


def round_of(*opens: OpenEntity, answer: Callable[[Call], Answer | Disconnected] = quiet) -> Told:
    known = Known(now=NOW, cursor=None, opens=opens)
    return walked(REST.reading(ACCOUNT, known), answer)


def first_then_quiet(first: Answer | Disconnected, *opens: OpenEntity) -> Told:
    answers = [first]
    return round_of(*opens, answer=lambda call: answers.pop() if answers else quiet(call))


# ---- what is asked ----------------------------------------------------------------------


def test_both_games_and_the_ledger_are_listed() -> None:
    told = round_of()
    assert [(call.route, call.query.get("game")) for call in told.calls] == [
        ("self_trades", "730"),
        ("self_trades", "252490"),
        ("ledger", None),
    ]
    assert told.calls[-1].query["startDate"] == "2026-02-26"
    assert len(told.kept) == LISTS


def test_open_trades_are_named_a_hundred_a_call_and_fundings_one_by_one() -> None:
    trades = [is_open(f"t{n}") for n in range(201)]
    told = round_of(*trades, is_open("f_1", kind="funding"), is_open("x/y"))
    looked_up = [call.path for call in told.calls[:4]]
    assert [len(path.split(",")) for path in looked_up] == [100, 100, 2, 1]
    assert looked_up[2].endswith(",x%2Fy")
    assert looked_up[3] == "/v1/ledger/transactions/f_1"


def test_request_bears_the_key_in_a_header_alone() -> None:
    request = REST.request(ACCOUNT, round_of().calls[0], 1)
    assert request.url == "https://api-staging.assetpay.gg/secure/trades?limit=100&game=730"
    assert request.headers == {"api-key": "ap_twin"}


# ---- paging -----------------------------------------------------------------------------


def trades(created: str, cursor: str | None) -> Answer:
    items = [{"id": "t", "items": [], "createdAt": created}] * 100
    return ok({"success": True, "data": {"items": items, "nextCursor": cursor}})


def test_own_trades_are_paged_until_a_page_is_older_than_a_hold_can_be() -> None:
    def answer(call: Call) -> Answer:
        if call.query.get("game") != "730":
            return quiet(call)
        n = int(call.query.get("cursor", "0"))
        return trades(f"2026-{3 - n // 2:02}-01T00:00:00.000Z", str(n + 1))

    told = round_of(answer=answer)
    assert [c.query.get("cursor") for c in told.calls if c.query.get("game") == "730"] == [
        None,
        "1",
        "2",
    ]
    assert told.done
    assert told.done.whole


def test_ledger_is_paged_by_offset_to_its_end() -> None:
    def answer(call: Call) -> Answer:
        if call.route != "ledger":
            return quiet(call)
        offset = int(call.query["offset"])
        items = [{"id": f"f{n}"} for n in range(offset, min(offset + 50, 120))]
        place = {"page": offset // 50 + 1, "total": 120}
        return ok({"success": True, "data": {"items": items, "pagination": place}})

    told = round_of(answer=answer)
    assert [c.query["offset"] for c in told.calls if c.route == "ledger"] == ["0", "50", "100"]
    assert told.done
    assert told.done.recovered
    assert told.done.recovered.count == 120


def test_endless_cursor_and_an_endless_ledger_end() -> None:
    def answer(call: Call) -> Answer:
        if call.route == "self_trades":
            return trades("2026-03-12T00:00:00.000Z", "again")
        place = {"page": int(call.query["offset"]) // 50 + 1, "total": 10**9}
        return ok({"success": True, "data": {"items": [{}] * 50, "pagination": place}})

    told = round_of(answer=answer)
    assert told.done
    assert not told.done.whole
    assert len(told.said) == LISTS


@pytest.mark.parametrize(
    "content",
    [
        {"items": [{}], "pagination": {"page": 1, "total": 9}},
        {"items": [{}], "pagination": {"page": 4, "total": 9}},
        {"items": "none"},
        7,
    ],
)
def test_ledger_that_contradicts_itself_is_said_and_left(content: Any) -> None:
    told = round_of(
        answer=lambda c: ok({"success": True, "data": content}) if c.route == "ledger" else quiet(c)
    )
    assert told.done
    assert not told.done.whole
    assert len(told.said) == 1


# ---- what else may be answered ----------------------------------------------------------


def refused(status: int, key: str) -> Answer:
    body = {"success": False, "error": {"code": status, "key": key, "message": ["secret"]}}
    return answered(status, json.dumps(body).encode())


@pytest.mark.parametrize("key", ["API_KEY_REVOKED", "INVALID_API_KEY", ""])
@pytest.mark.parametrize("status", [401, 403])
def test_bad_key_ends_the_round(status: int, key: str) -> None:
    assert isinstance(first_then_quiet(refused(status, key)).error, Unauthorized)


def test_call_out_of_scope_is_left_out_and_the_others_go_on() -> None:
    told = first_then_quiet(refused(403, "INSUFFICIENT_SCOPE"))
    assert told.said == ["self_trades was answered with 403 INSUFFICIENT_SCOPE"]
    assert len(told.kept) == LISTS - 1
    assert told.done
    assert not told.done.whole


def test_one_trade_that_rest_does_not_know_is_said_and_holds_nothing_up() -> None:
    told = first_then_quiet(refused(404, "TRADE_NOT_FOUND"), is_open("t"))
    assert len(told.said) == 1
    assert told.done
    assert told.done.whole


@pytest.mark.parametrize(
    "answer",
    [
        refused(400, "VALIDATION_FAILED"),
        answered(200, b"<!doctype html>"),
        answered(200, b'{"success":true,"data":{"items":[{"id"'),
        answered(200, b'{"success":true,"data":{"items":[{"createdAt":"2026-03-12"}]}}'),
        answered(200, b'{"success":false}'),
        answered(302),
    ],
)
def test_what_cannot_be_read_is_said_skipped_and_not_kept(answer: Answer) -> None:
    told = first_then_quiet(answer)
    assert len(told.said) == 1
    assert len(told.kept) == LISTS - 1
    assert told.done
    assert not told.done.whole


@pytest.mark.parametrize(
    "answer", [answered(429, retry_after=30.0), answered(502), Disconnected("no answer")]
)
def test_busy_provider_is_asked_again_later_and_not_for_ever(
    answer: Answer | Disconnected,
) -> None:
    told = first_then_quiet(answer)
    assert told.calls[0] == told.calls[1]
    assert told.done
    assert told.done.whole
    for_ever = round_of(answer=lambda _: answer)
    assert isinstance(for_ever.error, Disconnected)
    assert len(for_ever.calls) < 10


def test_what_was_read_back_is_never_all_of_it() -> None:
    """No call lists what end users traded while we were away."""
    told = round_of()
    assert told.done
    assert told.done.recovered
    assert not told.done.recovered.complete
    assert told.done.recovered.up_to_at == NOW

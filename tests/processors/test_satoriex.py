"""SatoriEx: what the recordings do not hold."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from processors.batch import Batch
from processors.mapper import Keys
from processors.mappers.satoriex import MAPPER
from processors.pipeline import process
from schemas.records import (
    Balance,
    Change,
    Event,
    Kind,
    Level,
    MarketTrade,
    Money,
    Order,
    Position,
    Raw,
    Status,
    Via,
)
from tests.processors.memory import Remembered

NOW = 1_777_680_000 * 1_000_000
KEYS = Keys(reference_id="r1", reference=b"a key of tests, of 32 bytes, this")
Body = Mapping[str, object]


def read(  # noqa: PLR0913 - a frame, and how it came
    frame: object,
    *,
    via: Via = Via.SOCKET,
    route: str = "events",
    sequence: int = 1,
    on: Batch | None = None,
    keys: Keys = KEYS,
) -> Batch:
    """What one frame says, by itself or on top of what was told before."""
    value = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
    raw = Raw(
        provider="satoriex",
        account="main",
        environment="sandbox",
        via=via,
        route=route,
        kind=Kind.FRAME,
        connection="c1",
        sequence=sequence,
        received_at=NOW,
        value=value,
    )
    batch = Batch(on or Remembered(), published_at=NOW)
    process(raw, Position("raw.satoriex", 0, sequence), MAPPER, keys, batch)
    return batch


def polled(route: str, content: object, **how: object) -> Batch:
    page = {"code": 0, "msg": "ok", "data": content}
    return read(page, via=Via.POLL, route=route, **how)  # type: ignore[arg-type]


def event_of(batch: Batch) -> Event:
    ((event, _),) = batch.events
    return event


def refusal_of(batch: Batch) -> str:
    (rejected,) = batch.rejected
    return f"{rejected.reason}: {rejected.message}"


TRADE = {"market_id": "m", "trade_id": "t", "side": 1, "price": 4200, "quantity": 100}
ORDER = {
    "market_id": "m",
    "order_id": "o",
    "outcome_id": "out",
    "status": "open",
    "side": 1,
    "price": 4200,
    "quantity": 100,
    "filled_quantity": 0,
    "updated_at": "2026-05-01T00:00:00Z",
}


def flat(kind: str, body: Body) -> Body:
    return {"type": kind, **body}


# ---- the unit of money ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "amount", "exact"),
    [(None, None, "10050"), (0, "10050", None), (2, "100.50", None), (6, "0.010050", None)],
)
@pytest.mark.parametrize(
    ("kind", "body", "payload", "field"),
    [
        ("deposit_confirmed", {"deposit_id": "d", "amount": 10050}, "transfer", "gross"),
        ("withdraw_failed", {"withdrawal_id": "w", "amount": 10050}, "transfer", "gross"),
        ("settlement", {"market_id": "m", "payout": 10050}, "settlement", "payout"),
        ("wallet_changed", {"balance": 10050}, "balance", "available"),
        ("wallet_changed", {"locked": 10050}, "balance", "locked"),
    ],
)
def test_money_is_digits_until_a_setting_names_its_unit(  # noqa: PLR0913, PLR0917 - a table
    places: int | None,
    amount: str | None,
    exact: str | None,
    kind: str,
    body: Body,
    payload: str,
    field: str,
) -> None:
    event = event_of(read(flat(kind, body), keys=replace(KEYS, places=places)))
    expected = Money(None if amount is None else Decimal(amount), "USDC", exact)
    assert getattr(getattr(event, payload), field) == expected


def test_naming_the_unit_later_is_no_conflict() -> None:
    told = flat("deposit_confirmed", {"deposit_id": "d", "amount": 10050})
    first = read(told)
    again = read(told, on=first, keys=replace(KEYS, places=2))
    assert (again.events, again.rejected) == ([], [])


# ---- forms ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        flat("trade", TRADE),
        {"type": "trade", "payload": TRADE},
        {"type": "trade", "data": TRADE},
        {"payload": flat("trade", TRADE)},
        {"data": flat("trade", TRADE)},
        {
            "type": "trade",
            "marketId": "m",
            "tradeId": "t",
            "side": 1,
            "price": "4200",
            "quantity": "100",
        },
        {"type": "trade", "market_id": "m", "id": "t", "side": 1, "price": 4200, "quantity": 100},
    ],
)
def test_a_trade_is_one_fact_in_every_form(frame: Body) -> None:
    event = event_of(read(frame))
    assert event.id == "satoriex/main/trade/t"
    assert event.market_trade == MarketTrade(
        market="m",
        side="buy",
        price=Money(Decimal("0.42"), "USDC"),
        quantity=Money(Decimal(100), "SHARES"),
        trade_id="t",
    )


def test_a_trade_without_an_id_is_its_content_on_every_path() -> None:
    body = {name: TRADE[name] for name in TRADE if name != "trade_id"}
    told = [
        read(flat("trade", body)),
        read({"type": "trade", "data": body}),
        polled("trades", [body]),
    ]
    assert len({event_of(batch).id for batch in told}) == 1
    assert event_of(read(flat("trade", {**body, "price": 4201}))).id != event_of(told[0]).id


def test_type_at_the_top_comes_before_one_inside() -> None:
    event = event_of(read({"type": "trade", "payload": flat("order", TRADE)}))
    assert event.type == "market_trade.executed"


# ---- numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("basis_points", "price"), [(0, "0"), (1, "0.0001"), (4200, "0.42"), (10_000, "1")]
)
def test_prices_are_basis_points_of_a_dollar(basis_points: int, price: str) -> None:
    trade = event_of(read(flat("trade", {**TRADE, "price": basis_points}))).market_trade
    assert trade
    assert trade.price == Money(Decimal(price), "USDC")


@pytest.mark.parametrize("quantity", [2**53 + 1, 2**63 - 1])
def test_integers_beyond_doubles_are_exact(quantity: int) -> None:
    trade = event_of(read(flat("trade", {**TRADE, "quantity": quantity}))).market_trade
    assert trade
    assert trade.quantity == Money(Decimal(quantity), "SHARES")


@pytest.mark.parametrize("number", [-1, 0.5, "NaN", "sNaN", "Infinity", "1e999999", 2**63])
@pytest.mark.parametrize("name", ["price", "quantity"])
def test_what_cannot_be_a_price_or_a_quantity_is_rejected(name: str, number: object) -> None:
    refusal = refusal_of(read(flat("trade", {**TRADE, name: number})))
    assert refusal.startswith(f"invalid_value: $.{name}: ")


@pytest.mark.parametrize("balance", ["10000", 250, "100.00"])
def test_money_whose_unit_nobody_documents_is_not_guessed(balance: object) -> None:
    told = event_of(read(flat("wallet_changed", {"balance": balance}))).balance
    assert told == Balance(currency="USDC", available=Money(None, "USDC", str(balance)))


def test_a_wallet_that_tells_no_amount_has_changed() -> None:
    assert event_of(read({"type": "wallet_changed"})).balance == Balance(currency="USDC")


@pytest.mark.parametrize(
    "time",
    ["2026-05-01T00:00:00Z", "2026-05-01T02:00:00+02:00", 1_777_593_600, 1_777_593_600_000],
)
def test_times_are_dates_seconds_or_milliseconds(time: object) -> None:
    event = event_of(read(flat("trade", {**TRADE, "timestamp": time})))
    assert event.occurred_at == 1_777_593_600_000_000
    assert event.time_source == "provider"


# ---- orders and fills -------------------------------------------------------------------


def test_a_polled_order_is_the_fact_that_the_socket_told() -> None:
    first = read(flat("order", ORDER))
    row = {"id": "o", **{name: ORDER[name] for name in ORDER if name != "order_id"}}
    again = polled("orders", {"items": [row], "page": 1, "size": 20, "total": 1}, on=first)
    assert again.events == []
    (witness,) = again.witnesses
    assert (
        witness.id == event_of(first).id == "satoriex/main/order/o/open/0/2026-05-01T00:00:00.000Z"
    )
    assert (witness.via, witness.authority) == ("poll", "read_back")


def test_rows_of_a_page_are_facts_of_their_own() -> None:
    rows = [{**ORDER, "order_id": name} for name in "abc"]
    rows[1] = {**rows[1], "price": 12000}
    batch = polled("orders", {"items": rows})
    assert [event.entity_id for event, _ in batch.events] == ["a", "c"]
    (rejected,) = batch.rejected
    assert rejected.part == "/data/items/1"


@pytest.mark.parametrize("row", [None, 1, "planted", [ORDER]])
def test_a_row_that_is_no_object_is_rejected_alone(row: object) -> None:
    rows = [{**ORDER, "order_id": "a"}, row, {**ORDER, "order_id": "c"}]
    batch = polled("orders", {"items": rows})
    assert [event.entity_id for event, _ in batch.events] == ["a", "c"]
    (rejected,) = batch.rejected
    assert (rejected.part, rejected.reason) == ("/data/items/1", "malformed")


def test_an_update_tells_less_than_an_order_and_is_not_held_against_it() -> None:
    first = read(flat("order", ORDER))
    names = ("market_id", "order_id", "status", "filled_quantity", "updated_at")
    again = read(flat("order_update", {name: ORDER[name] for name in names}), on=first)
    assert again.events == again.rejected == []
    assert again.unjudged == ["satoriex"]


def test_an_order_at_another_price_is_a_conflict() -> None:
    first = read(flat("order", ORDER))
    again = read(flat("order", {**ORDER, "price": 4300}), on=first)
    assert refusal_of(again).startswith("conflict: ")


@pytest.mark.parametrize(
    ("word", "status", "is_final"),
    [
        ("pending", Status.PENDING, False),
        ("open", Status.OPEN, False),
        ("partial", Status.PARTIALLY_FILLED, False),
        ("filled", Status.FILLED, True),
        ("cancelled", Status.CANCELLED, True),
        ("halted", Status.UNKNOWN, False),
    ],
)
def test_a_status_is_told_in_our_word_beside_theirs(
    word: str,
    status: Status,
    is_final: bool,  # noqa: FBT001
) -> None:
    batch = read(flat("order", {**ORDER, "status": word}))
    order = event_of(batch).order
    assert order
    assert (order.status, order.provider_status) == (status, word)
    (entity,) = batch.entities.values()
    assert entity.is_final is is_final


def test_a_fill_and_the_order_that_it_fills_are_two_entities_of_one_group() -> None:
    first = read(flat("order", {**ORDER, "status": "filled", "filled_quantity": 100}))
    fill = {"order_id": "o", "market_id": "m", "quantity": 100, "price": 4200, "side": 1}
    second = event_of(read(flat("order_filled", fill), on=first))
    assert second.change == Change.STATUS
    assert second.group == event_of(first).group == "o"
    assert second.order == Order(
        market="m",
        side="buy",
        status="filled",
        provider_status="order_filled",
        last_price=Money(Decimal("0.42"), "USDC"),
        last_quantity=Money(Decimal(100), "SHARES"),
    )


def test_equal_fills_are_told_apart_by_their_trade_or_time() -> None:
    fill = {"order_id": "o", "quantity": 10}
    told = [
        read(flat("order_filled", {**fill, **more}))
        for more in (
            {"trade_id": "a"},
            {"trade_id": "b"},
            {"timestamp": 1_777_593_600},
            {"timestamp": 1_777_593_601},
        )
    ]
    assert len({event_of(batch).id for batch in told}) == 4


# ---- funds ------------------------------------------------------------------------------


def test_a_listed_withdrawal_is_the_fact_that_the_socket_told() -> None:
    body = {"withdrawal_id": "w", "amount": "50.00", "status": "confirmed"}
    first = read(flat("withdraw_confirmed", body))
    row = {"id": "w", "type": "withdrawal", "status": "confirmed", "amount": "50.0"}
    again = polled("transactions", [row], on=first)
    assert again.events == again.rejected == []
    assert [witness.id for witness in again.witnesses] == ["satoriex/main/withdraw_confirmed/w"]


def test_a_withdrawal_of_another_amount_is_a_conflict_though_its_unit_is_unknown() -> None:
    first = read(flat("withdraw_confirmed", {"withdrawal_id": "w", "amount": "50.00"}))
    again = read(flat("withdraw_confirmed", {"withdrawal_id": "w", "amount": "51.00"}), on=first)
    assert refusal_of(again).startswith("conflict: ")


@pytest.mark.parametrize(
    "kind",
    [
        *("deposit_confirmed", "withdraw_requested", "withdraw_failed", "referral_bonus"),
        *("kyc_approved", "kyc_rejected", "mention", "dispute_filed", "wallet_changed"),
    ],
)
def test_what_has_no_id_is_an_observation(kind: str) -> None:
    event = event_of(read({"type": kind}))
    assert not event.is_fact
    assert event.id == "satoriex/main/c1/1/0"


@pytest.mark.parametrize("kind", ["order", "order_update", "order_filled", "trade", "settlement"])
def test_what_moves_a_market_or_an_order_must_name_it(kind: str) -> None:
    assert refusal_of(read({"type": kind, "status": "open"})).startswith("malformed: ")


# ---- observations -----------------------------------------------------------------------


def test_a_polled_balance_is_told_when_it_differs() -> None:
    first = polled("balance", {"balance": "1.00"})
    same = polled("balance", {"balance": "1.00"}, on=first, sequence=2)
    other = polled("balance", {"balance": "2.00"}, on=first, sequence=3)
    assert [len(batch.events) for batch in (first, same, other)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("kind", "is_snapshot"),
    [
        ("orderbook", True),
        ("orderbook_snapshot", True),
        ("depth", True),
        ("orderbook_delta", False),
        ("orderbook_update", False),
        ("whatever", True),
    ],
)
def test_a_book_is_known_by_what_it_holds(kind: str, *, is_snapshot: bool) -> None:
    body = {"market_id": "m", "bids": [[4190, 300]], "asks": [{"price": 4210, "quantity": 0}]}
    book = event_of(read(flat(kind, body))).book
    assert book
    assert book.is_snapshot is is_snapshot
    assert book.levels == (
        Level("bid", Decimal("0.419"), Decimal(300)),
        Level("ask", Decimal("0.421"), Decimal(0)),
    )


def test_no_words_of_people_are_told() -> None:
    batch = read(
        flat("comment", {"comment_id": "c", "body": "planted", "user_id": "planted"}),
    )
    ((_, encoded),) = batch.events
    assert b"planted" not in encoded


def test_what_came_by_a_webhook_has_no_reading() -> None:
    assert refusal_of(read(flat("trade", TRADE), via=Via.WEBHOOK)).startswith("unknown_kind: ")

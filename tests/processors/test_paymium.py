"""What Paymium's reading knows, besides the recorded frames."""

import json
from decimal import Decimal
from typing import Any

import pytest

from processors.batch import Batch
from processors.mapper import Keys
from processors.mappers.paymium import MAPPER
from processors.pipeline import process
from schemas.records import (
    Balance,
    Book,
    Event,
    Kind,
    Money,
    Order,
    Position,
    Quote,
    Raw,
    Transfer,
    Via,
)
from tests.processors.memory import Remembered

KEYS = Keys(reference_id="r1", reference=b"a key of tests, of 32 bytes, this")
NOW = 1_446_470_000_000_000
ORDER = {
    "uuid": "89d4b612",
    "amount": "1",
    "currency_amount": None,
    "state": "active",
    "btc_fee": "0",
    "currency_fee": "0",
    "updated_at": "2015-11-02T11:36:42.000Z",
    "created_at": "2015-11-02T11:36:41.000Z",
    "currency": "EUR",
    "type": "LimitOrder",
    "traded_btc": "0",
    "traded_currency": "0",
    "direction": "buy",
    "price": "1000",
    "account_operations": [],
}
OPERATION = {
    "uuid": "968f4580",
    "amount": "-500.0",
    "currency": "EUR",
    "created_at": "2015-11-02T11:36:42Z",
    "name": "lock",
}


class Reader:
    """A task's memory, and frames one after the other."""

    def __init__(self) -> None:
        self.remembered = Batch(Remembered(), NOW)
        self.sequence = 0

    def read(self, frame: str, via: Via = Via.SOCKET) -> Batch:
        alone = Batch(self.remembered, NOW)
        raw = Raw(
            provider="paymium",
            account="main",
            environment="production",
            via=via,
            route="user",
            kind=Kind.FRAME,
            connection="c",
            sequence=self.sequence,
            received_at=NOW,
            value=frame.encode(),
        )
        process(raw, Position("raw.paymium", 0, self.sequence), MAPPER, KEYS, alone)
        self.remembered.facts |= alone.facts
        self.remembered.entities |= alone.entities
        self.sequence += 1
        return alone

    def user(self, **changed: Any) -> Batch:
        return self.read(f'42/user,["stream",{json.dumps(changed)}]')

    def order(self, **changed: Any) -> Batch:
        return self.user(orders=[{**ORDER, **changed}])

    def public(self, **changed: Any) -> Batch:
        return self.read(f'42/public,["stream",{json.dumps(changed)}]')


@pytest.fixture
def reader() -> Reader:
    return Reader()


def events(batch: Batch) -> list[Event]:
    assert not batch.rejected
    return [event for event, _ in batch.events]


def order_of(batch: Batch) -> Order:
    (event,) = events(batch)
    assert event.order
    return event.order


# ---- orders -----------------------------------------------------------------------------


def test_the_id_of_an_order_is_the_one_that_the_reference_prints(reader: Reader) -> None:
    (event,) = events(reader.order(uuid="89d4b612-5e6a-4154-94f3-120d03f4e891"))
    assert event.id == (
        "paymium/main/order/89d4b612-5e6a-4154-94f3-120d03f4e891/active/2015-11-02T11:36:42.000Z/0/0"
    )


def test_fills_within_a_second_are_facts_of_their_own_and_rank_by_what_was_traded(
    reader: Reader,
) -> None:
    more = events(reader.order(traded_btc="0.4", traded_currency="400"))
    less = events(reader.order(traded_btc="0.1", traded_currency="100"))
    assert [event.type for event in (*more, *less)] == ["order.partially_filled"] * 2
    assert [event.is_stale for event in (*more, *less)] == [False, True]
    assert less[0].change == "stakes"


@pytest.mark.parametrize(
    ("state", "traded", "status"),
    [
        ("pending_execution", "0", "created"),
        ("pending", "0", "pending"),
        ("authorized", "0", "pending"),
        ("processing", "0", "processing"),
        ("active", "0", "open"),
        ("active", "0.00000000", "open"),
        ("active", "1E-8", "partially_filled"),
        ("filled", "1", "filled"),
        ("executed", "1", "filled"),
        ("canceled", "0.4", "cancelled"),
        ("expired", "0", "expired"),
        ("parked", "0", "unknown"),
    ],
)
def test_an_order_has_the_statuses_of_what_trades(
    reader: Reader, state: str, traded: str, status: str
) -> None:
    order = order_of(reader.order(state=state, traded_btc=traded))
    assert (order.status, order.provider_status) == (status, state)


def test_numbers_and_texts_are_one_fact(reader: Reader) -> None:
    reader.order(amount="1", price="1000")
    again = reader.order(amount=1.0, price=1000.0)
    assert (again.events, len(again.duplicates)) == ([], 1)


def test_an_operation_is_booked_once_however_often_its_order_is_told(reader: Reader) -> None:
    first = events(reader.order(account_operations=[OPERATION]))
    again = reader.order(account_operations=[OPERATION], state="canceled")
    assert [event.type for event in first] == ["order.open", "posting.booked"]
    assert [event.type for event in events(again)] == ["order.cancelled"]
    posting = first[1].posting
    assert posting
    assert posting.amount == Money(Decimal("-500.0"), "EUR")
    assert first[1].group == posting.order_id == ORDER["uuid"]


def test_an_operation_that_cannot_be_read_rejects_its_order_and_no_other(reader: Reader) -> None:
    bad = {**ORDER, "account_operations": [{**OPERATION, "amount": "NaN"}]}
    batch = reader.user(orders=[bad, {**ORDER, "uuid": "77d4b612"}])
    assert [event.entity_id for event, _ in batch.events] == ["77d4b612"]
    assert [rejected.part for rejected in batch.rejected] == ["/1/orders/0"]


@pytest.mark.parametrize(
    ("changed", "direction", "method", "gross"),
    [
        ({"type": "BitcoinTransfer", "amount": "-0.5", "currency": "BTC"}, "out", "crypto", "0.5"),
        ({"type": "CryptoTransfer", "amount": "2", "currency": "ETH"}, "in", "crypto", "2"),
        ({"type": "BitcoinDeposit", "amount": "0.5", "currency": "BTC"}, "in", "crypto", "0.5"),
        ({"type": "WireTransfer", "currency_amount": "-10", "amount": None}, "out", "bank", "10"),
        ({"type": "WireDeposit", "currency_amount": "10", "amount": None}, "in", "bank", "10"),
        ({"type": "EmailTransfer", "amount": "-1", "currency": "BTC"}, "out", "internal", "1"),
        ({"type": "AdminOrder", "amount": "1", "currency": "BTC"}, "in", "internal", "1"),
    ],
)
def test_a_transfer_has_a_direction_a_method_and_no_sign(
    reader: Reader, changed: dict[str, Any], direction: str, method: str, gross: str
) -> None:
    (event,) = events(reader.order(direction=None, price=None, state="executed", **changed))
    assert event.type == "transfer.completed"
    transfer = event.transfer
    assert isinstance(transfer, Transfer)
    assert (transfer.direction, transfer.method) == (direction, method)
    assert transfer.gross == Money(Decimal(gross), changed.get("currency", "EUR"))


# ---- what is seen -----------------------------------------------------------------------


def test_a_balance_that_returns_to_an_earlier_value_is_told_again(reader: Reader) -> None:
    told = [events(reader.user(balance_eur=value)) for value in ("10", "20", "10")]
    assert [len(each) for each in told] == [1, 1, 1]
    assert not any(event.is_fact for (event,) in told)


def test_a_balance_key_is_split_at_its_first_underscore(reader: Reader) -> None:
    (event,) = events(reader.user(locked_lbtc="0.5"))
    assert event.balance == Balance(currency="LBTC", locked=Money(Decimal("0.5"), "LBTC"))


def test_levels_of_one_key_are_one_change_of_one_side(reader: Reader) -> None:
    levels = [
        {"price": "76280.0", "amount": "0.00000000", "currency": "EUR", "timestamp": 0},
        {"price": 265, "amount": 17.43992373, "currency": "EUR", "timestamp": 1446464202},
    ]
    (event,) = events(reader.public(bids=levels))
    book = event.book
    assert isinstance(book, Book)
    assert not book.is_snapshot
    assert [(level.side, level.price, level.quantity) for level in book.levels] == [
        ("bid", Decimal("76280.0"), Decimal(0)),
        ("bid", Decimal(265), Decimal("17.43992373")),
    ]


PRICE = {
    "base_currency": "btc",
    "quote_currency": "eur",
    "price": "75980.0",
    "timestamp": 1446464202,
    "swap": {"purchase_price": "76333.27"},
}


def test_prices_are_told_pair_by_pair_where_they_changed(reader: Reader) -> None:
    first = events(reader.public(prices={"btceur": PRICE, "etheur": PRICE}))
    later = {"btceur": {**PRICE, "timestamp": 1446464212}, "etheur": {**PRICE, "price": "2"}}
    second = events(reader.public(prices=later))
    assert [event.entity_id for event in first] == ["btceur", "etheur"]
    assert [event.entity_id for event in second] == ["etheur"]
    quote = second[0].quote
    assert isinstance(quote, Quote)
    assert [(named.name, named.price) for named in quote.prices] == [
        ("swap.purchase_price", Money(Decimal("76333.27"), "EUR"))
    ]


def test_a_pair_that_cannot_be_read_takes_no_other_along(reader: Reader) -> None:
    batch = reader.public(prices={"a/b~c": {"price": "x"}, "btceur": PRICE})
    assert [event.entity_id for event, _ in batch.events] == ["btceur"]
    assert [rejected.part for rejected in batch.rejected] == ["/1/prices/a~1b~0c"]


def test_trades_without_an_id_are_left_to_rest_and_must_be_readable(reader: Reader) -> None:
    trade = {"price": "275", "traded_btc": "0.01", "timestamp": 1446464203000, "currency": "EUR"}
    assert events(reader.public(trades=[trade, trade])) == []
    assert [each.reason for each in reader.public(trades=[{**trade, "price": "NaN"}]).rejected] == [
        "invalid_value"
    ]


def test_an_announcement_is_known_by_its_content_whatever_the_order_of_its_names(
    reader: Reader,
) -> None:
    first = events(reader.read('42/public,["announcement",[{"b":1,"a":"é"}]]'))
    assert [event.entity_id for event in first] == [
        "aa58fba8483623bed37c1b02edfccbdd9a53123837c20bfa4cb4049993a2872e"
    ]
    assert not events(reader.read('42/public,["announcement",[{"a":"é","b":1}]]'))
    assert events(reader.read('42/public,["announcement",[{"a":"é","b":1.0}]]'))


@pytest.mark.parametrize(
    "frame",
    [
        '42/user,["stream",{"event":"state","payload":{"state":"approved"}}]',
        '42/user,["stream",{"event":"state","payload":"{\\"state\\":\\"approved\\"}"}]',
        '42/user,["state",{"state":"approved"}]',
        '42/user,["state","{\\"state\\":\\"approved\\"}"]',
        '42["state",{"state":"approved"},"more"]',
        '42/user,13["state",{"state":"approved"}]',
    ],
)
def test_the_older_envelope_is_read_in_every_carrier(reader: Reader, frame: str) -> None:
    (event,) = events(reader.read(frame))
    assert (event.type, event.provider_type) == ("notice.updated", "state")
    assert (event.entity_kind, event.entity_id) == ("user", "main")


def test_what_is_said_to_a_person_stays_in_raw(reader: Reader) -> None:
    (event,) = events(reader.read('42/user,["notice",{"message":"Dear Alice"}]'))
    assert event.notice
    assert (event.notice.topic, event.notice.text) == ("notice", None)


def test_an_unsigned_callback_tells_nothing(reader: Reader) -> None:
    """Whoever knows the address can send one: REST is asked what became of the payment."""
    body = {"uuid": "8f60c9df", "state": "paid", "amount": "25.00", "currency": "EUR"}
    batch = reader.read(json.dumps(body), Via.WEBHOOK)
    assert (batch.events, batch.rejected, batch.witnesses) == ([], [], [])

"""AssetPay: what the recordings do not hold."""

import json
from decimal import Decimal
from typing import Any

import pytest

from processors.batch import Batch
from processors.mapper import Keys
from processors.mappers.assetpay import MAPPER
from processors.pipeline import process
from schemas.records import Event, Item, Kind, Listing, Money, Position, Raw, Status, Transfer, Via
from tests.processors.memory import Remembered

NOW = 1_773_400_000 * 1_000_000
KEYS = Keys(reference_id="r1", reference=b"a key of tests, of 32 bytes, this")
ITEM = {"id": "i1", "appid": 730, "marketHashName": "AK-47", "offer": {"price": 10.75}}
TRADE = {
    "id": "t1",
    "type": "deposit",
    "status": "completed",
    "items": [ITEM],
    "totalPrice": 10.75,
    "clientSteamID": "76561198000000001",
    "externalId": "deposit-1",
    "createdAt": "2026-03-04T10:00:00.000Z",
    "updatedAt": "2026-03-11T10:00:02.000Z",
}
FUNDING = {
    "id": "f1",
    "status": "COMPLETED",
    "amounts": {"usd": "100.00", "token": "100.000000"},
    "asset": {"token": "USDT", "chain": "ETH"},
    "txnHash": "0x1",
    "creditedUsd": "100.00",
    "createdAt": "2026-03-04T10:00:00.000Z",
    "completedAt": "2026-03-04T10:09:00.000Z",
}


def heard(frame: str, *, via: Via = Via.SOCKET, memory: Batch | None = None) -> Batch:
    raw = Raw(
        provider="assetpay",
        account="main",
        environment="sandbox",
        via=via,
        route="events",
        kind=Kind.FRAME,
        connection="c1",
        sequence=1,
        received_at=NOW,
        value=frame.encode(),
    )
    batch = Batch(memory or Remembered(), published_at=NOW)
    process(raw, Position("raw.assetpay", 0, 1), MAPPER, KEYS, batch)
    return batch


def trade(*, memory: Batch | None = None, **fields: Any) -> Batch:
    return heard(f'42["trade",{{"trade":{json.dumps({**TRADE, **fields})}}}]', memory=memory)


def funding(*, event: str = "deposit", memory: Batch | None = None, **fields: Any) -> Batch:
    content = json.dumps({**FUNDING, **fields})
    return heard(f'42["{event}",{{"funding":{content}}}]', memory=memory)


def market(**fields: Any) -> Batch:
    return heard(f'42["market",{json.dumps(fields)}]')


def event_of(batch: Batch) -> Event:
    ((event, _),) = batch.events
    return event


def transfer_of(batch: Batch) -> Transfer:
    payload = event_of(batch).transfer
    assert payload is not None
    return payload


def refusal_of(batch: Batch) -> str:
    (rejected,) = batch.rejected
    return f"{rejected.reason}: {rejected.message}"


# ---- trades -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status", "rank", "is_final"),
    [
        ("initiated", Status.CREATED, 0, False),
        ("pending", Status.PENDING, 1, False),
        ("active", Status.PROCESSING, 2, False),
        ("hold", Status.ON_HOLD, 3, False),
        ("completed", Status.COMPLETED, 4, True),
        ("failed", Status.FAILED, 4, True),
        ("declined", Status.DECLINED, 4, True),
        ("canceled", Status.CANCELLED, 4, True),
        ("reverted", Status.REVERSED, 5, True),
        ("frozen", Status.UNKNOWN, 0, False),
    ],
)
@pytest.mark.parametrize("spelled", [str, str.upper])
def test_a_trades_status_is_told_in_our_word_beside_theirs(
    word: str,
    status: Status,
    rank: int,
    is_final: bool,  # noqa: FBT001
    spelled: Any,
) -> None:
    batch = trade(status=spelled(word))
    payload = transfer_of(batch)
    assert (payload.status, payload.provider_status) == (status, spelled(word))
    assert event_of(batch).id == f"assetpay/main/trade/t1/{word}/2026-03-11T10:00:02.000Z"
    (entity,) = batch.entities.values()
    assert (entity.rank, entity.is_final) == (rank, is_final)


def test_a_trade_is_told_with_its_own_digits() -> None:
    payload = transfer_of(
        trade(preCredit=8.6, pendingCredit="2.150", items=[{**ITEM, "error": "PRICE_CHANGED"}])
    )
    assert payload == Transfer(
        direction="in",
        method="items",
        status="completed",
        provider_status="completed",
        gross=Money(Decimal("10.75"), "USD"),
        credited_now=Money(Decimal("8.6"), "USD"),
        credited_later=Money(Decimal("2.150"), "USD"),
        reference="deposit-1",
        counterparty_ref=KEYS.hashed("76561198000000001"),
        items=(
            Item(
                id="i1",
                name="AK-47",
                game="730",
                error="PRICE_CHANGED",
                price=Money(Decimal("10.75"), "USD"),
            ),
        ),
    )


def test_both_generations_tell_one_fact() -> None:
    first = trade()
    again = trade(status="COMPLETED", type="DEPOSIT", totalPrice="10.750", memory=first)
    assert again.duplicates
    assert not again.rejected


@pytest.mark.parametrize(
    "change", [{"totalPrice": 11}, {"type": "withdraw"}, {"preCredit": 1}, {"pendingCredit": 1}]
)
def test_the_same_change_of_a_trade_with_other_stakes_is_a_conflict(change: dict[str, Any]) -> None:
    assert refusal_of(trade(**change, memory=trade())).startswith("conflict: ")


def test_a_reversal_after_completion_is_news_and_a_late_hold_is_stale() -> None:
    completed = trade()
    reverted = trade(status="reverted", updatedAt="2026-03-12T08:00:00Z", memory=completed)
    assert event_of(reverted).type == "transfer.reversed"
    assert (event_of(reverted).change, event_of(reverted).is_stale) == ("status", False)
    held = trade(status="hold", updatedAt="2026-03-04T10:05:00Z", memory=reverted)
    assert event_of(held).is_stale


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", -1, "1e25"])
@pytest.mark.parametrize("field", ["totalPrice", "preCredit", "pendingCredit"])
def test_what_cannot_be_an_amount_of_a_trade_is_rejected(field: str, amount: object) -> None:
    assert refusal_of(trade(**{field: amount})).startswith(f"invalid_value: $.{field}: ")


@pytest.mark.parametrize("missing", ["id", "type", "status", "items", "totalPrice", "updatedAt"])
def test_a_trade_without_what_its_page_promises_is_malformed(missing: str) -> None:
    content = {name: value for name, value in TRADE.items() if name != missing}
    refusal = refusal_of(heard(f'42["trade",{{"trade":{json.dumps(content)}}}]'))
    assert refusal.startswith("malformed: ")
    assert missing in refusal


# ---- fundings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status", "rank", "is_final"),
    [
        ("INITIATED", Status.CREATED, 0, False),
        ("PENDING", Status.PENDING, 1, False),
        ("PENDING_ADMIN", Status.PENDING, 1, False),
        ("APPROVED", Status.PROCESSING, 2, False),
        ("COMPLETED", Status.COMPLETED, 3, True),
        ("REJECTED", Status.DECLINED, 3, True),
        ("FAILED", Status.FAILED, 3, True),
        ("CANCELLED", Status.CANCELLED, 3, True),
        ("EXPIRED", Status.EXPIRED, 3, True),
        ("REFUNDED", Status.REFUNDED, 4, True),
        ("FROZEN", Status.UNKNOWN, 0, False),
    ],
)
@pytest.mark.parametrize("spelled", [str, str.lower])
def test_a_fundings_status_is_told_in_our_word_beside_theirs(
    word: str,
    status: Status,
    rank: int,
    is_final: bool,  # noqa: FBT001
    spelled: Any,
) -> None:
    batch = funding(status=spelled(word))
    payload = transfer_of(batch)
    assert (payload.status, payload.provider_status) == (status, spelled(word))
    assert event_of(batch).id == f"assetpay/main/funding/f1/{word}/0x1"
    (entity,) = batch.entities.values()
    assert (entity.rank, entity.is_final, entity.version) == (rank, is_final, None)


@pytest.mark.parametrize(("event", "direction"), [("deposit", "in"), ("withdrawal", "out")])
def test_a_funding_is_told_with_its_own_digits(event: str, direction: str) -> None:
    assert transfer_of(funding(event=event, overpaymentUsd="1.25", address="0xa")) == Transfer(
        direction=direction,
        method="crypto",
        status="completed",
        provider_status="COMPLETED",
        gross=Money(Decimal("100.00"), "USD"),
        credited_now=Money(Decimal("100.00"), "USD"),
        overpayment=Money(Decimal("1.25"), "USD"),
        crypto=Money(Decimal("100.000000"), "USDT"),
        network="ETH",
        address="0xa",
        tx_hash="0x1",
    )


def test_a_hash_makes_a_pending_funding_news() -> None:
    first = funding(status="PENDING", txnHash=None)
    hashed = funding(status="PENDING", memory=first)
    assert event_of(first).id == "assetpay/main/funding/f1/PENDING/"
    assert event_of(hashed).id == "assetpay/main/funding/f1/PENDING/0x1"
    assert event_of(hashed).change == "none"


@pytest.mark.parametrize(
    ("status", "time_source"),
    [("INITIATED", "provider"), ("COMPLETED", "provider"), ("REFUNDED", "received")],
)
def test_only_two_statuses_of_a_funding_have_a_time(status: str, time_source: str) -> None:
    assert event_of(funding(status=status)).time_source == time_source


@pytest.mark.parametrize(
    "change",
    [
        {"amounts": {"usd": "100.01", "token": "100.000000"}},
        {"amounts": {"usd": "100.00", "token": "100.000001"}},
        {"asset": {"token": "USDC", "chain": "ETH"}},
    ],
)
def test_the_same_change_of_a_funding_with_other_stakes_is_a_conflict(change: Any) -> None:
    assert refusal_of(funding(**change, memory=funding())).startswith("conflict: ")


# ---- the market -------------------------------------------------------------------------


def test_a_listing_is_an_observation_and_told_each_time() -> None:
    shown = {"type": "upsert", "game": 730, "source": "internal", "item": ITEM}
    event = event_of(market(**shown, at="2026-03-04T10:00:00Z"))
    assert not event.is_fact
    assert event.key == "assetpay/main/listing/730/internal/i1"
    price = Money(Decimal("10.75"), "USD")
    assert event.listing == Listing(
        action="upsert",
        game="730",
        source="internal",
        item=Item(id="i1", name="AK-47", game="730", price=price),
        price=price,
    )
    assert event.time_source == "provider"
    assert event_of(market(**shown)).time_source == "received"


@pytest.mark.parametrize(
    ("told", "entity"),
    [
        ({"type": "sync", "reason": "subscribe"}, "all"),
        ({"type": "sync", "game": 730, "source": "internal"}, "730/internal"),
        ({"type": "remove", "game": 730, "source": "x", "itemId": "a/b%"}, "730/x/a%2Fb%25"),
    ],
)
def test_a_market_event_is_about_what_it_names(told: dict[str, Any], entity: str) -> None:
    assert event_of(market(**told)).entity_id == entity


@pytest.mark.parametrize("via", [Via.POLL, Via.BACKFILL])
def test_what_came_by_a_path_without_a_reading_is_kept_for_one(via: Via) -> None:
    assert refusal_of(heard('42["trade",{}]', via=via)).startswith("unknown_kind: ")


CRYPTO = {
    "id": "c1",
    "status": "completed",
    "token": "USDC",
    "chain": "ETH",
    "amount": "25.00",
    "amountCents": 2500,
    "cryptoAmount": "25.000000",
    "updatedAt": "2026-03-11T10:00:02.000Z",
}


def called(name: str = "deposit", **fields: Any) -> Batch:
    return heard(json.dumps({name: {**CRYPTO, **fields}}), via=Via.WEBHOOK)


def test_a_trade_is_the_same_event_by_socket_and_webhook() -> None:
    by_webhook = heard(json.dumps({"trade": TRADE}), via=Via.WEBHOOK)
    assert event_of(by_webhook).id == event_of(trade()).id
    assert event_of(by_webhook).transfer == transfer_of(trade())


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", Status.PENDING),
        ("frozen", Status.ON_HOLD),
        ("below_minimum", Status.FAILED),
        ("REFUNDED", Status.REFUNDED),
        ("awaiting_approval", Status.CREATED),
        ("in_review", Status.PENDING),
        ("approved", Status.PROCESSING),
        ("rejected", Status.DECLINED),
        ("cancelled", Status.CANCELLED),
        ("melted", Status.UNKNOWN),
    ],
)
def test_users_crypto_has_words_of_its_own(word: str, status: Status) -> None:
    payload = transfer_of(called(status=word))
    assert (payload.status, payload.provider_status) == (status, word)


def test_users_crypto_is_read_in_cents_of_a_dollar() -> None:
    payload = transfer_of(called("withdrawal", feeCents=100, receiveCents=2400))
    assert (payload.direction, payload.gross, payload.fee, payload.net) == (
        "out",
        Money(Decimal("25.00"), "USD"),
        Money(Decimal("1.00"), "USD"),
        Money(Decimal("24.00"), "USD"),
    )


def test_cents_that_are_not_those_of_the_amount_are_malformed() -> None:
    assert "$.amountCents" in refusal_of(called(amountCents=2501))


# ---- what REST reads back ---------------------------------------------------------------


def read(content: Any, route: str, memory: Batch | None = None) -> Batch:
    raw = Raw(
        provider="assetpay",
        account="main",
        environment="sandbox",
        via=Via.POLL,
        route=route,
        kind=Kind.FRAME,
        connection="r1",
        sequence=1,
        received_at=NOW,
        value=json.dumps({"requestId": "r", "success": True, "data": content}).encode(),
    )
    batch = Batch(memory or Remembered(), published_at=NOW)
    process(raw, Position("raw.assetpay", 0, 2), MAPPER, KEYS, batch)
    return batch


ENTRY = {
    "id": "f1",
    "type": "DEPOSIT",
    "status": "COMPLETED",
    "amount": {"usd": 100.0, "crypto": "100.000000", "token": "USDT", "chain": "ETH"},
    "fee": 0,
    "txnHash": "0x1",
    "timestamps": {
        "created": "2026-03-04T10:00:00.000Z",
        "completed": "2026-03-04T10:09:00.000Z",
        "updated": "2026-03-04T10:09:00.000Z",
    },
}


def test_a_trade_is_one_fact_by_the_socket_by_its_id_and_in_a_list() -> None:
    by_socket = trade()
    for answer in (
        read(TRADE, "trades", by_socket),
        read([TRADE], "trades", by_socket),
        read({"items": [TRADE], "nextCursor": None}, "self_trades", by_socket),
    ):
        (witness,) = answer.witnesses
        assert (witness.id, witness.authority) == (event_of(by_socket).id, "read_back")
        assert not answer.events
        assert not answer.rejected


def test_a_funding_is_one_fact_by_the_socket_and_by_the_ledger_in_either_order() -> None:
    by_socket = funding()
    by_ledger = read({"items": [ENTRY], "pagination": {}}, "ledger")
    assert event_of(by_socket).id == event_of(by_ledger).id
    assert event_of(by_socket).occurred_at == event_of(by_ledger).occurred_at
    assert read(ENTRY, "ledger", by_socket).witnesses
    assert funding(memory=by_ledger).witnesses


def test_a_single_trade_is_not_taken_for_a_list_of_its_items() -> None:
    assert event_of(read(TRADE, "trades")).evidence.part == "/data"


def test_each_row_stands_for_itself_and_says_where_it_is() -> None:
    bad = {**ENTRY, "id": "f2", "amount": {"usd": "many"}}
    batch = read({"items": [bad, {**ENTRY, "id": "f3"}], "pagination": {}}, "ledger")
    assert [event.evidence.part for event, _ in batch.events] == ["/data/items/1"]
    assert [rejected.part for rejected in batch.rejected] == ["/data/items/0"]


@pytest.mark.parametrize(
    ("kind", "direction"), [("ADMIN_CREDIT", "in"), ("ADMIN_DEBIT", "out"), ("admin_debit", "out")]
)
def test_what_an_admin_booked_is_internal_and_completed(kind: str, direction: str) -> None:
    event = event_of(read({**ENTRY, "type": kind, "status": "POSTED"}, "ledger"))
    assert event.transfer
    assert (event.transfer.direction, event.transfer.method) == (direction, "internal")
    assert event.transfer.status == "completed"

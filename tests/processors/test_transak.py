"""Transak: what the recordings do not hold."""

import json
from decimal import Decimal

import jwt
import pytest

from processors.batch import Batch
from processors.mapper import Keys
from processors.mappers.transak import MAPPER
from processors.pipeline import process
from schemas.records import Conversion, Event, Fee, Kind, Money, Position, Raw, Status, Via
from tests.processors.memory import Remembered

NOW = 1_743_900_000 * 1_000_000
NEW, OLD = b"new token".ljust(64, b"."), b"old token".ljust(64, b".")
KEYS = Keys(
    verification={"new": NEW, "old": OLD},
    reference_id="r1",
    reference=b"a key of tests, of 32 bytes, this",
)
ORDER = {
    "id": "order-1",
    "status": "COMPLETED",
    "isBuyOrSell": "BUY",
    "fiatCurrency": "EUR",
    "fiatAmount": 30,
    "amountPaid": 30,
    "cryptoCurrency": "ETH",
    "cryptoAmount": 0.01759347,
    "totalFeeInFiat": 1.3,
    "createdAt": "2025-04-04T13:11:47.260Z",
    "updatedAt": "2025-04-04T13:15:09.000Z",
}


def told(  # noqa: PLR0913  # one for each thing that a message has
    content: object,
    *,
    event: str = "ORDER_COMPLETED",
    keys: Keys = KEYS,
    received_at: int = NOW,
    via: Via = Via.SOCKET,
    memory: Batch | None = None,
) -> Batch:
    """What one message says: an object as JSON text, text as it is."""
    text = content if isinstance(content, str) else json.dumps(content)
    raw = Raw(
        provider="transak",
        account="main",
        environment="sandbox",
        via=via,
        route="orders",
        kind=Kind.FRAME,
        connection="c1",
        sequence=1,
        received_at=received_at,
        value=json.dumps({"event": event, "channel": "c", "data": text}).encode(),
    )
    batch = Batch(memory or Remembered(), published_at=received_at)
    process(raw, Position("raw.transak", 0, 1), MAPPER, keys, batch)
    return batch


def order(**fields: object) -> dict[str, object]:
    return {**ORDER, **fields}


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in ORDER.items() if name not in names}


def token(claims: dict[str, object], key: bytes = NEW) -> str:
    return jwt.encode(claims, key, algorithm="HS256")


def event_of(batch: Batch) -> Event:
    ((event, _),) = batch.events
    return event


def conversion_of(batch: Batch) -> Conversion:
    payload = event_of(batch).conversion
    assert payload is not None
    return payload


def refusal_of(batch: Batch) -> str:
    (rejected,) = batch.rejected
    return f"{rejected.reason}: {rejected.message}"


# ---- what proves a message --------------------------------------------------------------


def test_an_order_of_a_public_channel_proves_nothing_by_itself() -> None:
    event = event_of(told(ORDER))
    assert (event.authority, event.evidence.verified) == ("best_effort", "tls")


@pytest.mark.parametrize(("key_id", "key"), [("new", NEW), ("old", OLD)])
@pytest.mark.parametrize("claims", [ORDER, {"webhookData": ORDER, "eventID": "ORDER_COMPLETED"}])
def test_a_signed_order_names_the_key_that_verified_it(
    claims: dict[str, object], key_id: str, key: bytes
) -> None:
    event = event_of(told(token(claims, key)))
    assert (event.authority, event.evidence.verified) == ("signed", f"hs256:{key_id}")


def test_a_message_told_on_two_channels_is_one_fact_with_a_witness() -> None:
    public = told(ORDER)
    private = told(token(ORDER), memory=public)
    assert not private.events
    (witness,) = private.witnesses
    assert (witness.id, witness.authority) == (event_of(public).id, "signed")


def test_without_a_key_a_signed_order_is_unverified_and_an_unsigned_one_still_told() -> None:
    keyless = Keys(reference_id="r1", reference=b"r")
    assert refusal_of(told(token(ORDER), keys=keyless)).startswith("unverified: ")
    assert told(ORDER, keys=keyless).events


def test_expiry_is_judged_by_when_a_message_came() -> None:
    signed = token(order(exp=NOW // 1_000_000))
    assert told(signed).events
    late = told(signed, received_at=NOW + 3600 * 1_000_000)
    assert refusal_of(late).startswith("unverified: ")


def test_the_words_of_pusher_and_of_the_signed_envelope_are_both_kept() -> None:
    claims = {"webhookData": ORDER, "eventID": "ORDER_COMPLETED"}
    event = event_of(told(token(claims), event="ORDER_FAILED"))
    assert event.provider_type == "ORDER_FAILED / ORDER_COMPLETED"
    assert event.type == "conversion.completed"


@pytest.mark.parametrize("order_in_it", ["oops", None, 1, []])
def test_an_envelope_that_holds_no_order_is_malformed(order_in_it: object) -> None:
    assert refusal_of(told(token({"webhookData": order_in_it}))).startswith("malformed: ")


# ---- ids and order ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["id", "_id", "orderId"])
def test_an_order_has_one_id_whatever_it_is_called(name: str) -> None:
    event = event_of(told({**without("id"), name: "order-1"}))
    assert event.id == "transak/main/order/order-1/COMPLETED/2025-04-04T13:15:09.000Z"


def test_without_an_update_the_creation_is_the_identity() -> None:
    event = event_of(told(without("updatedAt")))
    assert event.id == "transak/main/order/order-1/COMPLETED/2025-04-04T13:11:47.260Z"


def test_an_offset_makes_no_other_identity() -> None:
    moved = order(updatedAt="2025-04-04T15:15:09.000+02:00")
    assert event_of(told(moved)).id == event_of(told(ORDER)).id


def test_an_id_cannot_break_out_of_its_place() -> None:
    event = event_of(told(order(id="a/b%c")))
    assert event.id.startswith("transak/main/order/a%2Fb%25c/COMPLETED/")


@pytest.mark.parametrize(
    ("word", "status", "rank", "is_final"),
    [
        ("AWAITING_PAYMENT_FROM_USER", Status.CREATED, 0, False),
        ("PAYMENT_DONE_MARKED_BY_USER", Status.PENDING, 1, False),
        ("PROCESSING", Status.PROCESSING, 2, False),
        ("PENDING_DELIVERY_FROM_TRANSAK", Status.PROCESSING, 3, False),
        ("ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK", Status.ON_HOLD, 3, False),
        ("COMPLETED", Status.COMPLETED, 4, True),
        ("EXPIRED", Status.EXPIRED, 4, True),
        ("FAILED", Status.FAILED, 4, True),
        ("DECLINED", Status.DECLINED, 4, True),
        ("CANCELLED", Status.CANCELLED, 4, True),
        ("REFUNDED", Status.REFUNDED, 5, True),
        ("MANUAL_REVIEW", Status.UNKNOWN, 0, False),
    ],
)
def test_a_status_is_told_in_our_word_beside_theirs(
    word: str,
    status: Status,
    rank: int,
    is_final: bool,  # noqa: FBT001
) -> None:
    batch = told(order(status=word))
    payload = conversion_of(batch)
    assert (payload.status, payload.provider_status) == (status, word)
    (entity,) = batch.entities.values()
    assert (entity.rank, entity.is_final) == (rank, is_final)
    assert entity.version == (1743772509000000, 0)


# ---- the payload ------------------------------------------------------------------------


def test_an_order_is_told_with_its_own_digits() -> None:
    payload = conversion_of(
        told(
            order(
                conversionPrice=0.0003207090133753247,
                partnerFeeInLocalCurrency="0.30",
                paymentOptionId="sepa_bank_transfer",
                network="ethereum",
                walletAddress="0x1",
                transactionHash="0x2",
                partnerOrderId="partner-order-1",
                userId="user-1",
            )
        )
    )
    assert payload == Conversion(
        side="buy",
        status="completed",
        provider_status="COMPLETED",
        fiat=Money(Decimal(30), "EUR"),
        crypto=Money(Decimal("0.01759347"), "ETH"),
        paid=Money(Decimal(30), "EUR"),
        rate="0.0003207090133753247",
        fees=(
            Fee("totalFeeInFiat", Money(Decimal("1.3"), "EUR")),
            Fee("partnerFeeInLocalCurrency", Money(Decimal("0.30"), "EUR")),
        ),
        payment_method="sepa_bank_transfer",
        network="ethereum",
        address="0x1",
        tx_hash="0x2",
        customer_ref=KEYS.hashed("user-1"),
        partner_order_id="partner-order-1",
    )


def test_the_partners_own_name_of_a_customer_comes_before_transaks() -> None:
    payload = conversion_of(told(order(userId="user-1", partnerCustomerId="customer-1")))
    assert payload.customer_ref == KEYS.hashed("customer-1")


def test_the_same_amounts_in_other_digits_are_the_same_fact() -> None:
    first = told(ORDER)
    again = told(
        order(fiatAmount="30.00", amountPaid="3E+1", partnerFeeInLocalCurrency=1), memory=first
    )
    assert again.duplicates
    assert not again.rejected


@pytest.mark.parametrize(
    "change",
    [
        {"fiatAmount": 31},
        {"cryptoAmount": 0.02},
        {"amountPaid": 29},
        {"totalFeeInFiat": 2},
        {"fiatCurrency": "USD"},
        {"cryptoCurrency": "BTC"},
        {"isBuyOrSell": "SELL"},
    ],
)
def test_the_same_identity_with_other_stakes_is_a_conflict(change: dict[str, object]) -> None:
    assert refusal_of(told(order(**change), memory=told(ORDER))).startswith("conflict: ")


@pytest.mark.parametrize(
    "missing", ["id", "status", "isBuyOrSell", "fiatCurrency", "cryptoCurrency", "createdAt"]
)
def test_an_order_without_what_every_page_promises_is_malformed(missing: str) -> None:
    refusal = refusal_of(told(without(missing)))
    assert refusal.startswith("malformed: ")
    assert missing in refusal


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", -1, "1e25"])
@pytest.mark.parametrize(
    "field",
    [
        *("fiatAmount", "cryptoAmount", "amountPaid", "conversionPrice"),
        *("totalFeeInFiat", "partnerFeeInLocalCurrency"),
    ],
)
def test_what_cannot_be_an_amount_is_rejected(field: str, amount: object) -> None:
    assert refusal_of(told(order(**{field: amount}))).startswith(f"invalid_value: $.{field}: ")


# ---- what REST reads back ---------------------------------------------------------------


def page(
    content: object, *, memory: Batch | None = None, via: Via = Via.POLL, route: str = "orders"
) -> Batch:
    raw = Raw(
        provider="transak",
        account="main",
        environment="sandbox",
        via=via,
        route=route,
        kind=Kind.FRAME,
        connection="r1",
        sequence=1,
        received_at=NOW,
        value=json.dumps({"meta": {}, "data": content}).encode(),
    )
    batch = Batch(memory or Remembered(), published_at=NOW)
    process(raw, Position("raw.transak", 0, 2), MAPPER, KEYS, batch)
    return batch


def rested(**fields: object) -> dict[str, object]:
    """The order as REST names it."""
    return {**without("id"), "_id": "order-1", **fields}


def test_an_order_has_one_id_by_the_socket_and_by_rest_in_either_order() -> None:
    by_socket, by_rest = told(token(ORDER)), page([rested()])
    assert event_of(by_socket).id == event_of(by_rest).id
    for first, again in (
        (by_socket, page([rested()], memory=by_socket)),
        (by_rest, told(token(ORDER), memory=by_rest)),
    ):
        (witness,) = again.witnesses
        assert not again.events
        assert witness.id == event_of(first).id
    assert event_of(by_rest).authority == "read_back"


def test_each_row_of_a_page_stands_for_itself_and_says_where_it_is() -> None:
    batch = page([rested(), rested(_id="b", fiatAmount="many"), rested(_id="c")])
    assert [event.evidence.part for event, _ in batch.events] == ["/data/0", "/data/2"]
    (rejected,) = batch.rejected
    assert rejected.part == "/data/1"


def test_one_order_by_its_id_is_the_same_fact_as_its_row() -> None:
    listed = page([rested()], via=Via.BACKFILL)
    one = page(rested(), memory=listed, route="order")
    assert not one.events
    assert not one.rejected


def test_status_that_was_missed_is_told_when_it_is_read_back_and_an_older_one_is_stale() -> None:
    first = page([rested()])
    late = told(
        token(order(status="PROCESSING", updatedAt="2025-04-04T13:14:00.000Z")), memory=first
    )
    assert event_of(late).is_stale

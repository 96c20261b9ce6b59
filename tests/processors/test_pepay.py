"""Pepay: what the recordings do not hold."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from processors.batch import Batch
from processors.mapper import Keys
from processors.mappers.pepay import MAPPER
from processors.pipeline import process
from schemas.records import (
    Authority,
    Event,
    Invoice,
    Kind,
    Money,
    Position,
    Purchase,
    Raw,
    Status,
    Via,
)
from tests.processors.memory import Remembered

NOW = 1_734_780_300 * 1_000_000
KEYS = Keys(reference_id="r1", reference=b"a key of tests, of 32 bytes, this")


def told(
    kind: str, entity: Mapping[str, object], *, via: Via = Via.SOCKET, **envelope: object
) -> Batch:
    """What one event says, by itself."""
    event = {"id": "evt_1734780200000-1", "object": "event", "type": kind, "created": 1734780200}
    frame = json.dumps({**event, "data": {"object": entity}, **envelope})
    raw = Raw(
        provider="pepay",
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
    batch = Batch(Remembered(), published_at=NOW)
    process(raw, Position("raw.pepay", 0, 1), MAPPER, KEYS, batch)
    return batch


def event_of(batch: Batch) -> Event:
    ((event, _),) = batch.events
    return event


def refusal_of(batch: Batch) -> str:
    (rejected,) = batch.rejected
    return f"{rejected.reason}: {rejected.message}"


def invoice(**fields: object) -> Batch:
    return told("invoice.updated", {"object": "invoice", "id": "inv_1", "status": "paid", **fields})


def invoice_of(batch: Batch) -> Invoice:
    payload = event_of(batch).invoice
    assert payload is not None
    return payload


def order(**fields: object) -> Batch:
    return told("commerce.order.updated", {"object": "commerce_order", **fields})


# ---- money ------------------------------------------------------------------------------


def test_decimal_text_comes_before_thousandths_and_these_before_dollars() -> None:
    full = {"amount_decimal": "10.000", "amount": 10000, "amount_unit": "usd_millis"}
    assert invoice_of(invoice(**full, amount_usd=7)).amount == Money(Decimal("10.000"), "USD")
    del full["amount_decimal"]
    assert invoice_of(invoice(**full, amount_usd=7)).amount == Money(Decimal("10.000"), "USD")
    assert invoice_of(invoice(amount_usd=7)).amount == Money(Decimal(7), "USD")
    assert invoice_of(invoice()).amount is None


def test_amounts_may_be_numbers_or_numeric_text() -> None:
    for amount in (49.5, "49.5"):
        assert invoice_of(invoice(amount_usd=amount)).amount == Money(Decimal("49.5"), "USD")
    for millis in (49500, "49500"):
        told_amount = invoice_of(invoice(amount_paid=millis, amount_unit="usd_millis")).paid
        assert told_amount == Money(Decimal("49.5"), "USD")


def test_thousandths_without_their_unit_are_not_guessed() -> None:
    assert "$.amount_unit" in refusal_of(invoice(amount=10000))


@pytest.mark.parametrize("field", ["amount", "amount_paid", "amount_remaining"])
def test_an_amount_told_twice_must_be_one_amount(field: str) -> None:
    fields = {f"{field}_decimal": "10.000", field: 10001, "amount_unit": "usd_millis"}
    assert refusal_of(invoice(**fields)).startswith(f"malformed: $.{field}: expected the amount")


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", -1, "1e25", "1e999999999"])
@pytest.mark.parametrize("field", ["amount_decimal", "amount", "amount_usd"])
def test_what_cannot_be_an_amount_is_rejected(field: str, amount: object) -> None:
    refusal = refusal_of(invoice(**{field: amount}, amount_unit="usd_millis"))
    assert refusal.startswith(f"invalid_value: $.{field}: ")


def test_another_currency_than_the_dollar_is_not_guessed() -> None:
    assert "$.currency" in refusal_of(invoice(currency="eur", amount_decimal="10.000"))


# ---- times, statuses, ids ---------------------------------------------------------------


@pytest.mark.parametrize(
    "expires_at", ["2025-12-21T12:34:56.000Z", "2025-12-21T14:34:56+02:00", 1766320496]
)
def test_an_expiry_is_a_date_or_unix_seconds(expires_at: object) -> None:
    assert invoice_of(invoice(expires_at=expires_at)).expires_at == 1766320496000000


def version_of(event_id: str) -> tuple[int, int] | None:
    paid = {"object": "invoice", "id": "i", "status": "paid"}
    batch = told("invoice.updated", paid, id=event_id)
    assert event_of(batch).id == f"pepay/main/{event_id}"
    (entity,) = batch.entities.values()
    return entity.version


def test_ids_are_ordered_as_numbers() -> None:
    assert version_of("evt_1734780200000-9") == (1734780200000, 9)
    assert version_of("evt_1734780200000-10") == (1734780200000, 10)


@pytest.mark.parametrize(
    "event_id", ["evt_123", "evt_example", "evt_1-", "evt_²-1", "evt_1-" + "9" * 30]
)
def test_an_id_of_another_form_is_an_identity_and_orders_nothing(event_id: str) -> None:
    assert version_of(event_id) is None


@pytest.mark.parametrize(
    ("word", "status", "is_final"),
    [
        ("unpaid", Status.CREATED, False),
        ("underpaid", Status.PENDING, False),
        ("paid", Status.COMPLETED, True),
        ("expired", Status.EXPIRED, True),
        ("frozen", Status.UNKNOWN, False),
    ],
)
def test_a_status_is_told_in_our_word_beside_theirs(
    word: str,
    status: Status,
    is_final: bool,  # noqa: FBT001
) -> None:
    batch = invoice(status=word)
    payload = invoice_of(batch)
    assert (payload.status, payload.provider_status) == (status, word)
    (entity,) = batch.entities.values()
    assert entity.is_final is is_final


def test_an_invoice_without_a_status_is_malformed() -> None:
    assert "$.status" in refusal_of(invoice(status=None))


def test_an_object_that_is_not_what_the_type_says_is_malformed() -> None:
    refusal = refusal_of(told("invoice.updated", {"object": "invoice_payment", "id": "p"}))
    assert refusal.startswith("malformed: ")


def test_an_invoice_its_order_and_its_payments_share_a_group() -> None:
    payment = {"object": "invoice_payment", "id": "p", "invoice_id": "inv_1", "status": "pending"}
    batches = (
        invoice(commerce_order_id="order_1"),
        order(id="order_1", status="placed", invoice_id="inv_1"),
        told("invoice_payment.created", payment),
    )
    assert {event_of(batch).group for batch in batches} == {"inv_1"}


def test_an_order_is_read_in_both_spellings() -> None:
    snake = {
        "id": "order_1",
        "invoice_id": "inv_1",
        "customer_id": "cust_1",
        "wallet_address": "0x1",
        "wallet_network": "bsc",
    }
    camel = {
        "orderId": "order_1",
        "invoiceId": "inv_1",
        "customerId": "cust_1",
        "walletAddress": "0x1",
        "walletNetwork": "bsc",
    }
    for form in (snake, camel):
        event = event_of(order(status="placed", total="99.99", **form))
        assert (event.entity_id, event.group) == ("order_1", "inv_1")
        assert event.purchase == Purchase(
            status="processing",
            provider_status="placed",
            invoice_id="inv_1",
            customer_ref=KEYS.hashed("cust_1"),
            total=Money(Decimal("99.99"), "USD"),
            network="bsc",
            address="0x1",
        )


def test_an_order_without_an_id_is_malformed() -> None:
    assert "$.id" in refusal_of(order(status="placed"))


def test_a_fact_has_one_id_by_socket_and_webhook() -> None:
    paid = {"object": "invoice", "id": "i", "status": "paid"}
    paths = (Via.SOCKET, Via.WEBHOOK)
    ids = {event_of(told("invoice.updated", paid, via=via)).id for via in paths}
    assert ids == {"pepay/main/evt_1734780200000-1"}


def test_the_environment_is_the_accounts_and_not_the_payloads() -> None:
    assert event_of(invoice(environment="mainnet")).environment == "sandbox"


def test_a_webhook_proves_nothing_where_we_hold_no_key() -> None:
    paid = {"object": "invoice", "id": "i", "status": "paid", "environment": "devnet"}
    event = event_of(told("invoice.updated", paid, via=Via.WEBHOOK))
    assert (event.authority, event.evidence.verified) == (Authority.BEST_EFFORT, "tls")


def test_play_money_at_the_endpoint_of_real_money_is_rejected_whole() -> None:
    paid = {"object": "invoice", "id": "i", "status": "paid", "environment": "mainnet"}
    assert refusal_of(told("invoice.updated", paid, via=Via.WEBHOOK)) == (
        "invalid_value: $.data.object.environment: expected devnet, found another"
    )

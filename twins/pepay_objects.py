"""Pepay's objects as its events show them: orders, invoices and payments of one purchase.

https://docs-alpha.pepay.io/api-reference/events/list-events (long forms)
https://docs-alpha.pepay.io/api-spec/webhook-events (short forms)
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from twins.chance import falls
from twins.notation import plain

MILLIS = Decimal("0.001")
EXPIRES_AFTER_S = 1800
TOKENS = ("USDC", "USDT")


@dataclass(slots=True)
class Purchase:
    """What one buyer does; the steps change it and say what is told."""

    dice: Random
    steps: list[str]
    order: str
    invoice: str
    customer: str
    wallet: str
    network: str
    total: Decimal
    is_short: bool  # invoices in the short form
    in_seconds: bool  # times as unix seconds
    has_order: bool
    status: str = ""  # of the invoice
    began: int = 0  # ms
    paid: Decimal = Decimal("0.000")
    last_payment: int = 0
    settled: int = 0
    payment: str = ""
    attempt: Decimal = Decimal("0.000")


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of one object."""

    type: str
    entity: str
    content: dict[str, Any]
    money: dict[str, str]
    previous: dict[str, Any]


def order(purchase: Purchase, status: str, ms: int, substatus: str | None = None) -> Change:
    """Return the commerce order in a new status, at times with the names that REST uses."""
    first = status == "processing" and substatus is None
    kind = "commerce.order.created" if first else "commerce.order.updated"
    total = plain(purchase.total)
    if not first and falls(purchase.dice, 0.15):
        content, told = _order_in_camel_case(purchase, status, total, ms), True
    else:
        content, told = _order_in_snake_case(purchase, status, substatus), first
        if first:
            content |= _order_particulars(purchase, total)
    money = {"total": str(total), "currency": "usd"} if told else {}
    return Change(kind, purchase.order, content, money, {})


def _order_in_snake_case(purchase: Purchase, status: str, substatus: str | None) -> dict[str, Any]:
    return {
        "object": "commerce_order",
        "id": purchase.order,
        "status": status,
        "invoice_id": purchase.invoice,
        "substatus": substatus,
        "environment": "devnet",
    }


def _order_particulars(purchase: Purchase, total: Decimal) -> dict[str, Any]:
    return {
        "customer_id": purchase.customer,
        "wallet_address": purchase.wallet,
        "wallet_network": purchase.network,
        "retailer": "amazon",
        "total": total,
    }


def _order_in_camel_case(
    purchase: Purchase, status: str, total: Decimal, ms: int
) -> dict[str, Any]:
    return {
        "object": "commerce_order",
        "orderId": purchase.order,
        "invoiceId": purchase.invoice,
        "status": status,
        "networkEnvironment": "devnet",
        "walletAddress": purchase.wallet,
        "walletNetwork": purchase.network,
        "total": total,
        "updatedAt": ms // 1000,
    }


def invoice(purchase: Purchase, status: str, ms: int) -> Change:
    """Return the invoice in a new status, in its long or its short form."""
    was, purchase.status = purchase.status, status
    kind = "invoice.updated" if was else "invoice.created"
    purchase.settled = ms if status == "paid" else 0
    previous = {"status": was} if was and falls(purchase.dice, 0.5) else {}
    if purchase.is_short:
        amount = plain(purchase.total)
        money = {"amount": str(amount), "currency": "usd"}
        return Change(kind, purchase.invoice, _short(purchase, status, amount), money, previous)
    content = _long(purchase, status)
    money = {
        "amount": content["amount_decimal"],
        "paid": content["amount_paid_decimal"],
        "remaining": content["amount_remaining_decimal"],
        "currency": "usd",
    }
    return Change(kind, purchase.invoice, content, money, previous)


def _short(purchase: Purchase, status: str, amount: Decimal) -> dict[str, Any]:
    content = {
        "object": "invoice",
        "id": purchase.invoice,
        "status": status,
        "amount_usd": amount,
        "environment": "devnet",
    }
    if purchase.settled:
        content["paid_at"] = _time(purchase, purchase.settled)
    return content


def _long(purchase: Purchase, status: str) -> dict[str, Any]:
    sums = {"": purchase.total, "_paid": purchase.paid}
    sums["_remaining"] = purchase.total - purchase.paid
    amounts: dict[str, Any] = {}
    for name, amount in sums.items():
        amounts[f"amount{name}"] = int(amount / MILLIS)
        amounts[f"amount{name}_decimal"] = f"{amount:.3f}"
    return {
        "object": "invoice",
        "id": purchase.invoice,
        "merchant_id": 123,
        "status": status,
        "invoice_type": "commerce" if purchase.has_order else "standard",
        "currency": "usd",
        **amounts,
        "amount_unit": "usd_millis",
        "customer_id": purchase.customer,
        "payer_wallet_address": purchase.wallet if purchase.paid else None,
        "payer_wallet_network": purchase.network if purchase.paid else None,
        "commerce_order_id": purchase.order if purchase.has_order else None,
        "environment": "devnet",
        "expires_at": _time(purchase, purchase.began + EXPIRES_AFTER_S * 1000),
        "created_at": _time(purchase, purchase.began),
        "paid_at": _time(purchase, purchase.settled),
        "last_payment_at": _time(purchase, purchase.last_payment),
        "metadata": {},
    }


def payment(purchase: Purchase, status: str) -> Change:
    """Return the payment under way in a new status."""
    amount = plain(purchase.attempt)
    content: dict[str, Any] = {
        "object": "invoice_payment",
        "id": purchase.payment,
        "invoice_id": purchase.invoice,
        "status": status,
        "amount_usd": amount,
    }
    if status != "pending":
        content["payment_network"] = purchase.network
        content["token"] = purchase.dice.choice(TOKENS)
        content["transaction_hash"] = f"0x{purchase.dice.getrandbits(256):064x}"
    content["environment"] = "devnet"
    kind = "invoice_payment.created" if status == "pending" else "invoice_payment.updated"
    money = {"amount": str(amount), "currency": "usd"}
    return Change(kind, purchase.payment, content, money, {})


def _time(purchase: Purchase, ms: int) -> int | str | None:
    if not ms:
        return None
    if purchase.in_seconds:
        return ms // 1000
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

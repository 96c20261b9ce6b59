"""Pepay's books: an event's own id is its identity. https://docs-alpha.pepay.io"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from penstock.readings.telling import Again, Expected, Shown, Telling

_PAYLOAD: Final = {"commerce": "purchase", "invoice": "invoice", "invoice_payment": "payment"}
_FIELDS: Final = ("amount", "paid", "remaining", "total")
_RANK: Final = {
    "unpaid": 0,
    "underpaid": 1,
    "pending": 1,
    "processing": 2,
    "placed": 2,
    "shipped": 2,
    "confirmed": 2,
    "paid": 3,
    "expired": 3,
    "settled": 3,
    "delivered": 3,
    "fulfilled": 3,
    "cancelled": 3,
    "failed": 3,
    "refunded": 4,
}


# https://docs-alpha.pepay.io/api-reference/events/list-events
_LISTED: Final = Again(Shown.EACH)


def expected(told: Telling) -> Expected:
    payload = _PAYLOAD[told.type.partition(".")[0]]
    currency = told.money.get("currency", "").upper()
    amounts = {f: (Decimal(told.money[f]), currency) for f in _FIELDS if f in told.money}
    ms, _, n = told.key[0].removeprefix("evt_").partition("-")
    return Expected(
        event_id="/".join(("pepay", told.account, *told.key)),
        payload=payload,
        status=told.status,
        amounts=amounts,
        entity=f"pepay/{told.account}/{payload}/{told.entity}",
        order_key=((int(ms), int(n)), _RANK[told.status]),
        again=_LISTED,
        posted=_posted(payload, told.status, amounts),
    )


def _posted(
    payload: str, status: str, amounts: Mapping[str, tuple[Decimal, str]]
) -> Mapping[str, tuple[Decimal, str]]:
    """Money is what an invoice says was paid, also one that expired underpaid."""
    match payload, status:
        case "invoice", "paid":
            # The short form tells the amount alone, and a paid invoice is paid whole.
            return {"invoice.paid/paid": amounts.get("paid", amounts["amount"])}
        case "invoice", "expired" if "paid" in amounts:
            return {"invoice.expired/paid": amounts["paid"]}
        case "payment", "settled":
            return {"payment.completed/amount": amounts["amount"]}
        case _:
            return {}

"""Pepay's books: an event's own id is its identity. https://docs-alpha.pepay.io"""

from decimal import Decimal
from typing import Final

from penstock.readings.telling import Expected, Telling

_PAYLOAD: Final = {"commerce": "purchase", "invoice": "invoice", "invoice_payment": "payment"}
_FIELDS: Final = ("amount", "paid", "remaining", "total")


def expected(told: Telling) -> Expected:
    currency = told.money.get("currency", "").upper()
    return Expected(
        event_id="/".join(("pepay", told.account, *told.key)),
        payload=_PAYLOAD[told.type.partition(".")[0]],
        status=told.status,
        amounts={f: (Decimal(told.money[f]), currency) for f in _FIELDS if f in told.money},
    )

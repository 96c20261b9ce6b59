"""AssetPay's books: trades by when they changed, fundings by the hash of their transaction.

https://assetpay.gg/docs
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from penstock.readings.telling import Again, Expected, Shown, Telling

_FIELDS: Final = {
    "totalPrice": "gross",
    "preCredit": "credited_now",
    "pendingCredit": "credited_later",
    "amounts.usd": "gross",
    "creditedUsd": "credited_now",
    "overpaymentUsd": "overpayment",
}
_NOT_IN_THE_LEDGER: Final = frozenset({"credited_now", "overpayment"})
_RANK: Final[Mapping[str, Mapping[str, int]]] = {
    "trade": {
        "initiated": 0,
        "pending": 1,
        "active": 2,
        "hold": 3,
        "completed": 4,
        "failed": 4,
        "declined": 4,
        "canceled": 4,
        "reverted": 5,
    },
    "funding": {
        "INITIATED": 0,
        "PENDING": 1,
        "PENDING_ADMIN": 1,
        "APPROVED": 2,
        "COMPLETED": 3,
        "REJECTED": 3,
        "FAILED": 3,
        "CANCELLED": 3,
        "EXPIRED": 3,
        "REFUNDED": 4,
    },
}
_FINAL: Final = {"trade": 4, "funding": 3}
"""The rank from which on an entity is not looked up any more."""
# https://github.com/assetpaygg/assetpay-sdk: modules/trades.ts knows any trade by its id, and
# lists none of end users; modules/wallet.ts lists the merchant's own money.
_AGAIN: Final = {"trade": Again(Shown.KNOWN), "funding": Again(Shown.STANDING)}
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")


def expected(told: Telling) -> Expected:
    kind, entity, status, version = told.key
    # Two generations differ in case alone: each kind is named as its own page spells it.
    folded = status.lower() if kind == "trade" else status.upper()
    rank = _RANK[kind][folded]
    return Expected(
        event_id=f"assetpay/{told.account}/{kind}/{entity}/{folded}/{version}",
        payload="transfer",
        status=told.status,
        amounts={
            field: (Decimal(told.money[word]), "USD")
            for word, field in _FIELDS.items()
            if word in told.money
        },
        by_some_paths=frozenset() if kind == "trade" else _NOT_IN_THE_LEDGER,
        entity=f"assetpay/{told.account}/{kind}/{entity}",
        order_key=(_micros(version) if kind == "trade" else (), rank),
        is_final=rank >= _FINAL[kind],
        again=_AGAIN[kind],
    )


def _micros(moment: str) -> tuple[int]:
    return ((datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1),)

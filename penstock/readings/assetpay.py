"""AssetPay's books: trades by when they changed, fundings by the hash of their transaction.

https://assetpay.gg/docs
"""

from decimal import Decimal
from typing import Final

from penstock.readings.telling import Expected, Telling

_FIELDS: Final = {
    "totalPrice": "gross",
    "preCredit": "credited_now",
    "pendingCredit": "credited_later",
    "amounts.usd": "gross",
    "creditedUsd": "credited_now",
    "overpaymentUsd": "overpayment",
}
_NOT_IN_THE_LEDGER: Final = frozenset({"credited_now", "overpayment"})


def expected(told: Telling) -> Expected:
    kind, entity, status, version = told.key
    # Two generations differ in case alone: each kind is named as its own page spells it.
    folded = status.lower() if kind == "trade" else status.upper()
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
    )

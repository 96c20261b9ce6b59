"""Transak's books: an order, its status and when it was updated. https://docs.transak.com"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from penstock.readings.telling import Again, Expected, Shown, Telling

_FIELDS: Final = {
    "fiatAmount": ("fiat", "fiatCurrency"),
    "amountPaid": ("paid", "fiatCurrency"),
    "cryptoAmount": ("crypto", "cryptoCurrency"),
    "totalFeeInFiat": ("fees/totalFeeInFiat", "fiatCurrency"),
    "partnerFeeInLocalCurrency": ("fees/partnerFeeInLocalCurrency", "fiatCurrency"),
}
_RANK: Final = {
    "AWAITING_PAYMENT_FROM_USER": 0,
    "PAYMENT_DONE_MARKED_BY_USER": 1,
    "PROCESSING": 2,
    "PENDING_DELIVERY_FROM_TRANSAK": 3,
    "ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK": 3,
    "COMPLETED": 4,
    "EXPIRED": 4,
    "FAILED": 4,
    "DECLINED": 4,
    "CANCELLED": 4,
    "REFUNDED": 5,
}
_POSTED: Final = {"COMPLETED": ("paid", "crypto"), "REFUNDED": ("paid",)}
# https://docs.transak.com/reference/get-orders
_LISTED: Final = Again(Shown.STANDING)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")


def expected(told: Telling) -> Expected:
    order_id, status, changed_at = told.key
    amounts = {
        field: (Decimal(told.money[word]), told.money[currency])
        for word, (field, currency) in _FIELDS.items()
        if word in told.money
    }
    since = datetime.fromisoformat(changed_at) - _EPOCH
    return Expected(
        event_id="/".join(("transak", told.account, "order", *told.key)),
        payload="conversion",
        status=status,
        amounts=amounts,
        entity=f"transak/{told.account}/conversion/{order_id}",
        order_key=((since // timedelta(microseconds=1),), _RANK[status]),
        again=_LISTED,
        posted=_posted(told, amounts),
    )


def _posted(
    told: Telling, amounts: Mapping[str, tuple[Decimal, str]]
) -> Mapping[str, tuple[Decimal, str]]:
    side = told.money["isBuyOrSell"].lower()
    return {
        f"conversion.{told.status.lower()}/{side}/{field}": amounts[field]
        for field in _POSTED.get(told.status, ())
    }

"""Transak's books: an order, its status and when it was updated. https://docs.transak.com"""

from decimal import Decimal
from typing import Final

from penstock.readings.telling import Expected, Telling

_FIELDS: Final = {
    "fiatAmount": ("fiat", "fiatCurrency"),
    "amountPaid": ("paid", "fiatCurrency"),
    "cryptoAmount": ("crypto", "cryptoCurrency"),
    "totalFeeInFiat": ("fees/totalFeeInFiat", "fiatCurrency"),
    "partnerFeeInLocalCurrency": ("fees/partnerFeeInLocalCurrency", "fiatCurrency"),
}


def expected(told: Telling) -> Expected:
    return Expected(
        event_id="/".join(("transak", told.account, "order", *told.key)),
        payload="conversion",
        status=told.status,
        amounts={
            field: (Decimal(told.money[word]), told.money[currency])
            for word, (field, currency) in _FIELDS.items()
            if word in told.money
        },
    )

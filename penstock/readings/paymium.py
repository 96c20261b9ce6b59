"""Paymium's books: an order in one state, time and fill; what it booked; a merchant's payment.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from penstock.readings.telling import Expected, Telling

# Type of the books → payload, and field of the payload → (words for the amount, currency).
_PAYLOAD: Final = {
    "order": "order",
    "transfer": "transfer",
    "account_operation": "posting",
    "payment": "invoice",
    "trade": "market_trade",
}
_FIELDS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "order": {
        "quantity": ("amount", "btc"),
        "filled_quantity": ("traded_btc", "btc"),
        "filled_amount": ("traded_currency", "currency"),
        "fees/btc_fee": ("btc_fee", "btc"),
        "fees/currency_fee": ("currency_fee", "currency"),
    },
    "account_operation": {"amount": ("operation_amount", "currency")},
    "trade": {"price": ("price", "currency"), "quantity": ("traded_btc", "btc")},
    "payment": {"amount": ("payment_amount", "currency"), "crypto": ("btc_amount", "btc")},
}


def expected(told: Telling) -> Expected:
    # A transfer is an order to Paymium, and has the identity of one.
    kind = "order" if told.type == "transfer" else told.type
    # Everybody's trades are told to everybody.
    account = "public" if told.type == "trade" else told.account
    return Expected(
        event_id="/".join(("paymium", account, kind, *told.key)),
        payload=_PAYLOAD[told.type],
        status=told.status,
        amounts=_moved(told) if told.type == "transfer" else _amounts(told),
    )


def _amounts(told: Telling) -> Mapping[str, tuple[Decimal, str]]:
    return {
        field: (Decimal(told.money[word]), told.money[currency])
        for field, (word, currency) in _FIELDS[told.type].items()
        if word in told.money
    }


def _moved(told: Telling) -> Mapping[str, tuple[Decimal, str]]:
    """Return what a transfer moved, in its own currency; the sign is its direction."""
    currency = told.money["currency"]
    amount = told.money.get("currency_amount") or told.money["amount"]
    fee = told.money["btc_fee" if currency == "BTC" else "currency_fee"]
    return {"gross": (abs(Decimal(amount)), currency), "fee": (Decimal(fee), currency)}

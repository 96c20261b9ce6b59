"""Paymium's books: an order in one state, time and fill; what it booked; a merchant's payment.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from penstock.readings.telling import Again, Expected, Shown, Telling

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

_RANK: Final[Mapping[str, Mapping[str, int]]] = {
    "order": {
        "pending_execution": 0,
        "pending": 1,
        "pending_collection": 1,
        "authorized": 1,
        "processing": 2,
        "active": 2,
        "filled": 4,
        "executed": 4,
        "canceled": 4,
        "expired": 4,
    },
    "payment": {
        "pending_payment": 0,
        "processing": 1,
        "paid": 2,
        "error": 2,
        "expired": 2,
        "btc_forwarded": 3,
    },
}
_PARTLY_FILLED: Final = 3
_FINAL: Final = {"order": 4, "payment": 2}
# Lists of a run's length: recent orders and transfers, a week of trades. An order carries all
# that it booked; a payment is known by its uuid alone.
_AGAIN: Final = {
    "order": Again(Shown.STANDING),
    "transfer": Again(Shown.STANDING),
    "account_operation": Again(Shown.EACH),
    "trade": Again(Shown.EACH),
    "payment": Again(Shown.KNOWN),
}
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")


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
        entity=f"paymium/{account}/{kind}/{told.entity}" if kind in _RANK else "",
        order_key=(version := _version(kind, told), rank := _rank(kind, told.status, version)),
        is_final=rank >= _FINAL.get(kind, 0),
        again=_AGAIN[told.type],
    )


def _version(kind: str, told: Telling) -> tuple[int, ...]:
    """Return when it changed, in µs, and of an order the traded satoshis."""
    if kind not in _RANK:
        return ()
    since = datetime.fromisoformat(told.key[2]) - _EPOCH
    traded = Decimal(told.money["traded_btc"] if kind == "order" else 0)
    return since // timedelta(microseconds=1), int(traded.scaleb(8))


def _rank(kind: str, status: str, version: tuple[int, ...]) -> int:
    if status == "active" and version[1]:
        return _PARTLY_FILLED
    return _RANK.get(kind, {}).get(status, 0)


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

"""SatoriEx's books: each key is an identity, prices are basis points of one USDC a share.

https://satoriex.io/en/docs/api
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from penstock.readings.telling import Expected, Telling

_PAYLOAD: Final = {
    "trade": "market_trade",
    "order": "order",
    "order_update": "order",
    "order_filled": "order",
    "settlement": "settlement",
    "market_resolved": "settlement",
    "comment": "notice",
    "mention": "notice",
    "proposal_approved": "notice",
    "proposal_rejected": "notice",
    "dispute_filed": "notice",
}
"""All others are transfers."""

_FIELDS: Final = {"price": "price", "quantity": "quantity", "filled_quantity": "filled_quantity"}
_FIELDS_OF_A_FILL: Final = {"price": "last_price", "quantity": "last_quantity"}


def expected(told: Telling) -> Expected:
    payload = _PAYLOAD.get(told.type, "transfer")
    return Expected(
        event_id="/".join(("satoriex", told.account, *told.key)),
        payload=payload,
        # A deposit has no status of its own on the socket, and one in the list of REST.
        status=told.status or None,
        amounts=dict(_amounts(told.type, told.money)),
    )


def _amounts(kind: str, money: Mapping[str, str]) -> list[tuple[str, tuple[Decimal, str]]]:
    fields = _FIELDS_OF_A_FILL if kind == "order_filled" else _FIELDS
    told = [(field, _exact(word, money[word])) for word, field in fields.items() if word in money]
    if "amount" in money:
        told.append(("gross", (Decimal(money["amount"]), "USDC")))
    return told


def _exact(word: str, digits: str) -> tuple[Decimal, str]:
    if word == "price":
        return Decimal(digits) / 10_000, "USDC"
    return Decimal(digits), "SHARES"

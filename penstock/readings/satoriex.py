"""SatoriEx's books: each key is an identity, prices are basis points of one USDC a share.

https://satoriex.io/en/docs/api
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from penstock.readings.telling import Again, Expected, Shown, Telling

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


_ENTITY: Final = {"order_update": "order"}
"""A fill is told apart from its order."""
_RANK: Final = {
    "open": 1,
    "approved": 1,
    "partial": 2,
    "submitted": 2,
    "filled": 3,
    "cancelled": 3,
    "rejected": 3,
    "confirmed": 3,
    "failed": 3,
}
_ORDERS: Final = ("order", "order_update")
_ROWS: Final = 50
"""No page says how far back its lists reach, or whether they have an end: assumed."""
_FINAL: Final = ("deposit_confirmed", "referral_bonus")
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")


def expected(told: Telling) -> Expected:
    since = datetime.fromisoformat(told.money["at"]) - _EPOCH
    payload = _PAYLOAD.get(told.type, "transfer")
    return Expected(
        event_id="/".join(("satoriex", told.account, *told.key)),
        payload=payload,
        status=_status(told),
        amounts=dict(_amounts(told.type, told.money)),
        entity=_entity(told) if payload in {"order", "transfer"} else "",
        order_key=((since // timedelta(microseconds=1),), _rank(told)),
        again=_again(told),
    )


def _status(told: Telling) -> str:
    """Return the word of an order; of a transfer, the type that says what became of it."""
    match _PAYLOAD.get(told.type, "transfer"):
        case "order":
            return told.status
        case "transfer":
            return told.type
        case _:
            return ""


def _entity(told: Telling) -> str:
    kind = "withdrawal" if told.type.startswith("withdraw_") else told.type
    return f"satoriex/{told.account}/{_ENTITY.get(kind, kind)}/{told.entity}"


def _again(told: Telling) -> Again | None:
    """Return which list of REST shows it; fills, bonuses, outcomes and words are on none."""
    if told.type == "trade":
        return Again(Shown.EACH, f"{told.account}/trades/{told.entity}", _ROWS)
    if told.type in _ORDERS:
        return Again(Shown.STANDING, f"{told.account}/orders", _ROWS)
    if told.type == "deposit_confirmed" or told.type.startswith("withdraw_"):
        return Again(Shown.STANDING, f"{told.account}/transactions", _ROWS)
    return None


def _rank(told: Telling) -> int:
    return 3 if told.type in _FINAL else _RANK.get(told.status, 0)


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

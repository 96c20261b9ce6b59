"""SatoriEx's messages, broken so that no correct reader can accept them, whatever they tell."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twins.books import Fact

Body = dict[str, Any]


def _edited(**changes: object) -> Callable[[str, Body], str]:
    return lambda kind, body: json.dumps({"type": kind, **body, **changes})


def _without(name: str) -> Callable[[str, Body], str]:
    def without(kind: str, body: Body) -> str:
        return json.dumps({key: body[key] for key in body if key != name} | {"type": kind})

    return without


def _truncated(kind: str, body: Body) -> str:
    text = json.dumps({"type": kind, **body})
    return text[: len(text) // 2]


def _negated(kind: str, body: Body) -> str:
    return json.dumps({"type": kind, **body, "amount": f"-{body['amount']}"})


DAMAGES: Mapping[str, Callable[[str, Body], str]] = {
    "truncated": _truncated,
    "no type": lambda _, body: json.dumps(body),
    "type is a number": lambda _, body: json.dumps({"type": 7, **body}),
    "a list": lambda kind, body: json.dumps([kind, body]),
    "price above a share": _edited(price=12000),
    "fractional price": _edited(price=4200.5),
    "no such side": _edited(side=3),
    "negative quantity": _edited(quantity=-100),
    "quantity above 64 bits": _edited(quantity=2**63),
    "no status": _without("status"),
    "order id is a number": _edited(order_id=7),
    "no market": _without("market_id"),
    "negative amount": _negated,
    "amount is no number": _edited(amount="NaN"),
}

ANY = ("truncated", "no type", "type is a number", "a list")
PRICED = ("price above a share", "fractional price", "no such side", "negative quantity")
FUNDS = ("negative amount", "amount is no number")
OF_TYPE: Mapping[str, tuple[str, ...]] = {
    "trade": (*PRICED, "quantity above 64 bits", "no market"),
    "order": (*PRICED, "quantity above 64 bits", "no status", "order id is a number"),
    "order_update": ("no status", "order id is a number"),
    "order_filled": (*PRICED, "order id is a number"),
    "settlement": ("no market",),
    "market_resolved": ("no market",),
    "deposit_confirmed": FUNDS,
    "referral_bonus": FUNDS,
}


def damages_of(fact: Fact) -> Sequence[str]:
    """Return the damages that are certain to matter for this kind of message."""
    default = FUNDS if fact.type.startswith("withdraw_") else ()
    return (*ANY, *OF_TYPE.get(fact.type, default))


def damaged(name: str, fact: Fact) -> str:
    return DAMAGES[name](fact.type, json.loads(fact.body))

"""Pepay's frames, broken so that no correct reader can accept them, whatever the event was."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from twins.books import Fact


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def edited(body: str) -> str:
        event = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode(body)
        change(event)
        return msgspec.json.Encoder(decimal_format="number").encode(event).decode()

    return edited


def _negate(event: dict[str, Any]) -> None:
    content = event["data"]["object"]
    if "amount_usd" in content:
        content["amount_usd"] = -content["amount_usd"]
    else:
        content["amount"] = -content["amount"]
        content["amount_decimal"] = "-" + content["amount_decimal"]


def _spoil_amount(event: dict[str, Any]) -> None:
    content = event["data"]["object"]
    content["amount_usd" if "amount_usd" in content else "amount"] = msgspec.Raw(b"NaN")


DAMAGES: Mapping[str, Callable[[str], str]] = {
    "truncated": lambda body: body[: len(body) // 2],
    "no id": _edited(lambda event: event.pop("id")),
    "id is a number": _edited(lambda event: event.update(id=event["created"])),
    "no data": _edited(lambda event: event.pop("data")),
    "object is a list": _edited(lambda event: event["data"].update(object=[])),
    "negative amount": _edited(_negate),
    "not a number": _edited(_spoil_amount),
    "amounts disagree": _edited(lambda event: event["data"]["object"].update(amount=1)),
}


def damages_of(fact: Fact) -> Sequence[str]:
    """Return the damages that are certain to matter for this kind of event."""
    of_any = ("truncated", "no id", "id is a number", "no data", "object is a list")
    if not fact.type.startswith("invoice"):
        return of_any
    disagree = ("amounts disagree",) if "paid" in fact.money else ()
    return (*of_any, "negative amount", "not a number", *disagree)

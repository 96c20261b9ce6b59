"""AssetPay's frames, broken so that no correct reader can accept them, whatever they told."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from twins.books import Fact

INSIDE = {"trade": "trade", "deposit": "funding", "withdrawal": "funding"}
"""Event → the member of its argument that holds the object."""


def frame(fact: Fact, body: str | None = None) -> str:
    """Return the packet that tells a fact, or another object in its place."""
    content = fact.body if body is None else body
    return f'42["{fact.type}",{{"{INSIDE[fact.type]}":{content}}}]'


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Fact], str]:
    def edited(fact: Fact) -> str:
        content = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode(fact.body)
        change(content)
        return frame(fact, msgspec.json.Encoder(decimal_format="number").encode(content).decode())

    return edited


def _cut(fact: Fact) -> str:
    text = frame(fact)
    return text[: len(text) // 2]


def _negative(content: dict[str, Any]) -> None:
    if "totalPrice" in content:
        content["totalPrice"] = -content["totalPrice"]
    else:
        content["amounts"]["usd"] = "-" + content["amounts"]["usd"]


def _not_a_number(content: dict[str, Any]) -> None:
    if "totalPrice" in content:
        content["totalPrice"] = msgspec.Raw(b"NaN")
    else:
        content["amounts"]["usd"] = "12,50"


OF_ANY: Mapping[str, Callable[[Fact], str]] = {
    "truncated": _cut,
    "empty array": lambda _: "42[]",
    "no payload": lambda fact: f'42["{fact.type}"]',
    "not an array": lambda fact: f"42{fact.body}",
    "null": lambda fact: frame(fact, "null"),
    "no id": _edited(lambda content: content.pop("id")),
    "id is a number": _edited(lambda content: content.update(id=7)),
    "no status": _edited(lambda content: content.pop("status")),
    "negative amount": _edited(_negative),
    "not a number": _edited(_not_a_number),
}
OF_A_TRADE: Mapping[str, Callable[[Fact], str]] = {
    "no updatedAt": _edited(lambda content: content.pop("updatedAt")),
    "time is a word": _edited(lambda content: content.update(updatedAt="yesterday")),
    "items is an object": _edited(lambda content: content.update(items={})),
    "unknown type": _edited(lambda content: content.update(type="swap")),
}


def damages_of(fact: Fact) -> Mapping[str, Callable[[Fact], str]]:
    """Return the damages that are certain to matter for this kind of fact."""
    return {**OF_ANY, **OF_A_TRADE} if fact.type == "trade" else OF_ANY

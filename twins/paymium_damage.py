"""Paymium's frames, broken so that no correct reader can accept them, whatever was told."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from twins.books import Fact
from twins.paymium_lifecycle import PAYMENT


def _stream(content: str) -> str:
    """Return the frame that tells an order, or a payment, which only the older envelope has."""
    if '"payment_split":' in content:
        return f'42/user,["stream",{{"event":"payment","payload":{content}}}]'
    return f'42/user,["stream",{{"orders":[{content}]}}]'


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def edited(body: str) -> str:
        content = msgspec.json.decode(body)
        change(content)
        return _stream(msgspec.json.encode(content).decode())

    return edited


def _beside_a_balance(body: str) -> str:
    broken = _edited(lambda order: order.pop("uuid"))(body)
    return broken.replace("]}]", '],"balance_eur":"410.04"}]')


DAMAGES: Mapping[str, Callable[[str], str]] = {
    "truncated": lambda body: _stream(body)[: -len(body) // 2],
    "no comma": lambda body: _stream(body).replace("/user,", "/user", 1),
    "no uuid": _edited(lambda content: content.pop("uuid")),
    "no state": _edited(lambda content: content.pop("state")),
    "not a time": _edited(lambda content: content.update(updated_at="02/11/2015")),
    "NaN": _edited(lambda content: content.update(btc_amount=msgspec.Raw(b"NaN"))),
    "not a number": _edited(lambda content: content.update(traded_btc="NaN")),
    "negative": _edited(lambda content: content.update(traded_btc="-1")),
    "too many digits": _edited(lambda content: content.update(traded_btc="9" * 60)),
    "no uuid beside a balance": _beside_a_balance,
}
OF_ANY = ("truncated", "no comma", "no uuid", "no state", "not a time", "NaN")


def damages_of(fact: Fact) -> Sequence[str]:
    """Return the damages that are certain to matter for this kind of fact."""
    return OF_ANY if fact.type == PAYMENT else tuple(DAMAGES)

"""Transak's frames, broken so that no correct reader can accept them, whatever the order was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jwt
import msgspec

from twins.books import Fact

OTHER_KEY = "a-key-that-belongs-to-somebody-else-entirely"
LONG_AGO = 1_700_000_000

_jws = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Spoiler:
    """What a damaged frame is made from."""

    fact: Fact
    channel: str
    key: str  # that a proper frame would be signed with

    def frame(self, content: str) -> str:
        """Return the Pusher frame with this text as `data`."""
        parts = {"event": self.fact.type, "channel": self.channel, "data": content}
        return msgspec.json.encode(parts).decode()

    def signed(self, body: str, key: str | None = None, algorithm: str = "HS256") -> str:
        return _jws.encode(body.encode(), key or self.key, algorithm)

    def edited(self, change: Callable[[dict[str, Any]], object]) -> str:
        """Return the order's JSON after a change."""
        order = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode(self.fact.body)
        change(order)
        return msgspec.json.Encoder(decimal_format="number").encode(order).decode()


def _truncated(it: Spoiler) -> str:
    text = it.frame(it.fact.body)
    return text[: len(text) // 2]


def _no_id(order: dict[str, Any]) -> None:
    order.pop("id", None)
    order.pop("_id", None)


def _negative(order: dict[str, Any]) -> None:
    order["fiatAmount"] = -order["fiatAmount"]


def _not_a_number(order: dict[str, Any]) -> None:
    order["fiatAmount"] = msgspec.Raw(b"NaN")


def _no_status(order: dict[str, Any]) -> None:
    del order["status"]


def _other_signature(it: Spoiler) -> str:
    """Return the frame with the first character of the signature changed: six certain bits."""
    claims, _, signature = it.signed(it.fact.body).rpartition(".")
    first = "A" if signature[0] != "A" else "B"
    return it.frame(f"{claims}.{first}{signature[1:]}")


def _altered_claims(it: Spoiler) -> str:
    head, _, signature = it.signed(it.fact.body).split(".")
    _, claims, _ = it.signed(it.edited(_negative)).split(".")
    return it.frame(f"{head}.{claims}.{signature}")


def _unsigned(it: Spoiler) -> str:
    return it.frame(_jws.encode(it.fact.body.encode(), "", None))


def _two_segments(it: Spoiler) -> str:
    return it.frame(it.signed(it.fact.body).rpartition(".")[0])


def _expired(it: Spoiler) -> str:
    return it.frame(it.signed(it.edited(lambda order: order.update(exp=LONG_AGO))))


def _no_order(it: Spoiler) -> str:
    return it.frame(it.signed('{"API_KEY":"twin-api-key","iat":1743772308}'))


SIGNED: Mapping[str, Callable[[Spoiler], str]] = {
    "truncated": _truncated,
    "other signature": _other_signature,
    "altered claims": _altered_claims,
    "alg none": _unsigned,
    "HS512": lambda it: it.frame(it.signed(it.fact.body, algorithm="HS512")),
    "other key": lambda it: it.frame(it.signed(it.fact.body, OTHER_KEY)),
    "two segments": _two_segments,
    "expired": _expired,
    "no order": _no_order,
    "no id": lambda it: it.frame(it.signed(it.edited(_no_id))),
    "no status": lambda it: it.frame(it.signed(it.edited(_no_status))),
    "negative amount": lambda it: it.frame(it.signed(it.edited(_negative))),
    "not a number": lambda it: it.frame(it.signed(it.edited(_not_a_number))),
    "not a token": lambda it: it.frame("not-a-token"),
}
PUBLIC: Mapping[str, Callable[[Spoiler], str]] = {
    "truncated": _truncated,
    "inner truncated": lambda it: it.frame(it.fact.body[: len(it.fact.body) // 2]),
    "no id": lambda it: it.frame(it.edited(_no_id)),
    "no status": lambda it: it.frame(it.edited(_no_status)),
    "negative amount": lambda it: it.frame(it.edited(_negative)),
    "not a number": lambda it: it.frame(it.edited(_not_a_number)),
}

"""Paymium's frames, opened: what came by the socket, and answers of REST, part by part.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from processors.envelopes import socketio
from processors.errors import Malformed
from processors.mapper import Keys, Part, Word
from schemas.records import Raw, Via


class Told(NamedTuple):
    """What the envelope says of a part."""

    word: str
    """The provider's own: a key of ``stream``, or the event of the older form."""
    account: str
    name: str = ""
    """Of what is told of many by name: a currency, a pair."""


_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_WORD: Final = msgspec.json.Decoder(Word)
_TEXT: Final = msgspec.json.Decoder(str)


def parts(raw: Raw, _: Keys) -> Iterator[Part]:
    """Yield what a frame tells, part by part, with a ``Told`` as their context.

    Raises as ``socketio`` does, ``Malformed`` if there is no payload, and
    ``msgspec.MsgspecError`` or ``UnicodeDecodeError`` if it is not JSON.
    """
    if raw.via is Via.WEBHOOK:
        # Unsigned: a reference for ingest to confirm, and nothing to tell.
        return iter(())
    raw.value.decode()  # What nobody reads is not decoded: so all of it is, once.
    if raw.via is not Via.SOCKET:
        return _answer(raw)
    emitted = socketio(raw.value)
    if not emitted.arguments:
        raise Malformed("$[1]: expected a payload, found none")
    content = emitted.arguments[0]
    match emitted.event:
        case "stream":
            return _stream(content, raw.account)
        case "announcement":
            return _each("announcement", content, "/1", Told("announcement", raw.account))
        case event:
            return iter((_older(event, content, "/1", raw.account),))


def _answer(raw: Raw) -> Iterator[Part]:
    """Yield what an answer of REST tells, row by row; its route names the call.

    https://github.com/Paymium/api-documentation (spec/openapi.yaml)
    """
    told = Told(raw.route, raw.account)
    match raw.route:
        case "orders" | "withdrawals":
            return _each("orders", raw.value, "", told)
        case "trades":
            return _each("trade", raw.value, "", told)
        case "order":
            return iter((Part("orders", raw.value, context=told),))
        case "user":
            return _balances(raw)
        case route:
            return iter((Part(route, raw.value, context=told),))


def _balances(raw: Raw) -> Iterator[Part]:
    """Yield one part for each currency of a user, of whom nothing else is told."""
    members = _MEMBERS.decode(raw.value)
    currencies = [name.removeprefix("balance_") for name in members if name.startswith("balance_")]
    for currency in currencies:
        amounts = {"available": members[f"balance_{currency}"]}
        if f"locked_{currency}" in members:
            amounts["locked"] = members[f"locked_{currency}"]
        yield Part(
            "user",
            msgspec.json.encode(amounts),
            f"/balance_{_escaped(currency)}",
            Told(raw.route, raw.account, currency),
        )


def _stream(content: bytes, account: str) -> Iterator[Part]:
    """Yield what changed, key by key; or the one part of the older envelope."""
    members = _MEMBERS.decode(content)
    if members.keys() >= {"event", "payload"}:
        event = _WORD.decode(members["event"])
        yield _older(event, bytes(members["payload"]), "/1/payload", account)
        return
    for key, value in members.items():
        yield from _keyed(key, bytes(value), account)


def _keyed(key: str, value: bytes, account: str) -> Iterator[Part]:
    pointer = f"/1/{_escaped(key)}"
    match key.partition("_"):
        case "balance" | "locked" as kind, "_", currency:
            yield Part(f"{kind}_", value, pointer, Told(key, account, currency))
        case "orders", "", _:
            yield from _each(key, value, pointer, Told(key, account))
        case "prices", "", _ if value.startswith(b"{"):
            for pair, price in _MEMBERS.decode(value).items():
                told = Told(key, account, pair)
                yield Part(key, bytes(price), f"{pointer}/{_escaped(pair)}", told)
        case _:
            yield Part(key, value, pointer, Told(key, account))


def _each(kind: str, value: bytes, pointer: str, told: Told) -> Iterator[Part]:
    """Yield the elements of a list, so that a bad one takes no other along."""
    if not value.startswith(b"["):
        yield Part(kind, value, pointer, told)
        return
    for index, element in enumerate(_ELEMENTS.decode(value)):
        yield Part(kind, bytes(element), f"{pointer}/{index}", told)


def _older(event: str, content: bytes, pointer: str, account: str) -> Part:
    """Return the part of the form that was replaced in 2015; its payload may be text.

    https://github.com/paytunia/api-documentation/blob/master/WEBSOCKETS.md
    """
    if content.startswith(b'"'):
        content = _TEXT.decode(content).encode()
    return Part(event, content, pointer, Told(event, account))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")

"""SatoriEx, a prediction market: how its frames and pages are opened, and who reads which part.

https://satoriex.io/en/docs/trading/websocket
https://satoriex.io/en/docs/api
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from processors.errors import Malformed, UnknownKind
from processors.mapper import Keys, Mapper, Part, Route
from processors.mappers.satoriex import wire
from processors.mappers.satoriex.funds import (
    MOTIONS,
    tell_position,
    tell_transaction,
    tell_transfer,
    tell_wallet,
)
from processors.mappers.satoriex.market import tell_book, tell_outcome, tell_prices, tell_trade
from processors.mappers.satoriex.notices import TOPICS, tell_notice
from processors.mappers.satoriex.orders import tell_fill, tell_order
from schemas.records import Raw, Via


class _Told(NamedTuple):
    """What the envelope says of a part."""

    type: str
    """The provider's own word: of the message, or of the call that listed it."""
    account: str
    body: bytes
    """As it came."""


# ---- opening ------------------------------------------------------------------------

_MESSAGE: Final = msgspec.json.Decoder(wire.Message)
_INNER: Final = msgspec.json.Decoder(wire.Inner)
_ANSWER: Final = msgspec.json.Decoder(wire.Answer)
_PAGE: Final = msgspec.json.Decoder(wire.Page)
_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _open(raw: Raw, _: Keys) -> Iterator[Part]:
    raw.value.decode()  # What is skipped must be text as well.
    match raw.via:
        case Via.SOCKET:
            return _socket(raw)
        case Via.POLL | Via.BACKFILL:
            return _page(raw)
    raise UnknownKind(f"satoriex has no reading of what came by {raw.via}")


def _socket(raw: Raw) -> Iterator[Part]:
    message = _MESSAGE.decode(raw.value)
    pointer, body = _body(message, raw.value)
    inner = _INNER.decode(body) if pointer else None
    kind = message.type or (inner.type if inner else None)
    if kind is None:
        raise Malformed("$.type: expected text, found none")
    told = _Told(kind, raw.account, body)
    if kind not in _KINDS and _has_levels(inner or _INNER.decode(body)):
        kind = "book"
    yield Part(kind=kind, body=_snaked(body), pointer=pointer, context=told)


def _body(message: wire.Message, whole: bytes) -> tuple[str, bytes]:
    """Return the body and where it is: in ``payload``, in ``data``, or the message itself."""
    for name, inner in (("/payload", message.payload), ("/data", message.data)):
        if bytes(inner).startswith(b"{"):
            return name, bytes(inner)
    return "", whole


def _has_levels(inner: wire.Inner) -> bool:
    """The name of a book's message is not documented; what it holds gives it away."""
    return bool(bytes(inner.bids) or bytes(inner.asks))


# Call → the kind of part that each of its rows is. A call that is not here tells one object.
_LISTS: Final = {
    "orders": "order",
    "transactions": "transaction",
    "positions": "position",
    "trades": "trade",
}
_OBJECTS: Final = {"balance": "wallet_changed", "orderbook": "book", "market": "market"}


def _page(raw: Raw) -> Iterator[Part]:
    body = bytes(_ANSWER.decode(raw.value).data)
    if raw.route not in _LISTS:
        kind = _OBJECTS.get(raw.route, raw.route)
        told = _Told(raw.route, raw.account, body)
        yield Part(kind=kind, body=_snaked(body), pointer="/data", context=told)
        return
    pointer, rows = _rows(body)
    for number, row in enumerate(rows):
        yield Part(
            kind=_LISTS[raw.route],
            body=_snaked(bytes(row)),
            pointer=f"{pointer}/{number}",
            context=_Told(raw.route, raw.account, bytes(row)),
        )


def _rows(body: bytes) -> tuple[str, list[msgspec.Raw]]:
    """Return the rows of a list, alone or inside a page of one."""
    if body.startswith(b"["):
        return "/data", _ROWS.decode(body)
    return "/data/items", _PAGE.decode(body).items


def _snaked(body: bytes) -> bytes:
    """Return an object with its camelCase names as the page spells all others.

    What is none stays as it is: its route rejects it, and not the rows beside it.
    """
    try:
        fields = _FIELDS.decode(body)
    except msgspec.MsgspecError:
        return body
    if all(name.islower() for name in fields):
        return body
    return msgspec.json.encode({_snake(name): fields[name] for name in fields})


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


# ---- the mapper ---------------------------------------------------------------------

_ORDERS: Final = Route(msgspec.json.Decoder(wire.Order), tell_order)
_OUTCOMES: Final = Route(msgspec.json.Decoder(wire.Outcome), tell_outcome)
_TRANSFERS: Final = Route(msgspec.json.Decoder(wire.Transfer), tell_transfer)
_NOTICES: Final = Route(msgspec.json.Decoder(wire.Spoken), tell_notice)

_SILENT: Final = frozenset({"error", "subscribed", "market"})

# Guesses, as all names are.
_UNREAD: Final = frozenset(
    {
        *("body", "from_user_id", "maker_order_id", "reason", "taker_order_id", "tier", "type"),
        *("user_id",),
    }
)

MAPPER: Final = Mapper(
    provider="satoriex",
    version=1,
    open=_open,
    routes={
        "trade": Route(msgspec.json.Decoder(wire.Trade), tell_trade),
        "order": _ORDERS,
        "order_update": _ORDERS,
        "order_filled": Route(msgspec.json.Decoder(wire.Fill), tell_fill),
        "settlement": _OUTCOMES,
        "market_resolved": _OUTCOMES,
        "price_update": Route(msgspec.json.Decoder(wire.Prices), tell_prices),
        "book": Route(msgspec.json.Decoder(wire.Book), tell_book),
        "wallet_changed": Route(msgspec.json.Decoder(wire.Wallet), tell_wallet),
        "position": Route(msgspec.json.Decoder(wire.Position), tell_position),
        "transaction": Route(msgspec.json.Decoder(wire.Transfer), tell_transaction),
        **dict.fromkeys(MOTIONS, _TRANSFERS),
        **dict.fromkeys(TOPICS, _NOTICES),
    },
    silent=_SILENT,
    unread=_UNREAD,
)

_KINDS: Final = MAPPER.routes.keys() | _SILENT

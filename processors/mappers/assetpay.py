"""AssetPay: trades of game items, crypto of users and of the merchant, and market listings.

https://assetpay.gg/docs/reference/types
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/realtime.ts
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/types/api.ts
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

import msgspec

from processors.envelopes import proof, socketio
from processors.errors import Malformed, UnknownKind
from processors.mapper import (
    Keys,
    Mapper,
    Part,
    Route,
    Statement,
    Wire,
    Word,
    is_same,
    micros,
    money,
    scaled,
    stake,
)
from schemas import records
from schemas.records import Listing, Money, Raw, Status, Transfer, Via
from schemas.signatures import assetpay
from schemas.times import millis_text
from schemas.topics import joined

_USD: Final = "USD"

# ---- envelopes ----------------------------------------------------------------------


class _Wrapped(Wire, frozen=True):
    """The argument of an event: what it is about, under a name of its own."""

    trade: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    funding: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_WRAPPED: Final = msgspec.json.Decoder(_Wrapped)
_INSIDE: Final = {"trade": "trade", "deposit": "funding", "withdrawal": "funding"}
"""Event → the member that holds its object; a market event is its own object."""


class _Called(Wire, frozen=True):
    """Body of a callback: what it is about, and no name of an event."""

    payload: _Wrapped | None = None
    """The older generation's, of trades alone."""
    trade: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    deposit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    withdrawal: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_CALLED: Final = msgspec.json.Decoder(_Called)
_CALLED_KIND: Final = {
    "trade": "trade",
    "deposit": "crypto_deposit",
    "withdrawal": "crypto_withdraw",
}
"""Member → kind: users' crypto there, and not the merchant's own of the socket."""


def _webhook(raw: Raw, keys: Keys) -> Iterator[Part]:
    proved = proof(raw, assetpay.signed, keys.verification)
    called = _CALLED.decode(raw.value)
    told = {name: getattr(called, name) for name in _CALLED_KIND}
    within = ""
    if called.payload is not None:
        told, within = {"trade": called.payload.trade}, "/payload"
    for name, content in told.items():
        if content is not msgspec.UNSET:
            yield Part(
                kind=_CALLED_KIND[name],
                body=bytes(content),
                pointer=f"{within}/{name}",
                context=name,
                authority=proved.authority,
                verified=proved.verified,
            )
    if all(content is msgspec.UNSET for content in told.values()):
        raise UnknownKind("assetpay has no reading of a callback about something else")


def _open(raw: Raw, keys: Keys) -> Iterator[Part]:
    match raw.via:
        case Via.SOCKET:
            return _socket(raw)
        case Via.WEBHOOK:
            return _webhook(raw, keys)
        case Via.POLL | Via.BACKFILL:
            return _page(raw)
    raise UnknownKind(f"assetpay has no reading of what came by {raw.via}")


def _socket(raw: Raw) -> Iterator[Part]:
    """Yield the first argument of an event; others may follow, and say nothing yet."""
    emitted = socketio(raw.value)
    if not emitted.arguments:
        raise Malformed("$[1]: expected an object, found none")
    body = emitted.arguments[0]
    inside = _INSIDE.get(emitted.event)
    if inside is None:
        yield Part(kind=emitted.event, body=body, pointer="/1", context=emitted.event)
        return
    content = getattr(_WRAPPED.decode(body), inside)
    if content is msgspec.UNSET:
        raise Malformed(f"$[1].{inside}: expected an object, found none")
    yield Part(
        kind=emitted.event, body=bytes(content), pointer=f"/1/{inside}", context=emitted.event
    )


class _Answer(Wire, frozen=True):
    data: msgspec.Raw


class _List(Wire, frozen=True):
    items: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_LIST: Final = msgspec.json.Decoder(_List)
_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ROW_OF: Final = {"trades": "trade", "self_trades": "trade", "ledger": "ledger"}
"""Call of REST → the kind of part that each of its rows is."""
_PAGED: Final = frozenset({"self_trades", "ledger"})
"""Calls whose rows are in ``items``; a trade, too, has items, which are no rows."""


def _page(raw: Raw) -> Iterator[Part]:
    """Open an answer of REST: a page, several trades, or the one object that was asked for."""
    kind = _ROW_OF.get(raw.route)
    if kind is None:
        raise UnknownKind("assetpay has no reading of what this call answers")
    data = bytes(_ANSWER.decode(raw.value).data)
    for place, row in _rows(data, is_paged=raw.route in _PAGED):
        yield Part(kind=kind, body=row, pointer=f"/data{place}", context=raw.route)


def _rows(data: bytes, *, is_paged: bool) -> Iterator[tuple[str, bytes]]:
    """Yield each row of an answer, and where it is."""
    listed = _LIST.decode(data).items if is_paged else msgspec.UNSET
    if data.startswith(b"["):
        yield from ((f"/{n}", bytes(row)) for n, row in enumerate(_ROWS.decode(data)))
    elif listed is not msgspec.UNSET:
        yield from ((f"/items/{n}", bytes(row)) for n, row in enumerate(listed))
    else:
        yield "", data


# ---- items --------------------------------------------------------------------------


_App = int | Annotated[str, msgspec.Meta(pattern="^[0-9]{1,10}$")]
"""A Steam application: text on a trade, a number on items and market events."""


class _Offer(Wire, frozen=True):
    price: Decimal | None = None


class _Item(Wire, frozen=True, rename="camel"):
    id: Word
    appid: _App | None = None
    name: str | None = None
    market_hash_name: str | None = None
    asset_id: str | None = None
    status: str | None = None
    error: str | None = None
    offer: _Offer | None = None


def _item(item: _Item, where: str) -> records.Item:
    return records.Item(
        id=item.id,
        name=item.market_hash_name or item.name,
        game=None if item.appid is None else str(item.appid),
        asset_id=item.asset_id,
        status=item.status,
        error=item.error,
        price=_price(item, where),
    )


def _price(item: _Item, where: str) -> Money | None:
    return money(item.offer.price if item.offer else None, _USD, f"{where}.offer.price")


# ---- trades -------------------------------------------------------------------------

# https://assetpay.gg/docs/guides/trade-lifecycle; the ranks are ours.
_TRADE_STATUS: Final[Mapping[str, tuple[Status, int]]] = {
    "initiated": (Status.CREATED, 0),
    "pending": (Status.PENDING, 1),
    "active": (Status.PROCESSING, 2),
    "hold": (Status.ON_HOLD, 3),
    "completed": (Status.COMPLETED, 4),
    "failed": (Status.FAILED, 4),
    "declined": (Status.DECLINED, 4),
    "canceled": (Status.CANCELLED, 4),
    "reverted": (Status.REVERSED, 5),
}
_TRADE_FINAL: Final = 4
_UNKNOWN: Final = (Status.UNKNOWN, 0)

_DIRECTION: Final = {"deposit": "in", "withdraw": "out"}
"""A user who deposits sells items to the merchant."""


class _Trade(Wire, frozen=True, rename="camel"):
    """The older generation spells its enums in upper case: they are folded."""

    id: Word
    type: Word
    status: Word
    updated_at: datetime
    total_price: Decimal
    items: tuple[_Item, ...]
    client_steam_id: str | None = msgspec.field(name="clientSteamID", default=None)
    external_id: str | None = None
    pre_credit: Decimal | None = None
    pending_credit: Decimal | None = None
    reverted_by: str | None = None
    error: str | None = None


def _trade(trade: _Trade, part: Part, keys: Keys) -> Iterator[Statement]:
    word = trade.status.lower()
    status, rank = _TRADE_STATUS.get(word, _UNKNOWN)
    changed_at = micros(trade.updated_at, "$.updatedAt")
    payload = _transfer_of_items(trade, status, keys)
    yield Statement(
        payload=payload,
        action=status,
        provider_type=part.context,
        entity_kind="trade",
        entity_id=trade.id,
        identity=("trade", trade.id, word, millis_text(changed_at)),
        occurred_at=changed_at,
        status=status,
        version=(changed_at, 0),
        rank=rank,
        is_final=rank >= _TRADE_FINAL,
        stakes=_stakes(payload, payload.gross, payload.credited_now, payload.credited_later),
    )


def _transfer_of_items(trade: _Trade, status: Status, keys: Keys) -> Transfer:
    direction = _DIRECTION.get(trade.type.lower())
    if direction is None:
        raise Malformed("$.type: expected deposit or withdraw, found another word")
    return Transfer(
        direction=direction,
        method="items",
        status=status,
        provider_status=trade.status,
        gross=money(trade.total_price, _USD, "$.totalPrice"),
        credited_now=money(trade.pre_credit, _USD, "$.preCredit"),
        credited_later=money(trade.pending_credit, _USD, "$.pendingCredit"),
        reference=trade.external_id,
        counterparty_ref=keys.hashed(trade.client_steam_id),
        reason=trade.error or trade.reverted_by,
        items=tuple(_item(item, f"$.items[{n}]") for n, item in enumerate(trade.items)),
    )


def _stakes(payload: Transfer, *amounts: Money | None) -> tuple[str | Decimal | None, ...]:
    return (payload.status, payload.direction, _USD, *map(stake, amounts))


# ---- funding ------------------------------------------------------------------------

# https://github.com/assetpaygg/assetpay-sdk/blob/main/src/realtime.ts; the ranks are ours.
_FUNDING_STATUS: Final[Mapping[str, tuple[Status, int]]] = {
    "INITIATED": (Status.CREATED, 0),
    "PENDING": (Status.PENDING, 1),
    "PENDING_ADMIN": (Status.PENDING, 1),
    "APPROVED": (Status.PROCESSING, 2),
    "COMPLETED": (Status.COMPLETED, 3),
    "POSTED": (Status.COMPLETED, 3),  # the ledger's word for what an admin booked
    "REJECTED": (Status.DECLINED, 3),
    "FAILED": (Status.FAILED, 3),
    "CANCELLED": (Status.CANCELLED, 3),
    "EXPIRED": (Status.EXPIRED, 3),
    "REFUNDED": (Status.REFUNDED, 4),
}
_FUNDING_FINAL: Final = 3


class _Amounts(Wire, frozen=True):
    usd: Decimal | None = None
    token: Decimal | None = None


class _Asset(Wire, frozen=True):
    token: Word | None = None
    chain: str | None = None


class _Funding(Wire, frozen=True, rename="camel"):
    """Only ``id`` and ``status`` are certain; withdrawals are assumed to look the same."""

    id: Word
    status: Word
    amounts: _Amounts = _Amounts()
    asset: _Asset = _Asset()
    address: str | None = None
    txn_hash: Word | None = None
    credited_usd: Decimal | None = None
    overpayment_usd: Decimal | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None


def _deposit(funding: _Funding, part: Part, _: Keys) -> Iterator[Statement]:
    yield _funding(funding, part, "in", "crypto")


def _withdrawal(funding: _Funding, part: Part, _: Keys) -> Iterator[Statement]:
    yield _funding(funding, part, "out", "crypto")


def _funding(funding: _Funding, part: Part, direction: str, method: str) -> Statement:
    word = funding.status.upper()
    status, rank = _FUNDING_STATUS.get(word, _UNKNOWN)
    symbol = funding.asset.token
    crypto = money(funding.amounts.token, symbol or "", "$.amounts.token")
    payload = Transfer(
        direction=direction,
        method=method,
        status=status,
        provider_status=funding.status,
        gross=money(funding.amounts.usd, _USD, "$.amounts.usd"),
        credited_now=money(funding.credited_usd, _USD, "$.creditedUsd"),
        overpayment=money(funding.overpayment_usd, _USD, "$.overpaymentUsd"),
        crypto=crypto,
        network=funding.asset.chain,
        address=funding.address,
        tx_hash=funding.txn_hash,
    )
    return Statement(
        payload=payload,
        action=status,
        provider_type=part.context,
        entity_kind="funding",
        entity_id=funding.id,
        identity=("funding", funding.id, word, funding.txn_hash or ""),
        occurred_at=_happened_at(funding, status),
        status=status,
        rank=rank,
        is_final=rank >= _FUNDING_FINAL,
        stakes=(*_stakes(payload, payload.gross), symbol, stake(crypto)),
    )


def _happened_at(funding: _Funding, status: Status) -> int | None:
    """Return when it came to this status, which only two of them tell."""
    match status:
        case Status.CREATED:
            told = funding.created_at
        case Status.COMPLETED:
            told = funding.completed_at
        case _:
            told = None
    return None if told is None else micros(told)


# The ledger tells the same fundings in other words, and what an admin booked.
_ENTRY: Final[Mapping[str, tuple[str, str]]] = {
    "DEPOSIT": ("in", "crypto"),
    "WITHDRAWAL": ("out", "crypto"),
    "ADMIN_CREDIT": ("in", "internal"),
    "ADMIN_DEBIT": ("out", "internal"),
}


class _Booked(Wire, frozen=True):
    usd: Decimal | None = None
    crypto: Decimal | None = None
    token: Word | None = None
    chain: str | None = None


class _Timestamps(Wire, frozen=True):
    created: datetime | None = None
    completed: datetime | None = None


class _Entry(Wire, frozen=True, rename="camel"):
    id: Word
    type: Word
    status: Word
    amount: _Booked = _Booked()
    address: str | None = None
    txn_hash: Word | None = None
    timestamps: _Timestamps = _Timestamps()


def _entry(entry: _Entry, part: Part, _: Keys) -> Iterator[Statement]:
    meaning = _ENTRY.get(entry.type.upper())
    if meaning is None:
        raise UnknownKind("assetpay has no reading of a ledger transaction of this type")
    funding = _Funding(
        id=entry.id,
        status=entry.status,
        amounts=_Amounts(usd=entry.amount.usd, token=entry.amount.crypto),
        asset=_Asset(token=entry.amount.token, chain=entry.amount.chain),
        address=entry.address,
        txn_hash=entry.txn_hash,
        created_at=entry.timestamps.created,
        completed_at=entry.timestamps.completed,
    )
    yield _funding(funding, part, *meaning)


# ---- users' crypto ------------------------------------------------------------------

# https://github.com/assetpaygg/assetpay-sdk/blob/main/src/types/api.ts; the readings of
# frozen and below_minimum, and the ranks, are ours.
_CRYPTO_STATUS: Final[Mapping[str, tuple[Status, int]]] = {
    "awaiting_approval": (Status.CREATED, 0),
    "pending": (Status.PENDING, 1),
    "in_review": (Status.PENDING, 1),
    "approved": (Status.PROCESSING, 2),
    "sent": (Status.PROCESSING, 3),
    "frozen": (Status.ON_HOLD, 3),
    "completed": (Status.COMPLETED, 4),
    "failed": (Status.FAILED, 4),
    "below_minimum": (Status.FAILED, 4),
    "rejected": (Status.DECLINED, 4),
    "cancelled": (Status.CANCELLED, 4),
    "refunded": (Status.REFUNDED, 5),
}
_CRYPTO_FINAL: Final = 4
_CENTS: Final = 2


class _Crypto(Wire, frozen=True, rename="camel"):
    id: Word
    status: Word
    token: Word
    amount: Decimal
    updated_at: datetime
    amount_cents: Decimal | None = None
    fee_cents: Decimal | None = None
    receive_cents: Decimal | None = None
    crypto_amount: Decimal | None = None
    chain: str | None = None
    address: str | None = None
    tx_hash: str | None = None
    steam_id: str | None = None


def _crypto_deposit(crypto: _Crypto, part: Part, keys: Keys) -> Iterator[Statement]:
    yield _crypto(crypto, part, keys, "in")


def _crypto_withdraw(crypto: _Crypto, part: Part, keys: Keys) -> Iterator[Statement]:
    yield _crypto(crypto, part, keys, "out")


def _crypto(crypto: _Crypto, part: Part, keys: Keys, direction: str) -> Statement:
    word = crypto.status.lower()
    status, rank = _CRYPTO_STATUS.get(word, _UNKNOWN)
    changed_at = micros(crypto.updated_at, "$.updatedAt")
    payload = Transfer(
        direction=direction,
        method="crypto",
        status=status,
        provider_status=crypto.status,
        gross=_gross(crypto),
        fee=_dollars(crypto.fee_cents, "$.feeCents"),
        net=_dollars(crypto.receive_cents, "$.receiveCents"),
        crypto=money(crypto.crypto_amount, crypto.token, "$.cryptoAmount"),
        network=crypto.chain,
        address=crypto.address,
        tx_hash=crypto.tx_hash,
        counterparty_ref=keys.hashed(crypto.steam_id),
    )
    return Statement(
        payload=payload,
        action=status,
        provider_type=part.context,
        entity_kind="crypto",
        entity_id=crypto.id,
        identity=("crypto", crypto.id, word, millis_text(changed_at)),
        occurred_at=changed_at,
        status=status,
        version=(changed_at, 0),
        rank=rank,
        is_final=rank >= _CRYPTO_FINAL,
        stakes=(
            *_stakes(payload, payload.gross, payload.fee, payload.net),
            crypto.token,
            stake(payload.crypto),
        ),
    )


def _gross(crypto: _Crypto) -> Money | None:
    cents = crypto.amount_cents
    if cents is not None and not is_same(crypto.amount, scaled(cents, _CENTS)):
        raise Malformed("$.amountCents: expected those of $.amount, found others")
    return money(crypto.amount, _USD, "$.amount")


def _dollars(cents: Decimal | None, where: str) -> Money | None:
    return None if cents is None else money(scaled(cents, _CENTS), _USD, where)


# ---- the market ---------------------------------------------------------------------

_ACTIONS: Final = frozenset({"upsert", "patch", "remove", "sync"})


class _Market(Wire, frozen=True, rename="camel"):
    type: Word
    game: _App | None = None
    source: Word | None = None
    item: _Item | None = None
    item_id: Word | None = None
    at: datetime | None = None


def _market(market: _Market, part: Part, _: Keys) -> Iterator[Statement]:
    """State what a listing is now; that somebody must fetch it all again has no listing."""
    action = market.type.lower()
    if action not in _ACTIONS:
        raise UnknownKind("assetpay has no reading of a market event of this type")
    game = None if market.game is None else str(market.game)
    item = market.item
    item_id = item.id if item else market.item_id
    if item_id is None and action != "sync":
        raise Malformed(f"$.item: expected one in {action}, found none")
    listed = None if item_id is None else records.Item(id=item_id)
    yield Statement(
        payload=Listing(
            action=action,
            game=game,
            source=market.source,
            item=_item(item, "$.item") if item else listed,
            price=_price(item, "$.item") if item else None,
        ),
        action=action,
        provider_type=part.context,
        entity_kind="listing",
        entity_id=joined(*(place for place in (game, market.source, item_id) if place)) or "all",
        occurred_at=None if market.at is None else micros(market.at, "$.at"),
    )


# ---- the mapper ---------------------------------------------------------------------

# https://github.com/assetpaygg/assetpay-sdk/blob/main/src/types/api.ts and realtime.ts
_UNREAD: Final = frozenset(
    {
        *("accepted", "activeAt", "amount", "autoCancelAt", "botInfo", "charm"),
        *("clientTradeUrl", "clientUserId", "collateral", "color", "completedAt", "createdAt"),
        *("creditedUsd", "delivery", "doppler", "exchangeRateUsdPerToken", "exterior"),
        *("externalClientUserId", "externalId", "fade", "fee", "from", "game", "hardened"),
        *("holdEndDate", "iconUrl", "isInstant", "itemId", "marketPrice", "maxAmount"),
        *("merchantId", "offerID", "paintSeed", "previewToken", "rarity", "readyAt", "reason"),
        *("source", "stickers", "tradable", "type", "updated", "wear"),
    }
)

MAPPER: Final = Mapper(
    provider="assetpay",
    version=1,
    open=_open,
    routes={
        "trade": Route(msgspec.json.Decoder(_Trade), _trade),
        "deposit": Route(msgspec.json.Decoder(_Funding), _deposit),
        "withdrawal": Route(msgspec.json.Decoder(_Funding), _withdrawal),
        "ledger": Route(msgspec.json.Decoder(_Entry), _entry),
        "crypto_deposit": Route(msgspec.json.Decoder(_Crypto), _crypto_deposit),
        "crypto_withdraw": Route(msgspec.json.Decoder(_Crypto), _crypto_withdraw),
        "market": Route(msgspec.json.Decoder(_Market), _market),
    },
    unread=_UNREAD,
)

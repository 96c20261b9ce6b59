"""SatoriEx: orders, fills and funds of a prediction market; its trades, books and outcomes.

https://satoriex.io/en/docs/trading/websocket
https://satoriex.io/en/docs/api

No page shows the body of a message: all fields but ``type`` and ``market_id`` are guesses, so
only what a fact cannot be without is demanded. What has no id of its own is an observation.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from processors.errors import InvalidValue, Malformed, UnknownKind
from processors.mapper import (
    Keys,
    Mapper,
    Part,
    Route,
    Statement,
    Wire,
    Word,
    content_hash,
    digits,
    micros,
    millis_text,
    money,
    scaled,
)
from schemas.records import (
    Balance,
    Book,
    Level,
    MarketTrade,
    Micros,
    Money,
    Notice,
    Order,
    Quote,
    Raw,
    Settlement,
    Status,
    Transfer,
    Via,
)


class _Told(NamedTuple):
    """What the envelope says of a part."""

    type: str
    """The provider's own word: of the message, or of the call that listed it."""
    account: str
    body: bytes
    """As it came."""


# ---- envelopes ----------------------------------------------------------------------


class _Message(Wire, frozen=True):
    """The specification shows ``type`` at the top, and says ``payload.type``."""

    type: Word | None = None
    payload: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class _Inner(Wire, frozen=True):
    type: Word | None = None
    bids: msgspec.Raw = msgspec.Raw()
    asks: msgspec.Raw = msgspec.Raw()


class _Answer(Wire, frozen=True):
    data: msgspec.Raw


class _List(Wire, frozen=True):
    items: list[msgspec.Raw]


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_INNER: Final = msgspec.json.Decoder(_Inner)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_LIST: Final = msgspec.json.Decoder(_List)
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


def _body(message: _Message, whole: bytes) -> tuple[str, bytes]:
    """Return the body and where it is: in ``payload``, in ``data``, or the message itself."""
    for name, inner in (("/payload", message.payload), ("/data", message.data)):
        if bytes(inner).startswith(b"{"):
            return name, bytes(inner)
    return "", whole


def _has_levels(inner: _Inner) -> bool:
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
    return "/data/items", _LIST.decode(body).items


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


# ---- values -------------------------------------------------------------------------

_USDC: Final = "USDC"
_SHARES: Final = "SHARES"
_WHOLE_SHARE: Final = 10_000
"""Basis points: a share of the outcome that wins pays 1 USDC."""
_MOST_SHARES: Final = 2**63 - 1
_MILLIS_FROM: Final = 10**11
"""A number from here on is milliseconds, below it seconds."""

_Time = datetime | int


def _integer(number: Decimal, where: str, least: int, most: int) -> Decimal:
    if not number.is_finite() or number != number.to_integral_value():
        raise InvalidValue(f"{where}: expected a whole number, found none")
    if not least <= number <= most:
        raise InvalidValue(f"{where}: expected {least} to {most}, found another number")
    return number


def _usdc(basis_points: Decimal, where: str) -> Decimal:
    return scaled(_integer(basis_points, where, 0, _WHOLE_SHARE), 4)


def _price(basis_points: Decimal | None, where: str) -> Money | None:
    """Return the USDC that a share costs."""
    return None if basis_points is None else Money(_usdc(basis_points, where), _USDC)


def _shares(quantity: Decimal | None, where: str, least: int = 0) -> Money | None:
    if quantity is None:
        return None
    return Money(_integer(quantity, where, least, _MOST_SHARES), _SHARES)


def _unsized(amount: Decimal | None, currency: str | None, where: str, keys: Keys) -> Money | None:
    """Return money whose unit nobody documents: 10000 may be 10,000 or 100.00.

    Until a setting says which, digits alone.
    """
    told = money(amount, currency or _USDC, where)
    if told is None or amount is None:
        return None
    if keys.places is not None:
        return money(scaled(amount, keys.places), told.currency, where)
    return Money(None, told.currency, digits(amount))


_SIDES: Final = {1: "buy", 2: "sell"}


def _side(side: int | None) -> str | None:
    if side is None:
        return None
    if side not in _SIDES:
        raise InvalidValue("$.side: expected 1 or 2, found another number")
    return _SIDES[side]


def _moment(*times: _Time | None) -> Micros | None:
    """Return the first time that was told."""
    for time in times:
        if isinstance(time, int) and time >= _MILLIS_FROM:
            return micros(time // 1000) + time % 1000 * 1000
        if time is not None:
            return micros(time)
    return None


def _version(moment: Micros | None) -> tuple[int, int] | None:
    return None if moment is None else (moment, 0)


def _text(moment: Micros | None) -> str:
    return "" if moment is None else millis_text(moment)


def _demanded(word: str | None, where: str) -> str:
    if word is None:
        raise Malformed(f"{where}: expected text, found none")
    return word


# ---- orders -------------------------------------------------------------------------

# https://satoriex.io/en/docs/trading/order-lifecycle
_ORDER_STATUS: Final[Mapping[str, tuple[Status, int]]] = {
    "pending": (Status.PENDING, 0),
    "open": (Status.OPEN, 1),
    "partial": (Status.PARTIALLY_FILLED, 2),
    "filled": (Status.FILLED, 3),
    "cancelled": (Status.CANCELLED, 3),
}
_UNKNOWN: Final = (Status.UNKNOWN, 0)
_FINAL: Final = 3
_FULL: Final = 1
_PARTIAL: Final = 2
"""An ``order_update`` tells less than an order, so its stakes cannot be held against it."""


class _Order(Wire, frozen=True):
    status: Word
    order_id: Word | None = None
    id: Word | None = None
    market_id: Word | None = None
    outcome_id: Word | None = None
    side: int | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    updated_at: _Time | None = None
    timestamp: _Time | None = None
    ts: _Time | None = None
    created_at: _Time | None = None


def _order(order: _Order, part: Part, _: Keys) -> Iterator[Statement]:
    order_id = _demanded(order.order_id or order.id, "$.order_id")
    status, rank = _ORDER_STATUS.get(order.status, _UNKNOWN)
    payload = Order(
        market=order.market_id or "",
        outcome=order.outcome_id,
        side=_side(order.side),
        status=status,
        provider_status=order.status,
        price=_price(order.price, "$.price"),
        quantity=_shares(order.quantity, "$.quantity", 1),
        filled_quantity=_shares(order.filled_quantity, "$.filled_quantity"),
    )
    filled = "" if order.filled_quantity is None else digits(order.filled_quantity)
    changed_at = _moment(order.updated_at, order.timestamp, order.ts, order.created_at)
    is_full = None not in (order.side, order.price, order.quantity)
    stakes = (status, order.filled_quantity)
    yield Statement(
        payload=payload,
        action=status,
        provider_type=part.context.type,
        entity_kind="order",
        entity_id=order_id,
        identity=("order", order_id, order.status, filled, _text(changed_at)),
        group=order_id,
        occurred_at=changed_at,
        status=status,
        version=_version(changed_at),
        rank=rank,
        is_final=rank >= _FINAL,
        stakes=(*stakes, payload.side, order.price, order.quantity) if is_full else stakes,
        recipe=_FULL if is_full else _PARTIAL,
    )


# ---- fills of our own orders --------------------------------------------------------


class _Fill(Wire, frozen=True):
    order_id: Word | None = None
    id: Word | None = None
    market_id: Word | None = None
    outcome_id: Word | None = None
    trade_id: Word | None = None
    status: Word | None = None
    side: int | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    timestamp: _Time | None = None
    ts: _Time | None = None
    updated_at: _Time | None = None
    created_at: _Time | None = None


def _fill(fill: _Fill, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell a fill of its own entity: it and the order's change are two facts of one match."""
    order_id = _demanded(fill.order_id or fill.id, "$.order_id")
    status, rank = _ORDER_STATUS.get(fill.status or "filled", _UNKNOWN)
    filled_at = _moment(fill.timestamp, fill.ts, fill.updated_at, fill.created_at)
    payload = Order(
        market=fill.market_id or "",
        outcome=fill.outcome_id,
        side=_side(fill.side),
        status=status,
        provider_status=fill.status or part.context.type,
        filled_quantity=_shares(fill.filled_quantity, "$.filled_quantity"),
        last_price=_price(fill.price, "$.price"),
        last_quantity=_shares(fill.quantity, "$.quantity", 1),
        trade_id=fill.trade_id,
    )
    yield Statement(
        payload=payload,
        action=status,
        provider_type=part.context.type,
        entity_kind="fill",
        entity_id=order_id,
        identity=("fill", order_id, *_fill_identity(fill, filled_at)),
        group=order_id,
        occurred_at=filled_at,
        status=status,
        version=_version(filled_at),
        rank=rank,
        is_final=rank >= _FINAL,
        stakes=(status, payload.side, fill.price, fill.quantity),
    )


def _fill_identity(fill: _Fill, filled_at: Micros | None) -> tuple[str, ...]:
    """Return the trade; else the quantity, and the time that tells equal fills apart."""
    if fill.trade_id is not None:
        return (fill.trade_id,)
    quantity = fill.quantity if fill.filled_quantity is None else fill.filled_quantity
    told = "" if quantity is None else digits(quantity)
    return (told,) if filled_at is None else (told, millis_text(filled_at))


# ---- trades of everybody ------------------------------------------------------------


class _Trade(Wire, frozen=True):
    market_id: Word
    trade_id: Word | None = None
    id: Word | None = None
    outcome_id: Word | None = None
    side: int | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    created_at: _Time | None = None
    timestamp: _Time | None = None
    ts: _Time | None = None


def _trade(trade: _Trade, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell a public trade. Without an id its content is one, which merges two equal ones."""
    trade_id = trade.trade_id or trade.id
    traded_at = _moment(trade.created_at, trade.timestamp, trade.ts)
    payload = MarketTrade(
        market=trade.market_id,
        outcome=trade.outcome_id,
        side=_side(trade.side),
        price=_price(trade.price, "$.price"),
        quantity=_shares(trade.quantity, "$.quantity", 1),
        trade_id=trade_id,
    )
    yield Statement(
        payload=payload,
        action="executed",
        provider_type=part.context.type,
        entity_kind="market",
        entity_id=trade.market_id,
        identity=("trade", trade_id or content_hash(part.context.body, "type")),
        occurred_at=traded_at,
        version=_version(traded_at),
        is_final=True,  # Nothing of it is to be read back.
        stakes=(trade.market_id, trade.price, trade.quantity),
    )


# ---- outcomes -----------------------------------------------------------------------


class _Outcome(Wire, frozen=True):
    market_id: Word
    winning_outcome_id: Word | None = None
    outcome_id: Word | None = None
    payout: Decimal | None = None
    currency: Word | None = None
    settled_at: _Time | None = None
    timestamp: _Time | None = None
    ts: _Time | None = None


def _outcome(outcome: _Outcome, part: Part, keys: Keys) -> Iterator[Statement]:
    won = outcome.winning_outcome_id or outcome.outcome_id
    settled_at = _moment(outcome.settled_at, outcome.timestamp, outcome.ts)
    yield Statement(
        payload=Settlement(
            market=outcome.market_id,
            outcome=won,
            payout=_unsized(outcome.payout, outcome.currency, "$.payout", keys),
        ),
        action=_RESULTS[part.kind],
        provider_type=part.context.type,
        entity_kind="settlement",
        entity_id=outcome.market_id,
        identity=(part.kind, outcome.market_id, won or ""),
        group=outcome.market_id,
        occurred_at=settled_at,
        status=Status.COMPLETED,
        version=_version(settled_at),
        rank=_FINAL,
        is_final=True,
        stakes=(Status.COMPLETED, won, outcome.payout),
    )


_RESULTS: Final = {"settlement": "completed", "market_resolved": "resolved"}


# ---- money in and out ---------------------------------------------------------------


class _Motion(NamedTuple):
    entity_kind: str
    direction: str
    method: str
    status: Status
    rank: int


# The page lists submitted before approved; no order is promised, and none enforced.
_MOTIONS: Final[Mapping[str, _Motion]] = {
    "deposit_confirmed": _Motion("deposit", "in", "crypto", Status.COMPLETED, 3),
    "withdraw_requested": _Motion("withdrawal", "out", "crypto", Status.CREATED, 0),
    "withdraw_approved": _Motion("withdrawal", "out", "crypto", Status.PROCESSING, 1),
    "withdraw_submitted": _Motion("withdrawal", "out", "crypto", Status.PENDING, 2),
    "withdraw_rejected": _Motion("withdrawal", "out", "crypto", Status.DECLINED, 3),
    "withdraw_confirmed": _Motion("withdrawal", "out", "crypto", Status.COMPLETED, 3),
    "withdraw_failed": _Motion("withdrawal", "out", "crypto", Status.FAILED, 3),
    "referral_bonus": _Motion("referral", "in", "internal", Status.COMPLETED, 3),
}

# A guess: rows of transactions are not documented at all.
_VERBS: Final = {"deposit": "deposit", "withdraw": "withdraw", "withdrawal": "withdraw"}
_OF_VERB: Final = {"deposit": ("deposit", "in"), "withdraw": ("withdrawal", "out")}


class _Transfer(Wire, frozen=True):
    type: Word | None = None
    status: Word | None = None
    id: Word | None = None
    deposit_id: Word | None = None
    withdrawal_id: Word | None = None
    referral_id: Word | None = None
    amount: Decimal | None = None
    currency: Word | None = None
    network: str | None = None
    tx_hash: str | None = None
    updated_at: _Time | None = None
    timestamp: _Time | None = None
    ts: _Time | None = None
    created_at: _Time | None = None


def _transfer(transfer: _Transfer, part: Part, keys: Keys) -> Iterator[Statement]:
    yield _moved(part.kind, _MOTIONS[part.kind], transfer, part, keys)


def _transaction(row: _Transfer, part: Part, keys: Keys) -> Iterator[Statement]:
    """Tell a row as the message of the socket that would have told it."""
    word = _demanded(row.type, "$.type")
    verb = _VERBS.get(word)
    kind = word if verb is None else f"{verb}_{_demanded(row.status, '$.status')}"
    motion = _MOTIONS.get(kind)
    if motion is None:
        entity_kind, direction = _OF_VERB.get(verb or "", ("transaction", ""))
        motion = _Motion(entity_kind, direction, "", Status.UNKNOWN, 0)
    yield _moved(kind, motion, row, part, keys)


def _moved(kind: str, motion: _Motion, told: _Transfer, part: Part, keys: Keys) -> Statement:
    own_id = told.deposit_id or told.withdrawal_id or told.referral_id or told.id
    moved_at = _moment(told.updated_at, told.timestamp, told.ts, told.created_at)
    return Statement(
        payload=Transfer(
            direction=motion.direction,
            method=motion.method,
            status=motion.status,
            # By every path the message's word: a row says half of it.
            provider_status=kind,
            gross=_unsized(told.amount, told.currency, "$.amount", keys),
            network=told.network,
            tx_hash=told.tx_hash,
        ),
        action=motion.status,
        provider_type=part.context.type,
        entity_kind="user" if own_id is None else motion.entity_kind,
        entity_id=own_id or part.context.account,
        identity=None if own_id is None else (kind, own_id),
        occurred_at=moved_at,
        status=motion.status,
        version=_version(moved_at),
        rank=motion.rank,
        is_final=motion.rank >= _FINAL,
        stakes=(motion.status, (told.currency or _USDC).upper(), told.amount),
    )


# ---- readings without identity ------------------------------------------------------


class _Wallet(Wire, frozen=True):
    balance: Decimal | None = None
    locked: Decimal | None = None
    currency: Word | None = None


def _wallet(wallet: _Wallet, part: Part, keys: Keys) -> Iterator[Statement]:
    currency = (wallet.currency or _USDC).upper()
    yield Statement(
        payload=Balance(
            currency=currency,
            available=_unsized(wallet.balance, currency, "$.balance", keys),
            locked=_unsized(wallet.locked, currency, "$.locked", keys),
        ),
        action="changed",
        provider_type=part.context.type,
        entity_kind="wallet",
        entity_id=currency,
    )


class _Position(Wire, frozen=True):
    market_id: Word
    outcome_id: Word | None = None
    quantity: Decimal | None = None


def _position(position: _Position, part: Part, _: Keys) -> Iterator[Statement]:
    yield Statement(
        payload=Balance(
            currency=_SHARES, available=_shares(position.quantity, "$.quantity", -_MOST_SHARES)
        ),
        action="changed",
        provider_type=part.context.type,
        entity_kind="position",
        entity_id=_outcome_of(position.market_id, position.outcome_id),
    )


def _outcome_of(market: str, outcome: str | None) -> str:
    return market if outcome is None else f"{market}:{outcome}"


class _Prices(Wire, frozen=True):
    market_id: Word
    outcome_id: Word | None = None
    mid: Decimal | None = None
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    timestamp: _Time | None = None
    ts: _Time | None = None
    updated_at: _Time | None = None


def _prices(prices: _Prices, part: Part, _: Keys) -> Iterator[Statement]:
    yield Statement(
        payload=Quote(
            market=prices.market_id,
            outcome=prices.outcome_id,
            bid=_price(prices.best_bid, "$.best_bid"),
            ask=_price(prices.best_ask, "$.best_ask"),
            mid=_midpoint(prices.mid),
        ),
        action="changed",
        provider_type=part.context.type,
        entity_kind="quote",
        entity_id=_outcome_of(prices.market_id, prices.outcome_id),
        occurred_at=_moment(prices.timestamp, prices.ts, prices.updated_at),
    )


def _midpoint(mid: Decimal | None) -> Money | None:
    """Return the middle of two prices, which need not be a whole basis point."""
    if mid is None:
        return None
    told = money(scaled(mid, 4), _USDC, "$.mid")
    if told is None or told.amount is None or told.amount > 1:
        raise InvalidValue(f"$.mid: expected 0 to {_WHOLE_SHARE}, found more")
    return told


class _Offer(Wire, frozen=True):
    price: Decimal
    quantity: Decimal


_Level = tuple[Decimal, Decimal] | _Offer


class _Book(Wire, frozen=True):
    market_id: Word
    outcome_id: Word | None = None
    bids: tuple[_Level, ...] = ()
    asks: tuple[_Level, ...] = ()
    seq: int | None = None
    timestamp: _Time | None = None
    ts: _Time | None = None
    updated_at: _Time | None = None


_CHANGES: Final = ("delta", "update")


def _book(book: _Book, part: Part, _: Keys) -> Iterator[Statement]:
    provider_type = part.context.type
    yield Statement(
        payload=Book(
            market=book.market_id,
            outcome=book.outcome_id,
            is_snapshot=not any(word in provider_type for word in _CHANGES),
            price_currency=_USDC,
            quantity_currency=_SHARES,
            version=None if book.seq is None else str(book.seq),
            levels=(*_levels("bid", book.bids), *_levels("ask", book.asks)),
        ),
        action="changed",
        provider_type=provider_type,
        entity_kind="book",
        entity_id=_outcome_of(book.market_id, book.outcome_id),
        occurred_at=_moment(book.timestamp, book.ts, book.updated_at),
    )


def _levels(side: str, levels: tuple[_Level, ...]) -> Iterator[Level]:
    for number, level in enumerate(levels):
        where = f"$.{side}s[{number}]"
        price, quantity = (level.price, level.quantity) if isinstance(level, _Offer) else level
        shares = _integer(quantity, where, 0, _MOST_SHARES)
        yield Level(side, _usdc(price, where), shares)


# ---- words --------------------------------------------------------------------------


class _Spoken(Wire, frozen=True):
    """Reasons, and what people wrote, are theirs: they stay in raw."""

    id: Word | None = None
    proposal_id: Word | None = None
    dispute_id: Word | None = None
    comment_id: Word | None = None
    market_id: Word | None = None
    timestamp: _Time | None = None
    ts: _Time | None = None
    created_at: _Time | None = None


# Type → topic, and the decision where it is one.
_TOPICS: Final[Mapping[str, tuple[str, str | None]]] = {
    "kyc_approved": ("kyc", "approved"),
    "kyc_rejected": ("kyc", "rejected"),
    "proposal_approved": ("proposal", "approved"),
    "proposal_rejected": ("proposal", "rejected"),
    "dispute_filed": ("dispute", "filed"),
    "mention": ("mention", None),
    "comment": ("comment", None),
}


def _spoken(spoken: _Spoken, part: Part, _: Keys) -> Iterator[Statement]:
    topic, decision = _TOPICS[part.kind]
    own_id = spoken.proposal_id or spoken.dispute_id or spoken.comment_id or spoken.id
    spoken_at = _moment(spoken.timestamp, spoken.ts, spoken.created_at)
    yield Statement(
        payload=Notice(topic=topic, subject=own_id or spoken.market_id, status=decision),
        action=part.kind,
        provider_type=part.context.type,
        entity_kind="user" if own_id is None else topic,
        entity_id=own_id or part.context.account,
        identity=None if own_id is None else (part.kind, own_id),
        group=spoken.market_id,
        occurred_at=spoken_at,
        version=_version(spoken_at),
        is_final=True,
    )


# ---- the mapper ---------------------------------------------------------------------

_ORDERS: Final = Route(msgspec.json.Decoder(_Order), _order)
_OUTCOMES: Final = Route(msgspec.json.Decoder(_Outcome), _outcome)
_TRANSFERS: Final = Route(msgspec.json.Decoder(_Transfer), _transfer)
_NOTICES: Final = Route(msgspec.json.Decoder(_Spoken), _spoken)

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
        "trade": Route(msgspec.json.Decoder(_Trade), _trade),
        "order": _ORDERS,
        "order_update": _ORDERS,
        "order_filled": Route(msgspec.json.Decoder(_Fill), _fill),
        "settlement": _OUTCOMES,
        "market_resolved": _OUTCOMES,
        "price_update": Route(msgspec.json.Decoder(_Prices), _prices),
        "book": Route(msgspec.json.Decoder(_Book), _book),
        "wallet_changed": Route(msgspec.json.Decoder(_Wallet), _wallet),
        "position": Route(msgspec.json.Decoder(_Position), _position),
        "transaction": Route(msgspec.json.Decoder(_Transfer), _transaction),
        **dict.fromkeys(_MOTIONS, _TRANSFERS),
        **dict.fromkeys(_TOPICS, _NOTICES),
    },
    silent=_SILENT,
    unread=_UNREAD,
)

_KINDS: Final = MAPPER.routes.keys() | _SILENT

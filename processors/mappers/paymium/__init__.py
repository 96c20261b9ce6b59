"""Paymium: orders and transfers, merchant payments, balances, and the market.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from processors.envelopes import socketio
from processors.errors import Malformed, UnknownKind
from processors.mapper import (
    Keys,
    Mapper,
    Part,
    Route,
    Seconds,
    Statement,
    Wire,
    Word,
    action,
    digits,
    micros,
    millis_text,
    money,
    rate,
    stake,
)
from schemas.records import (
    Balance,
    Book,
    Fee,
    Invoice,
    Level,
    MarketTrade,
    Money,
    NamedPrice,
    Notice,
    Order,
    Posting,
    Quote,
    Raw,
    Status,
    Transfer,
    Via,
)

_BTC: Final = "BTC"

# ---- envelopes ----------------------------------------------------------------------


class _Told(NamedTuple):
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


def _open(raw: Raw, _: Keys) -> Iterator[Part]:
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
            return _each("announcement", content, "/1", _Told("announcement", raw.account))
        case event:
            return iter((_older(event, content, "/1", raw.account),))


def _answer(raw: Raw) -> Iterator[Part]:
    """Yield what an answer of REST tells, row by row; its route names the call.

    https://github.com/Paymium/api-documentation (spec/openapi.yaml)
    """
    told = _Told(raw.route, raw.account)
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
            _Told(raw.route, raw.account, currency),
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
            yield Part(f"{kind}_", value, pointer, _Told(key, account, currency))
        case "orders", "", _:
            yield from _each(key, value, pointer, _Told(key, account))
        case "prices", "", _ if value.startswith(b"{"):
            for pair, price in _MEMBERS.decode(value).items():
                told = _Told(key, account, pair)
                yield Part(key, bytes(price), f"{pointer}/{_escaped(pair)}", told)
        case _:
            yield Part(key, value, pointer, _Told(key, account))


def _each(kind: str, value: bytes, pointer: str, told: _Told) -> Iterator[Part]:
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
    return Part(event, content, pointer, _Told(event, account))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


# ---- orders and transfers -----------------------------------------------------------

# "Order states": https://github.com/paytunia/api-documentation. Ranks are ours.
_STATE: Final[Mapping[str, Status]] = {
    "pending_execution": Status.CREATED,
    "pending": Status.PENDING,
    "authorized": Status.PENDING,
    "pending_collection": Status.PENDING,
    "processing": Status.PROCESSING,
    "active": Status.PROCESSING,
    "filled": Status.COMPLETED,
    "executed": Status.COMPLETED,
    "canceled": Status.CANCELLED,
    "expired": Status.EXPIRED,
}
_RANK: Final[Mapping[Status, int]] = {
    Status.UNKNOWN: 0,
    Status.CREATED: 0,
    Status.PENDING: 1,
    Status.PROCESSING: 2,
    Status.OPEN: 2,
    Status.PARTIALLY_FILLED: 3,
    Status.COMPLETED: 4,
    Status.FILLED: 4,
    Status.CANCELLED: 4,
    Status.EXPIRED: 4,
    Status.FAILED: 4,
}
_FIRST_FINAL: Final = 4

_TRADES: Final[Mapping[str, str]] = {"LimitOrder": "limit", "MarketOrder": "market"}
# Type → method; and the direction, where the type tells it and not the sign of the amount.
_TRANSFERS: Final[Mapping[str, tuple[str, str | None]]] = {
    "BitcoinTransfer": ("crypto", None),
    "CryptoTransfer": ("crypto", None),
    "BchTransfer": ("crypto", None),
    "WireTransfer": ("bank", None),
    "Transfer": ("internal", None),
    "EmailTransfer": ("internal", None),
    "AdminOrder": ("internal", None),
    "Payment": ("internal", None),
    "BitcoinDeposit": ("crypto", "in"),
    "WireDeposit": ("bank", "in"),
    "EmailDeposit": ("internal", "in"),
}


class _Operation(Wire, frozen=True):
    uuid: Word
    amount: Decimal
    currency: Word
    created_at: datetime
    name: Word
    address: str | None = None
    tx_hash: str | None = None


class _Order(Wire, frozen=True):
    uuid: Word
    type: Word
    state: Word
    currency: Word
    created_at: datetime
    updated_at: datetime
    traded_btc: Decimal
    traded_currency: Decimal
    direction: Literal["buy", "sell"] | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    currency_amount: Decimal | None = None
    btc_fee: Decimal | None = None
    currency_fee: Decimal | None = None
    account_operations: tuple[_Operation, ...] = ()


def _order(order: _Order, part: Part, _: Keys) -> Iterator[Statement]:
    payload, amounts = _of_its_type(order)
    changed_at = micros(order.updated_at, "$.updated_at")
    traded = (digits(order.traded_btc), digits(order.traded_currency))
    status = Status(payload.status)
    yield Statement(
        payload=payload,
        action=status,
        provider_type=part.context.word,
        entity_kind="order",
        entity_id=order.uuid,
        # Fills within one second share their time: what was traded tells them apart.
        identity=("order", order.uuid, order.state, millis_text(changed_at), *traded),
        occurred_at=changed_at,
        status=status,
        version=(changed_at, _satoshis(order.traded_btc)),
        rank=_RANK[status],
        is_final=_RANK[status] >= _FIRST_FINAL,
        stakes=(status, order.direction, order.currency.upper(), *map(stake, amounts)),
    )
    for number, operation in enumerate(order.account_operations):
        yield _posting(operation, order.uuid, part.context, f"$.account_operations[{number}]")


_MOST: Final = 2**62


def _satoshis(btc: Decimal) -> int:
    return min(int(btc.scaleb(8)), _MOST)


_Amounts = tuple[Money | None, ...]
"""What a ledger posts on."""


def _of_its_type(order: _Order) -> tuple[Order | Transfer, _Amounts]:
    if order.type in _TRADES:
        return _trade(order)
    if order.type in _TRANSFERS:
        return _transfer(order)
    raise UnknownKind("$.type: expected a type of order or transfer, found another")


def _trade(order: _Order) -> tuple[Order, _Amounts]:
    currency = order.currency
    asked = money(order.amount, _BTC, "$.amount")
    asked_currency = money(order.currency_amount, currency, "$.currency_amount")
    filled = money(order.traded_btc, _BTC, "$.traded_btc")
    worth = money(order.traded_currency, currency, "$.traded_currency")
    btc_fee = money(order.btc_fee, _BTC, "$.btc_fee")
    currency_fee = money(order.currency_fee, currency, "$.currency_fee")
    fees = (("btc_fee", btc_fee), ("currency_fee", currency_fee))
    payload = Order(
        market=_market(currency),
        side=order.direction,
        order_type=_TRADES[order.type],
        status=_order_status(order),
        provider_status=order.state,
        price=money(order.price, currency, "$.price"),
        quantity=asked or asked_currency,
        filled_quantity=filled,
        filled_amount=worth,
        fees=tuple(Fee(name, fee) for name, fee in fees if fee is not None),
    )
    return payload, (asked, asked_currency, filled, worth, btc_fee, currency_fee)


def _order_status(order: _Order) -> Status:
    """Return the status of an order that trades: these have words of their own."""
    status = _STATE.get(order.state, Status.UNKNOWN)
    if order.state == "active":
        return Status.PARTIALLY_FILLED if order.traded_btc else Status.OPEN
    return Status.FILLED if status is Status.COMPLETED else status


def _transfer(order: _Order) -> tuple[Transfer, _Amounts]:
    """Return money that moved. In which unit ``amount`` is there is a guess: the currency's."""
    method, direction = _TRANSFERS[order.type]
    moved = order.amount if order.currency_amount is None else order.currency_amount
    if moved is None:
        raise Malformed("$.amount: expected it or currency_amount, found neither")
    told = money(moved, order.currency, "$.amount", signed=True)  # Before it is compared.
    gross = told and Money(told.amount and abs(told.amount), told.currency, told.exact)
    money(order.traded_btc, _BTC, "$.traded_btc")
    money(order.traded_currency, order.currency, "$.traded_currency")
    is_btc = order.currency.upper() == _BTC
    fee = order.btc_fee if is_btc else order.currency_fee
    payload = Transfer(
        direction=direction or ("out" if moved < 0 else "in"),
        method=method,
        status=_STATE.get(order.state, Status.UNKNOWN),
        provider_status=order.state,
        gross=gross,
        fee=money(fee, order.currency, "$.btc_fee" if is_btc else "$.currency_fee"),
        address=_first(order, lambda operation: operation.address),
        tx_hash=_first(order, lambda operation: operation.tx_hash),
    )
    return payload, (gross, payload.fee)


def _first(order: _Order, told: Callable[[_Operation], str | None]) -> str | None:
    return next(filter(None, map(told, order.account_operations)), None)


def _posting(operation: _Operation, order_id: str, told: _Told, where: str) -> Statement:
    amount = money(operation.amount, operation.currency, f"{where}.amount", signed=True)
    return Statement(
        payload=Posting(
            amount=amount,
            name=operation.name,
            order_id=order_id,
            tx_hash=operation.tx_hash,
            address=operation.address,
        ),
        action="booked",
        provider_type=told.word,
        entity_kind="account_operation",
        entity_id=operation.uuid,
        identity=("account_operation", operation.uuid),
        group=order_id,
        occurred_at=micros(operation.created_at, f"{where}.created_at"),
        is_final=True,
        stakes=(operation.name, operation.currency.upper(), stake(amount)),
    )


# ---- merchant payments --------------------------------------------------------------

# https://github.com/paytunia/api-documentation, "Merchant API"
_PAYMENT_STATE: Final[Mapping[str, tuple[Status, int]]] = {
    "pending_payment": (Status.CREATED, 0),
    "processing": (Status.PROCESSING, 1),
    "paid": (Status.COMPLETED, 2),
    "btc_forwarded": (Status.COMPLETED, 3),
    "error": (Status.FAILED, 2),
    "expired": (Status.EXPIRED, 2),
}
_UNKNOWN: Final = (Status.UNKNOWN, 0)
_FIRST_FINAL_PAYMENT: Final = 2


class _Payment(Wire, frozen=True):
    uuid: Word
    state: Word
    currency: Word
    updated_at: Seconds
    amount: Decimal | None = None
    btc_amount: Decimal | None = None
    expires_at: Seconds | None = None
    payment_address: str | None = None


def _payment(payment: _Payment, part: Part, _: Keys) -> Iterator[Statement]:
    status, rank = _PAYMENT_STATE.get(payment.state, _UNKNOWN)
    changed_at = micros(payment.updated_at, "$.updated_at")
    payload = Invoice(
        status=status,
        provider_status=payment.state,
        amount=money(payment.amount, payment.currency, "$.amount"),
        crypto=money(payment.btc_amount, _BTC, "$.btc_amount"),
        expires_at=None if payment.expires_at is None else micros(payment.expires_at),
        address=payment.payment_address,
    )
    yield Statement(
        payload=payload,
        action=action(payload, status),
        provider_type=part.context.word,
        entity_kind="payment",
        entity_id=payment.uuid,
        identity=("payment", payment.uuid, payment.state, millis_text(changed_at)),
        occurred_at=changed_at,
        status=status,
        version=(changed_at, 0),
        rank=rank,
        is_final=rank >= _FIRST_FINAL_PAYMENT,
        stakes=(
            status,
            payment.currency.upper(),
            stake(payload.amount),
            stake(payload.crypto),
        ),
    )


# ---- balances -----------------------------------------------------------------------


def _keyed_balance(amount: Decimal, part: Part, _: Keys) -> Iterator[Statement]:
    currency = part.context.name
    if not currency:
        raise Malformed("$: expected a currency after the underscore, found none")
    told = money(amount, currency, "$")
    yield _balance(told, currency, part.context, is_locked=part.kind == "locked_")


class _OlderBalance(Wire, frozen=True):
    balance: Decimal
    currency: Word
    trading: Literal["true", "false"] | bool
    """Whether it is the locked balance that changed."""


def _older_balance(told: _OlderBalance, part: Part, _: Keys) -> Iterator[Statement]:
    amount = money(told.balance, told.currency, "$.balance")
    is_locked = told.trading in {True, "true"}
    yield _balance(amount, told.currency, part.context, is_locked=is_locked)


def _balance(amount: Money | None, currency: str, told: _Told, *, is_locked: bool) -> Statement:
    currency = currency.upper()
    return Statement(
        payload=Balance(
            currency=currency,
            available=None if is_locked else amount,
            locked=amount if is_locked else None,
        ),
        action="updated",
        provider_type=told.word,
        entity_kind="balance",
        entity_id=currency,
    )


class _Balances(Wire, frozen=True):
    available: Decimal
    locked: Decimal | None = None


def _read_balances(told: _Balances, part: Part, _: Keys) -> Iterator[Statement]:
    currency = part.context.name.upper()
    if not currency:
        raise Malformed("$: expected a currency after the underscore, found none")
    yield Statement(
        payload=Balance(
            currency=currency,
            available=money(told.available, currency, "$.available"),
            locked=money(told.locked, currency, "$.locked"),
        ),
        action="updated",
        provider_type=part.context.word,
        entity_kind="balance",
        entity_id=currency,
        only_if_new=True,  # Asked for every minute.
    )


# ---- the market ---------------------------------------------------------------------


def _market(currency: str) -> str:
    """Return the name that ``GET /data/<currency>/depth`` has for a market."""
    return f"{_BTC}-{currency.upper()}"


class _Level(Wire, frozen=True):
    price: Decimal
    amount: Decimal
    """Absolute; zero deletes the level."""
    currency: Word
    category: Literal["buy", "sell"] | None = None
    timestamp: Seconds = 0
    """Zero on every delete."""


_SIDE: Final = {"bids": "bid", "asks": "ask", "buy": "bid", "sell": "ask"}


def _levels(levels: tuple[_Level, ...], part: Part, _: Keys) -> Iterator[Statement]:
    if levels:
        yield _book(levels, _SIDE[part.kind], part.context.word)


def _older_level(level: _Level, part: Part, _: Keys) -> Iterator[Statement]:
    if level.category is None:
        raise Malformed("$.category: expected buy or sell, found none")
    yield _book((level,), _SIDE[level.category], part.context.word)


def _book(levels: tuple[_Level, ...], side: str, word: str) -> Statement:
    currency = levels[0].currency.upper()
    if any(level.currency.upper() != currency for level in levels):
        raise Malformed("$[].currency: expected one currency, found several")
    latest = max(level.timestamp for level in levels)
    return Statement(
        payload=Book(
            market=_market(currency),
            is_snapshot=False,
            price_currency=currency,
            quantity_currency=_BTC,
            levels=tuple(
                Level(side, _exact(level.price, "$[].price"), _exact(level.amount, "$[].amount"))
                for level in levels
            ),
        ),
        action="updated",
        provider_type=word,
        entity_kind="market",
        entity_id=_market(currency),
        occurred_at=micros(latest) if latest else None,
    )


def _exact(number: Decimal, where: str) -> Decimal:
    told = money(number, _BTC, where)
    return number if told is None or told.amount is None else told.amount


class _DepthLevel(Wire, frozen=True):
    price: Decimal
    amount: Decimal


class _Depth(Wire, frozen=True):
    market: Word
    """``BTC-EUR``."""
    bids: tuple[_DepthLevel, ...]
    asks: tuple[_DepthLevel, ...]
    version: int | None = None


def _depth(depth: _Depth, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell the whole book. Its version is not on the socket."""
    currency = depth.market.rpartition("-")[2]
    if depth.market.upper() != _market(currency):
        raise Malformed("$.market: expected BTC- and a currency, found another")
    sides = (("bid", depth.bids, "$.bids[]"), ("ask", depth.asks, "$.asks[]"))
    yield Statement(
        payload=Book(
            market=_market(currency),
            is_snapshot=True,
            price_currency=currency.upper(),
            quantity_currency=_BTC,
            version=None if depth.version is None else str(depth.version),
            levels=tuple(
                Level(
                    side,
                    _exact(level.price, f"{where}.price"),
                    _exact(level.amount, f"{where}.amount"),
                )
                for side, levels, where in sides
                for level in levels
            ),
        ),
        action="updated",
        provider_type=part.context.word,
        entity_kind="market",
        entity_id=_market(currency),
        only_if_new=True,  # Asked for every minute.
    )


class _ListedTrade(Wire, frozen=True):
    uuid: Word
    price: Decimal
    traded_btc: Decimal
    currency: Word
    created_at: datetime
    side: Literal["buy", "sell"] | None = None


def _listed_trade(trade: _ListedTrade, part: Part, _: Keys) -> Iterator[Statement]:
    market, traded_at = _market(trade.currency), micros(trade.created_at, "$.created_at")
    price = money(trade.price, trade.currency, "$.price")
    quantity = money(trade.traded_btc, _BTC, "$.traded_btc")
    yield Statement(
        payload=MarketTrade(
            market=market, side=trade.side, price=price, quantity=quantity, trade_id=trade.uuid
        ),
        action="executed",
        provider_type=part.context.word,
        entity_kind="market",
        entity_id=market,
        identity=("trade", trade.uuid),
        occurred_at=traded_at,
        version=(traded_at, 0),
        is_final=True,  # Nothing of it is to be read back.
        stakes=(market, stake(price), stake(quantity)),
    )


class _Ticker(Wire, frozen=True):
    currency: Word
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    midpoint: Decimal | None = None
    first: Decimal | None = msgspec.field(name="open", default=None)
    high: Decimal | None = None
    low: Decimal | None = None
    vwap: Decimal | None = None
    volume: Decimal | None = None
    variation: Decimal | None = None


def _ticker(ticker: _Ticker, part: Part, _: Keys) -> Iterator[Statement]:
    def price(amount: Decimal | None, name: str) -> Money | None:
        return money(amount, ticker.currency, f"$.{name}")

    yield Statement(
        payload=Quote(
            market=_market(ticker.currency),
            bid=price(ticker.bid, "bid"),
            ask=price(ticker.ask, "ask"),
            mid=price(ticker.midpoint, "midpoint"),
            last=price(ticker.price, "price"),
            open=price(ticker.first, "open"),
            high=price(ticker.high, "high"),
            low=price(ticker.low, "low"),
            vwap=price(ticker.vwap, "vwap"),
            volume=money(ticker.volume, _BTC, "$.volume"),
            variation=rate(ticker.variation, "$.variation", signed=True),
        ),
        action="updated",
        provider_type=part.context.word,
        entity_kind="market",
        entity_id=_market(ticker.currency),
        # ``at`` may be the start of the day, so it is not the time of the reading.
    )


class _Spread(Wire, frozen=True):
    purchase_price: Decimal | None = None
    sale_price: Decimal | None = None


class _Price(Wire, frozen=True):
    quote_currency: Word
    price: Decimal
    """Of the last trade; the others are of the conversion service."""
    timestamp: Seconds
    broker_price: Decimal | None = None
    swap: _Spread = _Spread()
    card_payment: _Spread = _Spread()
    variation: Decimal | None = None


def _price(told: _Price, part: Part, _: Keys) -> Iterator[Statement]:
    pair: str = part.context.name
    if not pair:
        raise Malformed("$: expected an object of pairs, found none")
    named = (
        ("broker_price", told.broker_price),
        ("swap.purchase_price", told.swap.purchase_price),
        ("swap.sale_price", told.swap.sale_price),
        ("card_payment.purchase_price", told.card_payment.purchase_price),
        ("card_payment.sale_price", told.card_payment.sale_price),
    )
    yield Statement(
        payload=Quote(
            market=pair,
            last=money(told.price, told.quote_currency, "$.price"),
            variation=rate(told.variation, "$.variation", signed=True),
            prices=tuple(
                NamedPrice(name, money(amount, told.quote_currency, f"$.{name}"))
                for name, amount in named
                if amount is not None
            ),
        ),
        action="updated",
        provider_type=part.context.word,
        entity_kind="pair",
        entity_id=pair,
        occurred_at=micros(told.timestamp, "$.timestamp"),
        only_if_new=True,  # All of them come every ten seconds, changed or not.
    )


class _MarketTrade(Wire, frozen=True):
    price: Decimal
    traded_btc: Decimal
    timestamp: Annotated[int, msgspec.Meta(ge=0, lt=2**42)]
    """Milliseconds."""
    currency: Word


def _market_trades(trades: tuple[_MarketTrade, ...], part: Part, keys: Keys) -> Iterator[Statement]:
    for trade in trades:
        yield from _market_trade(trade, part, keys)


def _market_trade(trade: _MarketTrade, _part: Part, _: Keys) -> Iterator[Statement]:
    """State nothing of a trade without an id: REST tells it by uuid. It must be readable."""
    money(trade.price, trade.currency, "$.price")
    money(trade.traded_btc, _BTC, "$.traded_btc")
    return iter(())


# ---- what is said -------------------------------------------------------------------


class _Announcement(Wire, frozen=True):
    """Only the names of severity and display type are known; the rest is a guess."""

    severity: str | None = None
    message: Mapping[str, str] = {}
    """Language → text, for everybody."""


def _announcement(told: _Announcement, part: Part, _: Keys) -> Iterator[Statement]:
    yield Statement(
        payload=Notice(topic="announcement", severity=told.severity, text=told.message.get("en")),
        action="published",
        provider_type=part.context.word,
        entity_kind="announcement",
        entity_id=_content_hash(part.body),
        only_if_new=True,  # Repeated every ten seconds.
    )


# A number stands as it was written.
_ANYTHING: Final = msgspec.json.Decoder(float_hook=lambda number: msgspec.Raw(number.encode()))
_SORTED: Final = msgspec.json.Encoder(order="sorted")


def _content_hash(body: bytes) -> str:
    """Return SHA-256 of the JSON with sorted keys, no blanks, and its own digits."""
    return sha256(_SORTED.encode(_ANYTHING.decode(body))).hexdigest()


class _Message(Wire, frozen=True):
    message: str
    """To a person: it stays in raw."""


class _State(Wire, frozen=True):
    state: Word


def _notice(_told: _Message, part: Part, _: Keys) -> Iterator[Statement]:
    yield _said(Notice(topic="notice"), "published", part.context)


def _state(told: _State, part: Part, _: Keys) -> Iterator[Statement]:
    yield _said(Notice(topic="kyc", status=told.state), "updated", part.context)


def _said(notice: Notice, done: str, told: _Told) -> Statement:
    return Statement(
        payload=notice,
        action=done,
        provider_type=told.word,
        entity_kind="user",
        entity_id=told.account,
    )


# ---- the mapper ---------------------------------------------------------------------

_ORDERS: Final = Route(msgspec.json.Decoder(_Order), _order)
_QUOTES: Final = Route(msgspec.json.Decoder(_Ticker), _ticker)
_BOOKS: Final = Route(msgspec.json.Decoder(tuple[_Level, ...]), _levels)
_BALANCES: Final = Route(msgspec.json.Decoder(Decimal), _keyed_balance)

# https://github.com/Paymium/api-documentation (spec/openapi.yaml), and captures
_UNREAD: Final = frozenset(
    {
        *("account_operations", "at", "base_currency", "callback_url", "cancel_url"),
        *("category", "comment", "created_at", "created_at_int", "de", "display_type", "en"),
        *("es", "fr", "id", "is_trading_account", "it", "merchant_name", "merchant_reference"),
        *("payment_split", "redirect_url", "size", "timestamp", "trade_id", "traded_currency"),
    }
)

MAPPER: Final = Mapper(
    provider="paymium",
    version=1,
    open=_open,
    routes={
        "orders": _ORDERS,
        "balance_": _BALANCES,
        "locked_": _BALANCES,
        "bids": _BOOKS,
        "asks": _BOOKS,
        "ticker": _QUOTES,
        "prices": Route(msgspec.json.Decoder(_Price), _price),
        "trades": Route(msgspec.json.Decoder(tuple[_MarketTrade, ...]), _market_trades),
        "announcement": Route(msgspec.json.Decoder(_Announcement), _announcement),
        # REST.
        "user": Route(msgspec.json.Decoder(_Balances), _read_balances),
        "depth": Route(msgspec.json.Decoder(_Depth), _depth),
        "trade": Route(msgspec.json.Decoder(_ListedTrade), _listed_trade),
        # The older form, and a payment by its uuid.
        "order": _ORDERS,
        "payment": Route(msgspec.json.Decoder(_Payment), _payment),
        "balance": Route(msgspec.json.Decoder(_OlderBalance), _older_balance),
        "notice": Route(msgspec.json.Decoder(_Message), _notice),
        "state": Route(msgspec.json.Decoder(_State), _state),
        "tick": _QUOTES,
        "new-trade": Route(msgspec.json.Decoder(_MarketTrade), _market_trade),
        "update-market-depth": Route(msgspec.json.Decoder(_Level), _older_level),
    },
    unread=_UNREAD,
)

"""Paymium's orders: those that trade, and those that move money.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

import msgspec

from processors.errors import Malformed, UnknownKind
from processors.mapper import (
    Keys,
    Part,
    Route,
    Statement,
    Wire,
    Word,
    digits,
    micros,
    money,
    stake,
)
from processors.mappers.paymium.bitcoin import BTC, market_of
from processors.mappers.paymium.postings import Operation, posting
from schemas.records import Fee, Money, Order, Status, Transfer
from schemas.times import millis_text

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
    account_operations: tuple[Operation, ...] = ()


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
        yield posting(operation, order.uuid, part.context, f"$.account_operations[{number}]")


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
    asked = money(order.amount, BTC, "$.amount")
    asked_currency = money(order.currency_amount, currency, "$.currency_amount")
    filled = money(order.traded_btc, BTC, "$.traded_btc")
    worth = money(order.traded_currency, currency, "$.traded_currency")
    btc_fee = money(order.btc_fee, BTC, "$.btc_fee")
    currency_fee = money(order.currency_fee, currency, "$.currency_fee")
    fees = (("btc_fee", btc_fee), ("currency_fee", currency_fee))
    payload = Order(
        market=market_of(currency),
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
    money(order.traded_btc, BTC, "$.traded_btc")
    money(order.traded_currency, order.currency, "$.traded_currency")
    is_btc = order.currency.upper() == BTC
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


def _first(order: _Order, told: Callable[[Operation], str | None]) -> str | None:
    return next(filter(None, map(told, order.account_operations)), None)


ORDER: Final = Route(msgspec.json.Decoder(_Order), _order)

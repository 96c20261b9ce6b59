"""SatoriEx, what became of our own orders: their states, and their fills.

https://satoriex.io/en/docs/trading/order-lifecycle
https://satoriex.io/en/docs/trading/websocket
"""

from collections.abc import Iterator, Mapping
from typing import Final

from processors.mapper import Keys, Part, Statement, digits
from processors.mappers.satoriex import values, wire
from schemas.records import Micros, Order, Status
from schemas.times import millis_text

_ORDER_STATUS: Final[Mapping[str, tuple[Status, int]]] = {
    "pending": (Status.PENDING, 0),
    "open": (Status.OPEN, 1),
    "partial": (Status.PARTIALLY_FILLED, 2),
    "filled": (Status.FILLED, 3),
    "cancelled": (Status.CANCELLED, 3),
}
_UNKNOWN: Final = (Status.UNKNOWN, 0)

_FULL: Final = 1
_PARTIAL: Final = 2
"""An ``order_update`` tells less than an order, so its stakes cannot be held against it."""


def tell_order(order: wire.Order, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell the state of an order, which is a fact for each state, filled quantity and time."""
    order_id = values.demanded(order.order_id or order.id, "$.order_id")
    status, rank = _ORDER_STATUS.get(order.status, _UNKNOWN)
    payload = Order(
        market=order.market_id or "",
        outcome=order.outcome_id,
        side=values.side(order.side),
        status=status,
        provider_status=order.status,
        price=values.price(order.price, "$.price"),
        quantity=values.shares(order.quantity, "$.quantity", 1),
        filled_quantity=values.shares(order.filled_quantity, "$.filled_quantity"),
    )
    filled = "" if order.filled_quantity is None else digits(order.filled_quantity)
    changed_at = values.moment(order.updated_at, order.timestamp, order.ts, order.created_at)
    is_full = None not in (order.side, order.price, order.quantity)
    stakes = (status, order.filled_quantity)
    yield Statement(
        payload=payload,
        action=status,
        provider_type=part.context.type,
        entity_kind="order",
        entity_id=order_id,
        identity=("order", order_id, order.status, filled, values.time_text(changed_at)),
        group=order_id,
        occurred_at=changed_at,
        status=status,
        version=values.version(changed_at),
        rank=rank,
        is_final=rank >= values.FINAL,
        stakes=(*stakes, payload.side, order.price, order.quantity) if is_full else stakes,
        recipe=_FULL if is_full else _PARTIAL,
    )


def tell_fill(fill: wire.Fill, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell a fill of its own entity: it and the order's change are two facts of one match."""
    order_id = values.demanded(fill.order_id or fill.id, "$.order_id")
    status, rank = _ORDER_STATUS.get(fill.status or "filled", _UNKNOWN)
    filled_at = values.moment(fill.timestamp, fill.ts, fill.updated_at, fill.created_at)
    payload = Order(
        market=fill.market_id or "",
        outcome=fill.outcome_id,
        side=values.side(fill.side),
        status=status,
        provider_status=fill.status or part.context.type,
        filled_quantity=values.shares(fill.filled_quantity, "$.filled_quantity"),
        last_price=values.price(fill.price, "$.price"),
        last_quantity=values.shares(fill.quantity, "$.quantity", 1),
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
        version=values.version(filled_at),
        rank=rank,
        is_final=rank >= values.FINAL,
        stakes=(status, payload.side, fill.price, fill.quantity),
    )


def _fill_identity(fill: wire.Fill, filled_at: Micros | None) -> tuple[str, ...]:
    """Return the trade; else the quantity, and the time that tells equal fills apart."""
    if fill.trade_id is not None:
        return (fill.trade_id,)
    quantity = fill.quantity if fill.filled_quantity is None else fill.filled_quantity
    told = "" if quantity is None else digits(quantity)
    return (told,) if filled_at is None else (told, millis_text(filled_at))

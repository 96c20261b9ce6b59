"""The twin's own HTTP endpoints: orders, rates and the books' summary, on a port of their own.

`POST /twin/faults` takes and returns the rates; `POST /twin/<order>` takes the arguments of the
order (`{"seconds": 2}`), or nothing; `GET /twin/books` and `POST /twin/quiet` return the summary.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

import msgspec
from aiohttp import web

from twins.books import Books, Summary
from twins.courier import Courier
from twins.door import Door
from twins.faults import Faults, Order
from twins.teller import Teller

T = TypeVar("T", Faults, Order)


Orders = Mapping[str, Callable[[Order], Awaitable[object] | None]]
"""Orders that only one provider's twin knows."""


class Obedient(Protocol):
    """What can be ordered of a twin."""

    books: Books
    courier: Courier
    orders: Orders
    door: Door
    teller: Teller

    async def drop(self) -> None: ...
    async def half_open(self) -> None: ...
    async def fragment(self, count: int) -> None: ...
    async def stall(self, seconds: float) -> None: ...
    async def mute(self, *, on: bool = True) -> None: ...
    async def close(self, code: int) -> None: ...
    async def garbage(self) -> None: ...
    async def binary(self) -> None: ...
    async def storm(self, count: int) -> None: ...
    async def expire_token(self) -> None: ...
    async def quiet(self) -> Summary: ...
    async def restart(self, seconds: float) -> None: ...


ORDERS: Mapping[str, Callable[[Obedient, Order], Awaitable[object] | None]] = {
    "drop": lambda twin, _: twin.drop(),
    "half-open": lambda twin, _: twin.half_open(),
    "fragment": lambda twin, order: twin.fragment(order.count),
    "stall": lambda twin, order: twin.stall(order.seconds),
    "mute": lambda twin, _: twin.mute(),
    "unmute": lambda twin, _: twin.mute(on=False),
    "close": lambda twin, order: twin.close(order.code),
    "garbage": lambda twin, _: twin.garbage(),
    "binary": lambda twin, _: twin.binary(),
    "big": lambda twin, order: twin.teller.pad(order.count),
    "storm": lambda twin, order: twin.storm(order.count),
    "expire-token": lambda twin, _: twin.expire_token(),
    "quiet": lambda twin, _: twin.quiet(),
    "restart": lambda twin, order: twin.restart(order.seconds),
    "refuse": lambda twin, order: twin.door.refuse(order.status, order.seconds),
    "html": lambda twin, order: twin.door.answer_html(order.seconds),
    "say-nothing": lambda twin, order: twin.door.say_nothing(order.seconds),
    "turn-away": lambda twin, order: twin.door.turn_away(order.code, order.seconds),
    "webhooks": lambda twin, order: setattr(twin.courier, "url", order.url or None),
    "throttle": lambda twin, order: twin.door.throttle(order.seconds),
}


def orders_of(twin: Obedient) -> Orders:
    """Return every order that this twin knows, by name; its own come before the general."""
    return {**{name: partial(obey, twin) for name, obey in ORDERS.items()}, **twin.orders}


def control(twin: Obedient) -> web.Application:
    """Return the application that takes orders for this twin."""
    orders = orders_of(twin)

    async def books(_: web.Request) -> web.Response:
        return _json(twin.books.summary())

    async def faults(request: web.Request) -> web.Response:
        twin.teller.faults = await _body(request, Faults)
        return _json(twin.teller.faults)

    async def order(request: web.Request) -> web.Response:
        name, arguments = request.match_info["order"], await _body(request, Order)
        if name not in orders:
            raise web.HTTPNotFound(text=f"no such order; there are: {', '.join(orders)}\n")
        if (obeying := orders[name](arguments)) is not None:
            await obeying
        return _json(twin.books.summary())

    app = web.Application()
    app.add_routes(
        [
            web.get("/twin/books", books),
            web.post("/twin/faults", faults),
            web.post("/twin/{order}", order),
        ]
    )
    return app


async def _body(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error


def _json(content: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")

"""SatoriEx's socket and REST API, as a stand-in.

https://satoriex.io/en/docs/trading/websocket
https://satoriex.io/en/docs/api
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal, TypeVar, Unpack

import msgspec
from aiohttp import web

from twins.allowance import Window
from twins.audience import Audience, Listener
from twins.books import Fact
from twins.chance import dice
from twins.control import Orders
from twins.faults import Order
from twins.provider import Clock, Damage, Publication
from twins.rotation import Rotation
from twins.satoriex_damage import damaged, damages_of
from twins.satoriex_lifecycle import (
    CURRENCY_OF,
    MARKETS,
    USER,
    Aside,
    Body,
    Deal,
    Exchange,
    Happening,
)
from twins.satoriex_tokens import EMAIL, PASSWORD, Credentials, Refresh, Tokens
from twins.server import Terms, Twin

Form = Literal["flat", "payload", "data", "mixed"]
FORMS: tuple[Form, ...] = ("flat", "payload", "data")
PAGE = 20
MATCHES_WITHIN_S = 0.05
GRACE_S = 0.5
EXPIRED, TOO_MANY, NOT_FOUND = 2002, 4290, 4040
WORDS: Mapping[int, tuple[int, str]] = {
    400: (4000, "bad request"),
    401: (EXPIRED, "token expired"),
    403: (4030, "forbidden"),
    404: (NOT_FOUND, "not found"),
    429: (TOO_MANY, "rate limited"),
}
PLACED = ("market_id", "outcome_id", "side", "price", "quantity")

B = TypeVar("B", Credentials, Refresh)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Satoriex:
    """One user's events, and those of the markets that a listener subscribes to.

    `form` is where a message has its body; `ids` whether trades have them; `big` the share of
    quantities beyond 2^53; `acknowledges` whether a subscription is answered; `single` whether
    a second connection closes the first with 1000; `cuts` whether a token's end closes its
    connection with 1008; `connections` how many one address may open in a minute.
    """

    path = "/ws"

    def __init__(  # noqa: PLR0913 - each has one meaning
        self,
        audience: Audience,
        seed: int,
        clock: Clock,
        *,
        form: Form,
        ids: bool,
        big: float,
        acknowledges: bool,
        single: bool,
        cuts: bool,
        token_lives_s: float,
        connections: int,
    ) -> None:
        self._audience, self._clock = audience, clock
        self._dice = dice(seed, "satoriex wire")
        self._form: Form = form
        self._acknowledges, self._single, self._cuts = acknowledges, single, cuts
        self.exchange = Exchange(dice(seed, "satoriex"), ids=ids, big=big)
        self.tokens = Tokens(clock, self._dice, token_lives_s)
        self.password = Rotation(PASSWORD, clock)
        self.logins = self.refreshes = 0
        self._may_log_in, self._may_refresh = Window(10, 60, clock), Window(20, 60, clock)
        self._may_ask, self._may_connect = Window(100, 60, clock), Window(connections, 60, clock)
        self._channels: dict[Listener, set[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> Sequence[web.RouteDef]:
        api, asked = "/api/v1", self._asked
        return (
            web.get(self.path, self._stream),
            web.post(f"{api}/auth/login", self._log_in),
            web.post(f"{api}/auth/refresh", self._refresh),
            web.get(f"{api}/orders", asked(self._orders)),
            web.get(f"{api}/orders/{{id}}", asked(self._order)),
            web.post(f"{api}/orders", asked(self._place)),
            web.get(f"{api}/wallet/balance", asked(self._balance)),
            web.get(f"{api}/wallet/transactions", asked(self._transactions)),
            web.get(f"{api}/me/positions", asked(self._positions)),
            web.get(f"{api}/markets", self._markets),
            web.get(f"{api}/markets/{{id}}", self._market),
            web.get(f"{api}/markets/{{id}}/trades", self._trades),
            web.get(f"{api}/markets/{{id}}/orderbook", self._book),
        )

    def orders(self) -> Orders:
        """Return what can be ordered of this twin alone."""
        return {
            "forget-refresh": lambda _: self.tokens.forget(),
            "large": self._large,
            "limit-connections": self._limit_connections,
            "say-error": lambda _: self._say_error(),
        }

    def secrets(self) -> dict[str, str]:
        markets = ", ".join(f'"{market}"' for market in MARKETS)
        return {
            "email": EMAIL,
            "password": self.password.current,
            "options": f"markets = [{markets}]",
        }

    def happens(self) -> Fact:
        happening = self.exchange.next(int(self._clock() * 1000))
        self._mention(happening.asides)
        return happening.fact

    def publications(self, fact: Fact) -> Sequence[Publication]:
        listeners = self._listeners(fact.about["channel"])
        if not listeners:
            return ()
        return (Publication(self._text(fact.type, fact.body), listeners),)

    def damaged(self, fact: Fact) -> Damage:
        name = self._dice.choice(damages_of(fact))
        return Damage(name, damaged(name, fact), self._listeners(fact.about["channel"]))

    def refusal(self, status: int) -> web.Response:
        code, words = WORDS.get(status, (50000, "internal error"))
        headers = {"Retry-After": "2"} if code == TOO_MANY else {}
        body = {"code": code, "msg": words, "data": None}
        return web.json_response(body, status=status, headers=headers)

    def expire(self) -> None:
        """End every access token; where the twin cuts, their connections as well."""
        self.tokens.revoke()
        if self._cuts:
            for listener in self._channels:
                listener.say(1008)

    # What only this twin is ordered to do

    def _large(self, order: Order) -> None:
        """Tell a book of at least so many bytes."""
        level = [5000, 1234567]
        body = {"market_id": MARKETS[0], "bids": [level] * (order.count // 14 + 1), "asks": []}
        text = self._text("orderbook_snapshot", json.dumps(body, separators=(",", ":")))
        self._audience.mention(text, self._listeners(f"marketdata:{MARKETS[0]}"))

    def _limit_connections(self, order: Order) -> None:
        self._may_connect.count = order.count

    def _say_error(self) -> None:
        error = {"type": "error", "code": NOT_FOUND, "msg": "market not found", "market_id": "m"}
        self._audience.mention(json.dumps(error), self._listeners(USER))

    # The stream

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if (wait := self._may_connect.wait(request.remote or "")) is not None:
            return _throttled(wait)
        ends = self.tokens.ends(request.query.get("token", ""))
        if ends is None:
            return self.refusal(401)
        if self._single:
            for other in self._channels:
                other.say(1000)
        async with self._audience.admitted(request) as listener:
            self._channels[listener] = {USER}
            timers = self._timers(listener, ends)
            try:
                while (text := await listener.hear()) is not None:
                    self._hear(listener, text)
            finally:
                del self._channels[listener]
                for timer in timers:
                    timer.cancel()
        return listener.socket

    def _timers(self, listener: Listener, ends: float) -> list[asyncio.TimerHandle]:
        loop = asyncio.get_running_loop()
        # A user without markets subscribes to nothing, and is attentive all the same.
        timers = [loop.call_later(GRACE_S, self._audience.attentive.set)]
        if self._cuts:
            timers.append(loop.call_later(ends - self._clock(), listener.say, 1008))
        return timers

    def _hear(self, listener: Listener, text: str) -> None:
        """Subscribe; no page says what happens to anything else."""
        match _read(text):
            case {"type": "subscribe", "market_id": str(market)}:
                self._subscribe(listener, "market", market)
            case {"type": "subscribe_marketdata", "market_id": str(market)}:
                self._subscribe(listener, "marketdata", market)
                self._audience.attentive.set()

    def _subscribe(self, listener: Listener, kind: str, market: str) -> None:
        if market not in MARKETS:
            error = {"type": "error", "code": NOT_FOUND, "msg": "market not found"}
            listener.say(json.dumps({**error, "market_id": market}))
            return
        self._channels[listener].add(f"{kind}:{market}")
        if self._acknowledges:
            listener.say(json.dumps({"type": "subscribed", "market_id": market}))

    def _listeners(self, channel: str) -> list[Listener]:
        return [each for each, channels in self._channels.items() if channel in channels]

    def _mention(self, asides: Iterable[Aside]) -> None:
        for aside in asides:
            body = json.dumps(aside.body, separators=(",", ":"))
            self._audience.mention(self._text(aside.type, body), self._listeners(aside.channel))

    def _text(self, kind: str, body: str) -> str:
        """Return a message in one of its forms; the body's digits stay as they are."""
        form = self._dice.choice(FORMS) if self._form == "mixed" else self._form
        if form != "flat":
            return f'{{"type":"{kind}","{form}":{body}}}'
        return f'{{"type":"{kind}",{body[1:]}' if body != "{}" else f'{{"type":"{kind}"}}'

    # The login

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        if (wait := self._may_log_in.wait(request.remote or "")) is not None:
            return _throttled(wait)
        self.logins += 1
        told = await _asked_for(request, Credentials)
        if told is None:
            return self.refusal(400)
        if told.email != EMAIL or not self.password.is_good(told.password):
            return _answer(None, code=2001, status=401)
        return _answer(self.tokens.grant())

    async def _refresh(self, request: web.Request) -> web.StreamResponse:
        if (wait := self._may_refresh.wait(request.remote or "")) is not None:
            return _throttled(wait)
        self.refreshes += 1
        told = await _asked_for(request, Refresh)
        if told is None:
            return self.refusal(400)
        if not self.tokens.spend(told.refresh_token):
            return self.refusal(401)
        return _answer(self.tokens.grant())

    # REST

    def _asked(self, answer: Answer) -> Answer:
        """Return the call as it is for those who show a token, a hundred times a minute."""

        async def asked(request: web.Request) -> web.StreamResponse:
            bearer = request.headers.get("authorization", "")
            if self.tokens.ends(bearer.removeprefix("Bearer ")) is None:
                return self.refusal(401)
            if (wait := self._may_ask.wait(request.path)) is not None:
                return _throttled(wait)
            return await answer(request)

        return asked

    async def _orders(self, request: web.Request) -> web.StreamResponse:
        return _listed(request, [_row(order) for order in reversed(self.exchange.orders.values())])

    async def _order(self, request: web.Request) -> web.StreamResponse:
        order = self.exchange.orders.get(request.match_info["id"])
        return self.refusal(404) if order is None else _answer(_row(order))

    async def _place(self, request: web.Request) -> web.StreamResponse:
        """Answer before anything is matched; what follows is told like everything else."""
        asked = _read(await request.text())
        if asked.get("market_id") not in MARKETS or not all(name in asked for name in PLACED):
            return self.refusal(400)
        deal = self.exchange.deal("pending open trade filled fill")
        deal.market, deal.body = asked["market_id"], {name: asked[name] for name in PLACED}
        self._tell(self._step(deal), ())
        matching = asyncio.create_task(self._match(deal))
        self._tasks.add(matching)
        matching.add_done_callback(self._tasks.discard)
        order = {"id": deal.body["order_id"], "status": "pending"}
        return _answer({"order": order, "trades": []}, status=202)

    async def _match(self, deal: Deal) -> None:
        while deal.steps:
            await asyncio.sleep(MATCHES_WITHIN_S)
            happening = self._step(deal)
            self._tell(happening, self._listeners(happening.fact.about["channel"]))
            self._mention(happening.asides)

    def _step(self, deal: Deal) -> Happening:
        return self.exchange.step(deal, int(self._clock() * 1000))

    def _tell(self, happening: Happening, listeners: Sequence[Listener]) -> None:
        fact = happening.fact
        self._audience.books.happened()
        self._audience.tell(fact, self._text(fact.type, fact.body), listeners)

    async def _balance(self, _: web.Request) -> web.StreamResponse:
        return _answer(self.exchange.balance)

    async def _transactions(self, request: web.Request) -> web.StreamResponse:
        return _listed(request, list(reversed(self.exchange.transactions.values())))

    async def _positions(self, _: web.Request) -> web.StreamResponse:
        held = self.exchange.held.items()
        return _answer([{"market_id": m, "outcome_id": o, "quantity": n} for (m, o), n in held])

    async def _markets(self, _: web.Request) -> web.StreamResponse:
        return _answer([{"id": market, "status": "open"} for market in MARKETS])

    async def _market(self, request: web.Request) -> web.StreamResponse:
        market = request.match_info["id"]
        return _answer({"id": market, "status": "open"}) if market in MARKETS else self.refusal(404)

    async def _trades(self, request: web.Request) -> web.StreamResponse:
        trades = self.exchange.trades.get(request.match_info["id"])
        return self.refusal(404) if trades is None else _answer(list(reversed(trades)))

    async def _book(self, request: web.Request) -> web.StreamResponse:
        market = request.match_info["id"]
        if market not in MARKETS:
            return self.refusal(404)
        price = self.exchange.trades[market][-1]["price"] if self.exchange.trades[market] else 5000
        book = {"bids": [[max(price - 10, 0), 300]], "asks": [[min(price + 10, 10_000), 150]]}
        return _answer({"market_id": market, "outcome_id": "out_1", **book})


def _row(order: Body) -> Body:
    """Return an order as REST shows it: under `id`."""
    return {"id": order["order_id"], **{name: order[name] for name in order if name != "order_id"}}


def _listed(request: web.Request, rows: list[Body]) -> web.Response:
    page, size = (int(request.query.get(name, default)) for name, default in _PAGING)
    begin = (page - 1) * size
    shown = {"items": rows[begin : begin + size], "page": page, "size": size, "total": len(rows)}
    return _answer(shown)


_PAGING = (("page", "1"), ("size", str(PAGE)))


def _answer(content: object, code: int = 0, status: int = 200) -> web.Response:
    words = "ok" if code == 0 else "refused"
    return web.json_response({"code": code, "msg": words, "data": content}, status=status)


def _throttled(wait: float) -> web.Response:
    body = {"code": TOO_MANY, "msg": "rate limited", "data": None}
    return web.json_response(body, status=429, headers={"Retry-After": str(int(wait) + 1)})


def _read(text: str) -> Body:
    with suppress(json.JSONDecodeError):
        told = json.loads(text)
        if isinstance(told, dict):
            return told
    return {}


async def _asked_for(request: web.Request, kind: type[B]) -> B | None:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError:
        return None


def SatoriexTwin(  # noqa: N802, PLR0913 - reads as the constructor that it is
    *,
    form: Form = "flat",
    ids: bool = True,
    big: float = 0.01,
    acknowledges: bool = False,
    single: bool = False,
    cuts: bool = False,
    token_lives_s: float = 900.0,
    connections: int = 60,
    **terms: Unpack[Terms],
) -> Twin[Satoriex]:
    """Return a SatoriEx twin; see `Satoriex` and `Twin` for the arguments."""
    provider = partial(
        Satoriex,
        form=form,
        ids=ids,
        big=big,
        acknowledges=acknowledges,
        single=single,
        cuts=cuts,
        token_lives_s=token_lives_s,
        connections=connections,
    )
    return Twin("satoriex", provider, CURRENCY_OF, orders=Satoriex.orders, **terms)

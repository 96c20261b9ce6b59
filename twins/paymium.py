"""Paymium's public and user streams and its REST API, as a stand-in.

https://github.com/Paymium/api-documentation (the API)
https://github.com/nemanull/arbitrage-observatory (docs/profiles/paymium: captures of the wire)
"""

import asyncio
import hmac
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Unpack

import msgspec
from aiohttp import web

from twins.audience import Audience, Listener
from twins.books import Fact
from twins.chance import dice, falls, uuid
from twins.control import Orders
from twins.courier import Post, Stamp
from twins.engineio3 import Namespaces, Timers
from twins.faults import Order
from twins.paymium_damage import DAMAGES, damages_of
from twins.paymium_lifecycle import CURRENCY_OF, ORDER, PAYMENT, TRANSFER, Lifecycles
from twins.paymium_market import Market
from twins.provider import Clock, Damage, Publication
from twins.server import Terms, Twin

API_KEY = "twin-paymium-key"
API_SECRET = "twin-paymium-secret"  # noqa: S105 - a stand-in's
PUBLIC, USER = "/public", "/user"
BALANCES = ("balance_eur", "locked_eur", "balance_btc", "locked_btc")
NUMBERS = ("amount", "currency_amount", "price", "btc_amount")  # that the older form had as such
KEPT_FINAL = 5_000  # orders that REST still knows

Answer = web.StreamResponse


class Paymium:
    """Market data for everybody; orders and balances for who knows the channel.

    `older` is the share of facts that are told in the envelope of 2015, in one of its carriers;
    `every_s` are the seconds between two `prices`, and two `announcement`; `trading` is the share
    of facts beside which somebody trades in public.
    """

    path = "/ws/socket.io/"

    def __init__(  # noqa: PLR0913 - each has one meaning
        self,
        audience: Audience,
        seed: int,
        clock: Clock,
        *,
        timers: Timers,
        every_s: float,
        older: float,
        trading: float,
    ) -> None:
        self._trading = trading
        self._clock, self._every_s, self._older = clock, every_s, older
        self._dice = dice(seed, "paymium wire")
        self._lifecycles = Lifecycles(dice(seed, "paymium"))
        self._market = Market(dice(seed, "paymium market"))
        self.channel_id = f"{self._dice.getrandbits(256):064x}"
        self.payments = tuple(uuid(self._dice) for _ in range(20))
        self._awaited = set(self.payments)
        self._channels: defaultdict[str, dict[Listener, None]] = defaultdict(dict)
        self._namespaces = Namespaces(
            audience,
            self._dice,
            timers,
            {PUBLIC: lambda *_: None, USER: self._emitted},
            self._joined,
        )
        self._audience = audience
        self._facts: dict[str, Fact] = {}
        self._nonces: defaultdict[str, int] = defaultdict(int)
        self._ticking: set[asyncio.Task[None]] = set()

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get(self.path, self._namespaces.connect),
            web.get("/api/v1/data/eur/depth", self._depth),
            web.get("/api/v1/data/eur/ticker", self._ticker),
            web.get("/api/v1/data/eur/trades", self._trades),
            web.get("/api/v1/user", self._signed(self._user)),
            web.get("/api/v1/user/orders", self._signed(self._orders)),
            web.get("/api/v1/user/withdrawals", self._signed(self._withdrawals)),
            web.get("/api/v1/user/orders/{uuid}", self._signed(self._order)),
            web.get("/api/v1/merchant/get_payment/{uuid}", self._signed(self._order)),
        )

    def secrets(self) -> dict[str, str]:
        return {"channel_id": self.channel_id, "api_key": API_KEY, "api_secret": API_SECRET}

    def happens(self) -> Fact:
        fact = self._lifecycles.next(int(self._clock() * 1000))
        self._facts.pop(fact.entity, None)
        self._facts[fact.entity] = fact
        if len(self._facts) > KEPT_FINAL:
            del self._facts[next(iter(self._facts))]
        if falls(self._dice, 0.2):
            self._tell_everybody(self._market.burst(int(self._clock())))
        if self._trading and falls(self._dice, self._trading):
            self._tell_everybody(self._market.trade(int(self._clock() * 1000)))
        return fact

    def publications(self, fact: Fact) -> Sequence[Publication]:
        listeners = self._listeners(fact)
        return (Publication(self._frame(fact), listeners),) if listeners else ()

    def damaged(self, fact: Fact) -> Damage:
        name = self._dice.choice(damages_of(fact))
        return Damage(name, DAMAGES[name](fact.body), self._listeners(fact))

    def refusal(self, status: int) -> web.Response:
        return web.json_response({"errors": ["Refused"]}, status=status)

    def expire(self) -> None:
        """Give the account another channel: no expiry is published, and none is told."""
        self._channels.pop(self.channel_id, None)
        self.channel_id = f"{self._dice.getrandbits(256):064x}"

    def orders(self) -> Orders:
        """Return the orders that only this twin knows."""
        return {
            "leave": lambda _: self._namespaces.disconnect(),
            "engine-close": lambda _: self._namespaces.close(),
            "swallow-pongs": self._swallow_pongs,
            "deny-namespaces": self._deny_namespaces,
            "bulk": self._bulk,
        }

    # The callback of a payment

    def webhook_secrets(self) -> tuple[str, ...]:
        return ()

    def post(self, fact: Fact, stamp: Stamp) -> Post | None:
        """Unsigned, so no worse signature can be made: a word in the URL tells who it is."""
        if fact.type != PAYMENT or stamp.secrets or stamp.is_old:
            return None
        return Post(fact.body)

    # The streams

    def _joined(self, _listener: Listener, namespace: str) -> None:
        if namespace == PUBLIC and not self._ticking:
            task = asyncio.create_task(self._tick())
            self._ticking.add(task)
            task.add_done_callback(self._ticking.discard)

    async def _tick(self) -> None:
        """Tell everybody the prices and the notices again and again, while anybody is there."""
        while self._namespaces.members(PUBLIC):
            now = int(self._clock())
            for text in (self._market.prices(now), self._market.announcement()):
                self._tell_everybody(text)
            self._tell_everybody(self._market.burst(now))
            await asyncio.sleep(self._every_s)

    def _tell_everybody(self, text: str) -> None:
        for listener in self._namespaces.members(PUBLIC):
            if not self._audience.mute:
                listener.say(text)

    def _emitted(self, listener: Listener, event: str, arguments: list[Any]) -> None:
        """Subscribe a channel. A wrong one gives nothing at all, and a right one neither."""
        match event, arguments:
            case "channel", [str(channel)]:
                self._channels[channel][listener] = None
                if channel == self.channel_id:
                    self._audience.attentive.set()
                if channel in self._awaited:
                    self._awaited.discard(channel)
                    self._lifecycles.expect_payment(channel)

    def _listeners(self, fact: Fact) -> list[Listener]:
        """Return who joined the fact's channel and is still there."""
        here = set(self._namespaces.members(USER))
        channel = self._channels[fact.about.get("channel", self.channel_id)]
        for gone in [listener for listener in channel if listener not in here]:
            del channel[gone]
        return list(channel)

    def _frame(self, fact: Fact) -> str:
        if fact.type == PAYMENT or falls(self._dice, self._older):
            return self._older_frame(PAYMENT if fact.type == PAYMENT else ORDER, fact.body)
        balances = {
            name: f"{self._dice.randint(0, 10**10) / 10**8:.8f}"
            for name in self._dice.sample(BALANCES, self._dice.choice((0, 0, 1, 2)))
        }
        changed = {"orders": [msgspec.Raw(fact.body.encode())], **balances}
        return f'42{USER},["stream",{_json(changed)}]'

    def _older_frame(self, event: str, body: str) -> str:
        """Return the envelope of 2015 in one of its carriers, at times with JSON numbers."""
        if falls(self._dice, 0.5):
            body = _with_numbers(body)
        payload: object = body if falls(self._dice, 0.3) else msgspec.Raw(body.encode())
        if falls(self._dice, 0.5):
            return f"42{USER},{_json([event, payload])}"
        return f"42{USER},{_json(['stream', {'event': event, 'payload': payload}])}"

    # What it does wrong

    def _swallow_pongs(self, order: Order) -> None:
        self._namespaces.pongs_from = _now() + order.seconds

    def _deny_namespaces(self, order: Order) -> None:
        self._namespaces.denies_until = _now() + order.seconds

    def _bulk(self, order: Order) -> None:
        """Tell everybody, in each namespace, one frame with at least so many characters."""
        text = "x" * order.count
        self._tell_everybody(f'42{PUBLIC},["announcement",[{{"severity":"info","text":"{text}"}}]]')
        for listener in self._namespaces.members(USER):
            listener.say(f'42{USER},["notice",{{"message":"{text}"}}]')

    # REST

    def _signed(self, answer: Any) -> Any:  # noqa: ANN401 - aiohttp's handlers
        async def answered(request: web.Request) -> web.StreamResponse:
            nonce = request.headers.get("Api-Nonce", "")
            if not self._is_signed(request, nonce, await request.text()):
                return web.json_response({"errors": ["Invalid signature"]}, status=401)
            if int(nonce) <= self._nonces[API_KEY]:
                return web.json_response({"errors": ["Nonce did not grow"]}, status=401)
            self._nonces[API_KEY] = int(nonce)
            response: web.StreamResponse = answer(request)
            return response

        return answered

    def _is_signed(self, request: web.Request, nonce: str, body: str) -> bool:
        text = f"{nonce}{request.url}{body}"
        mac = hmac.digest(API_SECRET.encode(), text.encode(), "sha256").hex()
        given = request.headers.get("Api-Signature", "")
        is_key = request.headers.get("Api-Key") == API_KEY
        return is_key and nonce.isdecimal() and hmac.compare_digest(mac, given)

    async def _depth(self, _: web.Request) -> web.Response:
        return web.json_response(self._market.depth())

    async def _ticker(self, _: web.Request) -> web.Response:
        return web.json_response(self._market.ticker(int(self._clock())))

    async def _trades(self, request: web.Request) -> web.Response:
        """Tell everybody's trades of a week, or since a unix second, in no order; at most 1,000.

        The books take them here: only REST gives them a uuid.
        """
        now = int(self._clock())
        trades = self._market.trades(int(request.query.get("since", str(now - 7 * 86_400))))
        page = f"[{','.join(fact.body for fact in trades)}]"
        for fact in trades:
            self._audience.books.told(fact, page, 1, None)
        return web.Response(text=page, content_type="application/json")

    def _user(self, _: web.Request) -> web.Response:
        told = {"name": "BC-U123456", "email": "user@example.org", "locale": "en"}
        balances = dict.fromkeys(BALANCES, "1.0")
        user = {**told, "channel_id": self.channel_id, "meta_state": "approved", **balances}
        return web.json_response(user)

    def _orders(self, request: web.Request) -> web.Response:
        """Trading orders only: all active ones, or a page of the recent ones."""
        found = [fact for fact in reversed(self._facts.values()) if fact.type == ORDER]
        if request.query.get("active") == "true":
            found = [fact for fact in found if fact.status in {"active", "pending_execution"}]
        else:
            first = int(request.query.get("offset", "0"))
            found = found[first : first + int(request.query.get("limit", "50"))]
        bodies = ",".join(fact.body for fact in found)
        return web.Response(text=f"[{bodies}]", content_type="application/json")

    def _withdrawals(self, request: web.Request) -> web.Response:
        """Transfers alone, in the other of the two pagings."""
        found = [fact for fact in reversed(self._facts.values()) if fact.type == TRANSFER]
        per_page = min(max(int(request.query.get("per_page", "20")), 5), 100)
        first = (int(request.query.get("page", "1")) - 1) * per_page
        bodies = ",".join(fact.body for fact in found[first : first + per_page])
        return web.Response(text=f"[{bodies}]", content_type="application/json")

    def _order(self, request: web.Request) -> web.Response:
        is_payment = request.path.startswith("/api/v1/merchant/")
        fact = self._facts.get(request.match_info["uuid"])
        if fact is None or (fact.type == PAYMENT) != is_payment or fact.type == TRANSFER:
            return web.json_response({"errors": ["Not found"]}, status=404)
        return web.Response(text=fact.body, content_type="application/json")


def _with_numbers(body: str) -> str:
    content: Mapping[str, Any] = msgspec.json.decode(body)
    return _json(
        {
            name: msgspec.Raw(value.encode()) if name in NUMBERS and value is not None else value
            for name, value in content.items()
        }
    )


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()


def _now() -> float:
    return asyncio.get_running_loop().time()


def PaymiumTwin(  # noqa: N802 - reads as the constructor that it is
    *,
    timers: Timers | None = None,
    every_s: float = 10.0,
    older: float = 0.1,
    trading: float = 0.0,
    **terms: Unpack[Terms],
) -> Twin[Paymium]:
    """Return a Paymium twin; see `Paymium` and `Twin` for the arguments."""
    provider = partial(
        Paymium, timers=timers or Timers(), every_s=every_s, older=older, trading=trading
    )
    return Twin(
        "paymium",
        provider,
        CURRENCY_OF,
        correspondent=lambda paymium: paymium,
        orders=Paymium.orders,
        **terms,
    )

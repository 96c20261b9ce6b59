"""AssetPay's realtime gateway, as a stand-in.

https://assetpay.gg/docs
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/realtime.ts
"""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Unpack

import jwt
import msgspec
from aiohttp import web

from twins.assetpay_damage import damages_of, frame
from twins.assetpay_lifecycle import CS2, CURRENCY_OF, RUST, Lifecycles, item
from twins.assetpay_rest import Api
from twins.audience import Audience
from twins.books import NOTHING, Fact
from twins.chance import dice, falls
from twins.control import Orders
from twins.courier import Post, Secrets, Stamp
from twins.notation import iso
from twins.provider import Clock, Damage, Publication
from twins.rotation import Rotation
from twins.server import Terms, Twin
from twins.socketio_server import Guest, Host, Timers

API_KEY = "ap_twin_merchant"  # may see the market
TRADES_KEY = "ap_twin_trades"  # may not
API_SECRET = "twin-assetpay-api-secret-of-32-bytes"  # noqa: S105 - a stand-in's
TRADE_URL = "https://steamcommunity.com/tradeoffer/new/?partner=1&token=twin"
DAY_S = 24 * 3600
MISSED = '42["market",{"type":"sync","reason":"subscribe"}]'
ATTACHED = '451-["trade",{"_placeholder":true,"num":0}]'
ATTACHMENT = b"bytes that an event points at"

_json = msgspec.json.Encoder(decimal_format="number")


class AssetPay:
    """Everything to everyone who is let in; the market to those who may see it.

    A `market` event follows a fact in this share of cases. A key or token is looked at after
    the join was answered, and a bad one is dropped without a word.
    """

    path = "/socket.io/"

    def __init__(
        self, audience: Audience, seed: int, clock: Clock, *, timers: Timers, market: float
    ) -> None:
        self._audience, self._clock, self._market = audience, clock, market
        self._lifecycles = Lifecycles(dice(seed, "assetpay"))
        self._dice = dice(seed, "assetpay wire")
        self._host = Host(audience, timers, self._lets_in)
        self.key = Rotation(API_KEY, clock)
        self._api = Api(clock, self._is_known)
        self._revoked_until = 0.0
        self._ending: set[asyncio.Task[None]] = set()
        self._secrets = Secrets(API_SECRET, clock)

    def routes(self) -> Sequence[web.RouteDef]:
        return (web.get(self.path, self._host.connect), *self._api.routes())

    def secrets(self) -> dict[str, str]:
        return {
            "api_key": self.key.current,
            "trades_key": TRADES_KEY,
            "api_secret": API_SECRET,
            "trade_url": TRADE_URL,
            "webhook_key": API_SECRET,
            "webhook": "tee = true",
        }

    def orders(self) -> Orders:
        """Return the orders that only this twin knows."""
        return {
            "deploy": lambda _: self.deploy(),
            "revoke": lambda order: self.revoke(order.seconds),
            "stop-pings": lambda _: self._host.stop_pings(),
            "attach": lambda _: self.attach(),
            "rotate-secret": lambda order: self._secrets.rotate(order.seconds),
            "limit": lambda order: self._api.limit(order.count),
        }

    def happens(self) -> Fact:
        now = int(self._clock() * 1000)
        if falls(self._dice, self._market):
            self._show(now)
        fact = self._lifecycles.next(now)
        self._api.know(fact)
        return fact

    def publications(self, fact: Fact) -> Sequence[Publication]:
        listeners = tuple(self._host.guests)
        return (Publication(frame(fact), listeners),) if listeners else ()

    def damaged(self, fact: Fact) -> Damage:
        ways = damages_of(fact)
        name = self._dice.choice(tuple(ways))
        return Damage(name, ways[name](fact), tuple(self._host.guests))

    def refusal(self, status: int) -> web.Response:
        return self._api.refusal(status)

    def expire(self) -> None:
        """End the connections that came with a token: theirs is over, a new one is taken."""
        self._end([each for each in self._host.guests.values() if "token" in each.request.query])

    # Webhooks

    def webhook_secrets(self) -> tuple[str, ...]:
        return self._secrets.now()

    def post(self, fact: Fact, stamp: Stamp) -> Post | None:
        """Trades alone: the fundings of this twin are the merchant's own.

        https://github.com/assetpaygg/assetpay-sdk/blob/main/src/webhooks.ts
        """
        if fact.type != "trade":
            return None
        body, time = f'{{"trade":{fact.body}}}', iso(int(stamp.at * 1000))
        text = f"{stamp.delivery}.{time}.{body}".encode()
        macs = [hmac.digest(each.encode(), text, "sha256").hex() for each in stamp.secrets]
        signed = ",".join(f"{name}={mac}" for name, mac in zip(("s", "s1"), macs, strict=False))
        headers = {"X-AssetPay-Signature": f"t={time},id={stamp.delivery},{signed}"}
        return Post(body, headers, asks=_is_question(fact))

    # Orders of its own

    async def deploy(self) -> None:
        """Disconnect everybody, as every deploy does."""
        for guest in tuple(self._host.guests.values()):
            await self._host.end(guest)

    async def revoke(self, seconds: float) -> None:
        """Let no key or token be good for a while, of those who are connected neither."""
        self._revoked_until = asyncio.get_running_loop().time() + seconds
        await self.deploy()

    def attach(self) -> None:
        """Send an event with a binary attachment, which nobody knows how to read."""
        listeners = tuple(self._host.guests)
        self._audience.damage(NOTHING, ATTACHED, listeners, "binary event")
        self._audience.damage(NOTHING, ATTACHMENT, listeners, "attachment")

    # Who is let in

    def _lets_in(self, guest: Guest) -> bool:
        if asyncio.get_running_loop().time() < self._revoked_until:
            return False
        key = guest.request.query.get("apiKey")
        if not self._is_known(key) and not self._is_good(guest.request.query):
            return False
        if key != TRADES_KEY:
            guest.listener.say(MISSED)
        return True

    def _is_known(self, key: str | None) -> bool:
        return key == TRADES_KEY or self.key.is_good(key)

    def _is_good(self, query: Mapping[str, str]) -> bool:
        """Judge a client token as the real one is judged: signature, times, and at most a day."""
        try:
            claims = jwt.decode(
                query.get("token", ""),
                API_SECRET,
                algorithms=["HS256"],
                options={"require": ["iat", "exp"], "verify_iat": False, "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            return False
        named = {"merchantId", "client"} <= claims.keys()
        lives = claims["exp"] - claims["iat"]
        return named and 0 < lives <= DAY_S and self._clock() < claims["exp"]

    def _end(self, guests: Sequence[Guest]) -> None:
        for guest in guests:
            ending = asyncio.create_task(self._host.end(guest))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    # The market

    def _show(self, now: int) -> None:
        """Say something of the market: it is not in the books, since nobody can tell it again."""
        if self._audience.mute:
            return
        text = f'42["market",{_json.encode(self._shown(now)).decode()}]'
        for listener, guest in self._host.guests.items():
            if guest.request.query.get("apiKey") != TRADES_KEY:
                listener.say(text)

    def _shown(self, now: int) -> dict[str, Any]:
        game = self._dice.choice((CS2, RUST))
        place = {"game": int(game), "source": self._dice.choice(("internal", "external", "Xk9W"))}
        listed = item(self._dice, game)
        match self._dice.randrange(10):
            case 0:
                return {"type": "sync", "reason": "feed", **place}
            case 1 | 2:
                return {"type": "remove", **place, "itemId": listed["id"]}
            case n:
                kind = "patch" if n % 2 else "upsert"
                return {"type": kind, **place, "item": listed, "at": iso(now)}


def _is_question(fact: Fact) -> bool:
    """Whether any 2xx approves the withdrawal."""
    trade = msgspec.json.decode(fact.body)
    return (trade["type"].lower(), trade["status"].lower()) == ("withdraw", "initiated")


def AssetPayTwin(  # noqa: N802 - reads as the constructor that it is
    *, timers: Timers | None = None, market: float = 0.2, **terms: Unpack[Terms]
) -> Twin[AssetPay]:
    """Return an AssetPay twin; see `AssetPay` and `Twin` for the arguments."""
    provider = partial(AssetPay, timers=timers or Timers(), market=market)
    return Twin(
        "assetpay",
        provider,
        CURRENCY_OF,
        correspondent=lambda assetpay: assetpay,
        orders=AssetPay.orders,
        **terms,
    )

"""Transak's order channels and partner API, as a stand-in.

https://docs.transak.com/docs/webhooks (events and signatures)
https://docs.transak.com/reference/get-orders (the list and what it leaves out by default)
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Unpack

import jwt
import msgspec
from aiohttp import web

from twins.allowance import Window
from twins.audience import Audience
from twins.books import Fact
from twins.chance import dice, falls
from twins.control import Orders
from twins.courier import Post, Stamp
from twins.notation import iso
from twins.provider import Clock, Damage, Publication
from twins.pusher import Channels, Timers
from twins.server import Terms, Twin
from twins.transak_damage import PUBLIC, SIGNED, Spoiler
from twins.transak_lifecycle import CURRENCY_OF, Lifecycles

APP_KEY = "1d9ffac87de599c61283"
API_KEY = "twin-api-key"
API_SECRET = "twin-api-secret"  # noqa: S105 - a stand-in's
TOO_MANY = 429
REFRESHES = 5  # a minute: assumed, since no limit is published
WEEK_S = 7 * 24 * 3600
WINDOW = timedelta(days=90)
UNAUTHORIZED = {"statusCode": 401, "name": "Unauthorized", "message": "Authorization Required"}

_jws = jwt.PyJWS()
_orders = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_json = msgspec.json.Encoder(decimal_format="number")


class Transak:
    """Every order change on three channels; that of the API key carries signed tokens.

    `access_token` signs until it is refreshed, and for `lingers_s` seconds more; it should have
    32 bytes, below which PyJWT warns. A new token ends after `token_lives_s` seconds.
    """

    path = f"/app/{APP_KEY}"

    def __init__(  # noqa: PLR0913 - each has one meaning
        self,
        audience: Audience,
        seed: int,
        clock: Clock,
        *,
        access_token: str | None,
        lingers_s: float,
        token_lives_s: float,
        timers: Timers,
    ) -> None:
        self._dice = dice(seed, "transak wire")
        self.access_token = access_token or f"twin-access-token-{self._dice.getrandbits(256):064x}"
        self._clock, self._lingers_s, self._token_lives_s = clock, lingers_s, token_lives_s
        self._ends = clock() + token_lives_s
        self._previous, self._previous_until = "", 0.0
        self._lifecycles = Lifecycles(dice(seed, "transak"))
        self._channels = Channels(APP_KEY, audience, self._dice, timers)
        self._orders: dict[str, Fact] = {}
        self._may_refresh = Window(REFRESHES, 60, clock)
        self.refreshes = 0

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get("/app/{key}", self._channels.connect),
            web.post("/partners/api/v2/refresh-token", self._refresh),
            web.get("/partners/api/v2/orders", self._list),
            web.get("/partners/api/v2/order/{id}", self._one),
        )

    def secrets(self) -> dict[str, str]:
        return {
            "api_key": API_KEY,
            "api_secret": API_SECRET,
            "access_token": self.access_token,
            "webhook_key": self.access_token,
        }

    def orders(self) -> Orders:
        """Return the orders that only this twin knows."""
        return {"replace-token": lambda _: self._replace_token()}

    def _replace_token(self) -> None:
        """Refresh it as another system of the same partner may, without telling us."""
        self.refresh()

    def happens(self) -> Fact:
        fact = self._lifecycles.next(int(self._clock() * 1000))
        self._orders[fact.entity] = fact
        return fact

    def publications(self, fact: Fact) -> Sequence[Publication]:
        published = [
            Publication(self._public_frame(fact, channel), listeners, aside=True)
            for channel in _public_channels(fact)
            if (listeners := self._channels.subscribers(channel))
        ]
        if listeners := self._channels.subscribers(API_KEY):
            published.append(Publication(self._signed_frame(fact), listeners))
        self._dice.shuffle(published)
        return published

    def damaged(self, fact: Fact) -> Damage:
        channel, ways = API_KEY, SIGNED
        if not self._channels.subscribers(API_KEY):
            heard = filter(self._channels.subscribers, _public_channels(fact))
            channel, ways = next(heard, fact.entity), PUBLIC
        name = self._dice.choice(tuple(ways))
        text = ways[name](Spoiler(fact, channel, self._signing_key()))
        return Damage(name, text, self._channels.subscribers(channel))

    def refusal(self, status: int) -> web.Response:
        error = {"statusCode": status, "name": "Refused", "message": "Refused"}
        headers = {"Retry-After": "2"} if status == TOO_MANY else {}
        return web.json_response({"error": error}, status=status, headers=headers)

    def expire(self) -> None:
        """Let REST refuse the access token from now on; a refresh gives a new one."""
        self._ends = 0.0

    def refresh(self) -> str:
        """Replace the access token and return the new one; the old one signs while it lingers."""
        now = self._clock()
        self._previous, self._previous_until = self.access_token, now + self._lingers_s
        self._ends = now + self._token_lives_s
        claims = {"API_KEY": API_KEY, "iat": int(now), "exp": int(self._ends)}
        # Told apart from one minted in the same second.
        claims["jti"] = f"{self._dice.getrandbits(64):016x}"
        self.access_token = _jws.encode(_json.encode(claims), self.access_token)
        return self.access_token

    # Webhooks

    def webhook_secrets(self) -> tuple[str, ...]:
        return (self._signing_key(),)

    def post(self, fact: Fact, stamp: Stamp) -> Post:
        """https://docs.transak.com/features/webhooks"""
        sent: dict[str, Any] = {
            "webhookData": msgspec.Raw(fact.body.encode()),
            "eventID": fact.type,
            "createdAt": iso(int(stamp.at * 1000)),
        }
        # Nothing else in a token tells when it was signed: an old one is one that has ended.
        if stamp.is_old:
            sent["exp"] = int(stamp.at)
        token = _jws.encode(_json.encode(sent), stamp.secrets[0], "HS256")
        return Post(f'{{"data":"{token}"}}')

    # Frames

    def _signing_key(self) -> str:
        return self._previous if self._clock() < self._previous_until else self.access_token

    def _signed_frame(self, fact: Fact) -> str:
        """Return a frame of the API-key channel, in one of the forms that were seen."""
        claims: dict[str, Any] = {}
        if falls(self._dice, 0.1):
            claims |= {"iat": int(self._clock()), "exp": int(self._clock()) + WEEK_S}
        if falls(self._dice, 0.5):
            body = _with(fact.body, claims)
        else:
            wrapped = {"webhookData": msgspec.Raw(fact.body.encode()), "eventID": fact.type}
            body = _json.encode(wrapped | {"createdAt": iso(int(self._clock() * 1000))} | claims)
        headers = {"typ": None} if falls(self._dice, 0.3) else None
        token = _jws.encode(body, self._signing_key(), "HS256", headers)
        return _frame(fact.type, API_KEY, f'"{token}"' if falls(self._dice, 0.05) else token)

    def _public_frame(self, fact: Fact, channel: str) -> str:
        """Return a frame with the order as text, at times as an object as in the specification."""
        if falls(self._dice, 0.05):
            return _frame(fact.type, channel, msgspec.Raw(fact.body.encode()))
        return _frame(fact.type, channel, fact.body)

    # REST

    async def _refresh(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("api-secret") != API_SECRET:
            return _unauthorized()
        if self._may_refresh.wait(API_KEY) is not None:
            return self.refusal(TOO_MANY)
        self.refreshes += 1
        token = self.refresh()
        return _response({"data": {"accessToken": token, "expiresAt": int(self._ends)}})

    async def _one(self, request: web.Request) -> web.StreamResponse:
        if not self._is_authorized(request):
            return _unauthorized()
        order_id = request.match_info["id"]
        if order_id not in self._orders:
            return self.refusal(404)
        return _response({"meta": {"orderId": order_id}, "data": _shown(self._orders[order_id])})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if not self._is_authorized(request):
            return _unauthorized()
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        try:
            meta = _asked(request.query, today)
        except ValueError:
            return self.refusal(400)
        found = [fact for fact in self._orders.values() if _is_asked_for(fact, meta)]
        found.sort(key=lambda fact: fact.about["createdAt"], reverse=meta["sortOrder"] == "desc")
        page = found[meta["skip"] : meta["skip"] + meta["limit"]]
        meta["totalCount"] = len(found)
        return _response({"meta": meta, "data": [_shown(fact) for fact in page]})

    def _is_authorized(self, request: web.Request) -> bool:
        is_current = request.headers.get("access-token") == self.access_token
        return is_current and self._clock() < self._ends


def _public_channels(fact: Fact) -> tuple[str, str]:
    return fact.entity, f"{API_KEY}_{fact.about['partnerOrderId']}"


def _frame(event: str, channel: str, content: str | msgspec.Raw) -> str:
    return msgspec.json.encode({"event": event, "channel": channel, "data": content}).decode()


def _with(body: str, claims: Mapping[str, Any]) -> bytes:
    """Return a JSON object with some members more, its own digits untouched."""
    if not claims:
        return body.encode()
    return body[:-1].encode() + b"," + _json.encode(claims)[1:]


def _shown(fact: Fact) -> dict[str, Any]:
    """Return an order as REST shows it: with `_id`, and always with `updatedAt`."""
    order = _orders.decode(fact.body)
    order.pop("id", None)
    return {**order, "_id": fact.entity, "updatedAt": order.get("updatedAt", order["createdAt"])}


def _asked(query: Mapping[str, str], today: date) -> dict[str, Any]:
    """Return what a list call asks for, with the real defaults. Raises ValueError."""
    products = json.loads(query.get("filter[productsAvailed]", '["BUY"]'))
    end = date.fromisoformat(query["endDate"]) if "endDate" in query else today
    start = date.fromisoformat(query["startDate"]) if "startDate" in query else end - WINDOW
    order = query.get("filter[sortOrder]", "desc")
    if not isinstance(products, list) or order not in {"asc", "desc"}:
        raise ValueError
    asked = {"productsAvailed": products, "status": [query.get("filter[status]", "COMPLETED")]}
    for name in ("walletAddress", "partnerOrderId"):
        if f"filter[{name}]" in query:
            asked[name] = [query[f"filter[{name}]"]]
    return {
        "filter": asked,
        "sortOrder": order,
        "startDate": start.isoformat(),
        "endDate": end.isoformat(),
        "limit": int(query.get("limit", "100")),
        "skip": int(query.get("skip", "0")),
    }


def _is_asked_for(fact: Fact, meta: Mapping[str, Any]) -> bool:
    shown = {**fact.about, "status": fact.status, "productsAvailed": fact.about["isBuyOrSell"]}
    within = meta["startDate"] <= fact.about["createdAt"][:10] <= meta["endDate"]
    return within and all(shown[name] in wanted for name, wanted in meta["filter"].items())


def _response(body: object) -> web.Response:
    return web.Response(body=_json.encode(body), content_type="application/json")


def _unauthorized() -> web.Response:
    return web.json_response({"error": UNAUTHORIZED}, status=401)


def TransakTwin(  # noqa: N802 - reads as the constructor that it is
    *,
    access_token: str | None = None,
    lingers_s: float = 0.0,
    token_lives_s: float = WEEK_S,
    timers: Timers | None = None,
    **terms: Unpack[Terms],
) -> Twin[Transak]:
    """Return a Transak twin; see `Transak` and `Twin` for the arguments."""
    provider = partial(
        Transak,
        access_token=access_token,
        lingers_s=lingers_s,
        token_lives_s=token_lives_s,
        timers=timers or Timers(),
    )
    return Twin(
        "transak",
        provider,
        CURRENCY_OF,
        orders=Transak.orders,
        correspondent=lambda transak: transak,
        **terms,
    )

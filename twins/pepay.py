"""Pepay's commerce stream and REST API, as a stand-in.

https://docs-alpha.pepay.io/api-spec/realtime/websockets
https://docs-alpha.pepay.io/api-reference/events/list-events
https://docs-alpha.pepay.io/api-spec/webhooks
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

import msgspec
from aiohttp import web

from twins.audience import Audience, Listener
from twins.books import Fact
from twins.chance import dice, falls
from twins.control import Orders
from twins.courier import Post, Secrets, Stamp
from twins.notation import iso
from twins.pepay_damage import DAMAGES, damages_of
from twins.pepay_lifecycle import CURRENCY_OF, Lifecycles
from twins.pepay_log import Log, Position, Refused, Retention, Wish, cursor, wished
from twins.provider import Clock, Damage, Publication
from twins.rotation import Rotation
from twins.server import Terms, Twin

COMMERCE_KEY = "ck_twin"
MERCHANT_KEY = "pk_twin"
WEBHOOK_SECRET = "whsec_twin"  # noqa: S105 - a stand-in's
TOKEN_LIVES_S = 60
TOO_MANY = 429
STREAM_FILTERS = ("order_id", "invoice_id", "customer_id", "wallet_address", "wallet_network")
REFUSALS: Mapping[int, tuple[str, str]] = {
    400: ("Invalid request", "INVALID_REQUEST"),
    401: ("Invalid or expired token", "UNAUTHORIZED"),
    403: ("Insufficient scope", "FORBIDDEN"),
    404: ("Not found", "NOT_FOUND"),
    429: ("Too many requests", "RATE_LIMIT_EXCEEDED"),
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Token:
    """A ws_token: good for one upgrade, until it ends."""

    scope: str
    ends: float


class Mint(msgspec.Struct):
    """Body of a mint request."""

    scope: str = "commerce"
    ttl_seconds: int = TOKEN_LIVES_S


class Pepay:
    """Events with ids, replayed within a retention.

    `announces` says whether `ws_control` tells of a replay's end and of a `since` beyond it;
    a ws_token ends after `token_lives_s` seconds.
    """

    path = "/ws/commerce/events"

    def __init__(  # noqa: PLR0913 - each has one meaning
        self,
        audience: Audience,
        seed: int,
        clock: Clock,
        *,
        retention: Retention,
        announces: bool,
        token_lives_s: float,
    ) -> None:
        self._audience, self._clock, self._announces = audience, clock, announces
        self._lifecycles = Lifecycles(dice(seed, "pepay"))
        self._dice = dice(seed, "pepay wire")
        self._log = Log(retention, clock)
        self._wishes: dict[Listener, Wish] = {}
        self._tokens: dict[str, Token] = {}
        self._token_lives_s = token_lives_s
        self.key = Rotation(COMMERCE_KEY, clock)
        self._secrets = Secrets(WEBHOOK_SECRET, clock)

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get(self.path, self._answered(self._stream)),
            web.post("/api/v1/ws/token", self._answered(self._mint)),
            web.get("/api/v1/events", self._answered(self._list)),
            web.get("/api/v1/events/{id}", self._answered(self._one)),
        )

    def secrets(self) -> dict[str, str]:
        return {
            "api_key": self.key.current,
            "merchant_key": MERCHANT_KEY,
            "webhook_key": WEBHOOK_SECRET,
        }

    def orders(self) -> Orders:
        """Return the orders that only this twin knows."""
        return {"rotate-secret": lambda order: self._secrets.rotate(order.seconds)}

    def happens(self) -> Fact:
        fact = self._lifecycles.next(int(self._clock() * 1000))
        self._log.append(fact)
        return fact

    def publications(self, fact: Fact) -> Sequence[Publication]:
        listeners = self._listeners(fact)
        return (Publication(fact.body, listeners),) if listeners else ()

    def damaged(self, fact: Fact) -> Damage:
        name = self._dice.choice(damages_of(fact))
        return Damage(name, DAMAGES[name](fact.body), self._listeners(fact))

    def refusal(self, status: int, message: str | None = None) -> web.Response:
        usual, code = REFUSALS.get(status, ("Unavailable", "UNAVAILABLE"))
        body = {"success": False, "message": message or usual, "error_code": code}
        if status != TOO_MANY:
            return web.json_response(body, status=status)
        body["retry_after"] = "15 minutes"
        return web.json_response(body, status=status, headers={"Retry-After": "900"})

    def expire(self) -> None:
        """End all tokens; tell every listener so and close with 1008."""
        self._tokens.clear()
        error = {"object": "ws_error", "code": "TOKEN_EXPIRED", "message": "ws_token expired"}
        for listener in self._wishes:
            listener.say(_text(error))
            listener.say(1008)

    # Webhooks

    def webhook_secrets(self) -> tuple[str, ...]:
        return self._secrets.now()

    def post(self, fact: Fact, stamp: Stamp) -> Post:
        """https://docs-alpha.pepay.io/api-spec/webhooks-authentication"""
        timestamp = str(int(stamp.at * 1000))
        macs = [
            hmac.digest(secret.encode(), f"{timestamp}.{fact.body}".encode(), "sha256").hex()
            for secret in stamp.secrets
        ]
        names = ("X-Pepay-Signature", "X-Pepay-Signature-Previous")
        headers = {
            "X-Pepay-Event": fact.type,
            "X-Pepay-Event-ID": fact.key[0],
            "X-Pepay-Timestamp": timestamp,
            "X-Pepay-Network-Environment": "devnet",
        }
        return Post(fact.body, headers | dict(zip(names, macs, strict=False)))

    # The stream

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        wish = wished(request.query, "types", STREAM_FILTERS)
        if request.query.get("format", "event_v1") != "event_v1":
            raise Refused(400, "Invalid format")
        since = cursor(request.query, "since")
        self._authorize_stream(request)
        async with self._audience.admitted(request) as listener:
            # Nothing is awaited between the replay and the listing: no event falls in between.
            if since:
                self._replay(listener, wish, since)
            self._wishes[listener] = wish
            self._audience.attentive.set()
            try:
                while await listener.hear() is not None:
                    pass
            finally:
                del self._wishes[listener]
        return listener.socket

    def _authorize_stream(self, request: web.Request) -> None:
        key = request.headers.get("x-commerce-api-key") or request.headers.get("x-api-key")
        if key is None:
            self._spend(request.query.get("token", ""))
        elif key == MERCHANT_KEY:
            raise Refused(403)
        elif not self.key.is_good(key):
            raise Refused(401, "Invalid API key")

    def _spend(self, text: str) -> None:
        token = self._tokens.pop(text, None)
        if token is None or token.ends <= self._clock():
            raise Refused(401)
        if token.scope != "commerce":
            raise Refused(403)

    def _replay(self, listener: Listener, wish: Wish, since: Position) -> None:
        replayed, is_whole = self._log.after(since)
        if not is_whole:
            self._hint(
                listener,
                type="resync",
                reason="since_too_old",
                oldest_event_id=replayed[0].key[0] if replayed else None,
            )
        for fact in replayed:
            if wish.covers(fact):
                self._audience.tell(fact, fact.body, (listener,), "replay")
        last = self._log.facts[-1].key[0] if self._log.facts else None
        self._hint(listener, type="replay_complete", last_event_id=last)

    def _hint(self, listener: Listener, **fields: str | None) -> None:
        if self._announces:
            listener.say(_text({"object": "ws_control", **fields}))

    def _listeners(self, fact: Fact) -> list[Listener]:
        return [listener for listener, wish in self._wishes.items() if wish.covers(fact)]

    # REST

    async def _mint(self, request: web.Request) -> web.StreamResponse:
        self._authorize_rest(request)
        try:
            mint = msgspec.json.decode(await request.read() or b"{}", type=Mint)
        except msgspec.DecodeError as error:
            raise Refused(400) from error
        text = f"ws_{self._dice.getrandbits(128):032x}"
        ends = self._clock() + min(mint.ttl_seconds, self._token_lives_s)
        self._tokens[text] = Token(mint.scope, ends)
        minted = {
            "token": text,
            "scope": mint.scope,
            "merchant_id": 123,
            "network_environment": None,
            # Published once as text and once as a number.
            "expires_at": iso(int(ends * 1000)) if falls(self._dice, 0.5) else int(ends),
            "ws_url": f"ws://{request.host}{self.path}",
        }
        return _success(_text(minted))

    async def _one(self, request: web.Request) -> web.StreamResponse:
        self._authorize_rest(request)
        return _success(self._log.find(request.match_info["id"]).body)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._authorize_rest(request)
        wish = wished(request.query, "type", ("invoice_id",))
        page, has_more = self._log.page(request.query, wish)
        listed = ",".join(fact.body for fact in page)
        more = "true" if has_more else "false"
        return _success(f'{{"object":"list","data":[{listed}],"has_more":{more}}}')

    def _authorize_rest(self, request: web.Request) -> None:
        either = request.headers.get("x-api-key")
        commerce = request.headers.get("x-commerce-api-key")
        if either != MERCHANT_KEY and not self.key.is_good(either or commerce):
            raise Refused(401, "Invalid API key")

    def _answered(self, answer: Answer) -> Answer:
        async def answered(request: web.Request) -> web.StreamResponse:
            try:
                return await answer(request)
            except Refused as refused:
                return self.refusal(refused.status, refused.message)

        return answered


def _success(body: str) -> web.Response:
    return web.Response(text=f'{{"success":true,"data":{body}}}', content_type="application/json")


def _text(frame: Mapping[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()


def PepayTwin(  # noqa: N802 - reads as the constructor that it is
    *,
    retention: int = 100_000,
    retention_s: float = 3600.0,
    snapshot: int = 50,
    announces: bool = True,
    token_lives_s: float = TOKEN_LIVES_S,
    **terms: Unpack[Terms],
) -> Twin[Pepay]:
    """Return a Pepay twin; see `Retention`, `Pepay` and `Twin` for the arguments."""
    reach = Retention(retention, retention_s, snapshot)
    provider = partial(Pepay, retention=reach, announces=announces, token_lives_s=token_lives_s)
    return Twin(
        "pepay",
        provider,
        CURRENCY_OF,
        correspondent=lambda pepay: pepay,
        orders=Pepay.orders,
        **terms,
    )

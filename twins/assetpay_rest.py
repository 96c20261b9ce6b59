"""AssetPay's REST calls of a merchant, as a stand-in: its trades, its ledger, its limits.

https://github.com/assetpaygg/assetpay-sdk/blob/main/src/modules/trades.ts
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/modules/wallet.ts
https://assetpay.gg/docs/api-reference
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from twins.allowance import Window
from twins.books import Fact
from twins.provider import Clock

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

A_MINUTE = 100
"""Calls of a merchant that is not verified."""
MOST_REFS = MOST_ROWS = 100
_WORDS = {
    400: "VALIDATION_FAILED",
    401: "INVALID_API_KEY",
    404: "TRADE_NOT_FOUND",
    429: "RATE_LIMITED",
}

_json = msgspec.json.Encoder(decimal_format="number")
_objects = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class Api:
    """What a merchant may ask, of the newest state of each trade and funding."""

    def __init__(self, clock: Clock, is_known: Callable[[str | None], bool]) -> None:
        self._is_known = is_known
        self._allowance = Window(A_MINUTE, 60, clock)
        self._requests = count(1)
        self._told: dict[str, Fact] = {}
        self._named: dict[str, str] = {}  # externalId → id

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get("/secure/trades", self._asked(self._list)),
            web.get("/secure/trades/{refs}", self._asked(self._look_up)),
            web.get("/v1/ledger/transactions", self._asked(self._ledger)),
            web.get("/v1/ledger/transactions/{id}", self._asked(self._entry)),
        )

    def know(self, fact: Fact) -> None:
        """Answer with this state from now on."""
        self._told[fact.entity] = fact
        self._named[fact.about.get("externalId", fact.entity)] = fact.entity

    def limit(self, calls: int) -> None:
        """Allow so many calls a minute."""
        self._allowance.count = calls

    def refusal(self, status: int, wait: float = 1.0) -> web.Response:
        error = {"code": status, "key": _WORDS.get(status, "REFUSED"), "message": "Refused"}
        headers = {"Retry-After": str(int(wait) + 1)} if status == 429 else {}  # noqa: PLR2004
        body = {"requestId": self._request(), "success": False, "error": error}
        return web.json_response(body, status=status, headers=headers)

    def _asked(self, answer: Answer) -> Answer:
        async def asked(request: web.Request) -> web.StreamResponse:
            key = request.headers.get("api-key")
            if not self._is_known(key):
                return self.refusal(401)
            if (wait := self._allowance.wait(key or "")) is not None:
                return self.refusal(429, wait)
            try:
                return await answer(request)
            except ValueError:
                return self.refusal(400)

        return asked

    async def _look_up(self, request: web.Request) -> web.StreamResponse:
        """Find trades by id or `externalId`; unknown ones are left out, a single one is 404."""
        refs = request.match_info["refs"].split(",")
        if len(refs) > MOST_REFS:
            raise ValueError
        named = dict.fromkeys(self._named.get(ref, ref) for ref in refs)
        found = [fact for each in named if (fact := self._told.get(each)) and _is_trade(fact)]
        if len(refs) > 1:
            return self._answer(list(map(_shown, found)))
        return self._answer(_shown(found[0])) if found else self.refusal(404)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """List what the merchant traded for itself, newest first, of one game."""
        query = request.query
        limit, begin = _limit(query), _place(query.get("cursor", ""))
        wanted = {"source": "self", "game": query.get("game", "730")}
        wanted |= {"type": query["type"]} if "type" in query else {}
        found = [fact for fact in self._newest() if wanted.items() <= fact.about.items()]
        end = begin + limit
        shown = list(map(_shown, found[begin:end]))
        following = _cursor(end) if end < len(found) else None
        return self._answer({"items": shown, "nextCursor": following})

    async def _ledger(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        limit, offset = _limit(query), int(query.get("offset", "0"))
        fundings = (fact for fact in self._newest() if not _is_trade(fact))
        entries = [fact for fact in fundings if _is_asked_for(fact, query)]
        pages = {
            "page": offset // limit + 1,
            "limit": limit,
            "total": len(entries),
            "totalPages": -(-len(entries) // limit),
        }
        shown = list(map(_booked, entries[offset : offset + limit]))
        return self._answer({"items": shown, "pagination": pages})

    async def _entry(self, request: web.Request) -> web.StreamResponse:
        fact = self._told.get(request.match_info["id"])
        if fact is None or _is_trade(fact):
            return self.refusal(404)
        return self._answer(_booked(fact))

    def _newest(self) -> list[Fact]:
        """Return everything, what was created last first."""
        return sorted(self._told.values(), key=lambda fact: fact.about["created"], reverse=True)

    def _answer(self, content: object) -> web.Response:
        body = {"requestId": self._request(), "success": True, "data": content}
        return web.Response(body=_json.encode(body), content_type="application/json")

    def _request(self) -> str:
        return f"req_{next(self._requests)}"


def _is_trade(fact: Fact) -> bool:
    return fact.type == "trade"


def _shown(fact: Fact) -> msgspec.Raw:
    """Return a trade as the socket tells it, digit for digit."""
    return msgspec.Raw(fact.body.encode())


def _booked(fact: Fact) -> dict[str, Any]:
    """Return a funding as the ledger tells it: its fiat is a number, its times are elsewhere."""
    told = _objects.decode(fact.body)
    amounts, asset = told["amounts"], told["asset"]
    return {
        "id": told["id"],
        "type": fact.type.upper(),
        "status": told["status"],
        "amount": {
            "usd": Decimal(amounts["usd"]),
            "crypto": amounts["token"],
            "token": asset["token"],
            "chain": asset["chain"],
        },
        "fee": 0,
        "address": told["address"],
        "txnHash": told["txnHash"],
        "timestamps": {
            "created": told["createdAt"],
            "completed": told["completedAt"],
            "updated": fact.about["updated"],
        },
    }


def _is_asked_for(fact: Fact, query: Mapping[str, str]) -> bool:
    told = {"type": fact.type.upper(), "status": fact.status}
    wanted = {name: query[name] for name in told if name in query}
    begin, end = query.get("startDate", "")[:10], query.get("endDate", "9999")[:10]
    return wanted.items() <= told.items() and begin <= fact.about["created"][:10] <= end


def _limit(query: Mapping[str, str]) -> int:
    limit = int(query.get("limit", "50"))
    if not 1 <= limit <= MOST_ROWS:
        raise ValueError
    return limit


def _cursor(place: int) -> str:
    return urlsafe_b64encode(b"after %d" % place).decode()


def _place(cursor: str) -> int:
    try:
        return int(urlsafe_b64decode(cursor).removeprefix(b"after ") or 0)
    except NotBase64 as error:
        raise ValueError from error

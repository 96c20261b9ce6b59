"""What a twin answers before its provider is asked: refused upgrades and throttled REST."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

Stumble = Literal["401", "429", "500", "prose", "html", "half"]
"""A status; a 429 that names its pause in words alone; a page; an answer cut in two."""
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Door:
    """Lets requests through, unless told otherwise for some seconds."""

    def __init__(self, refusal: Callable[[int], web.Response]) -> None:
        self._words = refusal
        self._answer: Answer | None = None
        self._refusing_until = self._throttling_until = 0.0
        self._stumbles: deque[Stumble | None] = deque()

    def refuse(self, status: int, seconds: float) -> None:
        """Answer upgrades with an HTTP status."""

        async def answer(_: web.Request) -> web.StreamResponse:
            return self._words(status)

        self._shut(answer, seconds)

    def answer_html(self, seconds: float) -> None:
        """Answer upgrades with a page, as a captive portal or a proxy does."""

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(text="<!doctype html><h1>Down</h1>", content_type="text/html")

        self._shut(answer, seconds)

    def turn_away(self, code: int, seconds: float) -> None:
        """Accept upgrades and close them at once with this code."""

        async def answer(request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse(compress=False)
            await socket.prepare(request)
            await socket.close(code=code)
            return socket

        self._shut(answer, seconds)

    def say_nothing(self, seconds: float) -> None:
        """Accept upgrades, and then neither say nor answer anything, pings included."""

        async def answer(request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse(compress=False, autoping=False)
            await socket.prepare(request)
            async for _ in socket:
                pass
            return socket

        self._shut(answer, seconds)

    def throttle(self, seconds: float) -> None:
        """Answer REST with 429."""
        self._throttling_until = _now() + seconds

    def stumble(self, how: "Stumble", count: int, after: int = 0) -> None:
        """Answer so many calls of REST badly, once so many were answered well."""
        self._stumbles.extend([None] * after + [how] * count)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Decide about one request; an aiohttp middleware."""
        upgrade = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
        if upgrade and self._answer and _now() < self._refusing_until:
            return await self._answer(request)
        if not upgrade and _now() < self._throttling_until:
            return self._words(429)
        if not upgrade and self._stumbles and (how := self._stumbles.popleft()):
            return await self._stumbled(how, request, handler)
        return await handler(request)

    async def _stumbled(
        self, how: "Stumble", request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        match how:
            case "html":
                return web.Response(text="<!doctype html><h1>Down</h1>", content_type="text/html")
            case "half":
                whole = await handler(request)
                body = whole.body if isinstance(whole, web.Response) else b""
                half = body[: len(body) // 2] if isinstance(body, bytes) else b""
                return web.Response(body=half, content_type="application/json")
            case "prose":
                refusal = self._words(429)
                refusal.headers.pop(hdrs.RETRY_AFTER, None)
                return refusal
            case _:
                return self._words(int(how))

    def _shut(self, answer: Answer, seconds: float) -> None:
        self._answer, self._refusing_until = answer, _now() + seconds


def _now() -> float:
    return asyncio.get_running_loop().time()

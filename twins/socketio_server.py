"""Socket.IO 5 over Engine.IO 4, served by python-socketio's own server.

Only the bytes pass through a `Listener`, so that what the server says and what is told come in
one order, and so that the general faults reach these connections as well.

https://python-socketio.readthedocs.io
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import socketio
from aiohttp import web

from twins.audience import Audience, Listener

TRANSPORT_UNKNOWN = {"code": 0, "message": "Transport unknown"}
UNSUPPORTED = {"code": 5, "message": "Unsupported protocol version"}
"""The words of the JavaScript server, which is what stands at the provider."""
LARGEST = 1_000_000
NO_CODE, GOODBYE = 1005, 1000
_WIRE = "twin.wire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Seconds: the library's defaults, and how long the key takes to be looked at."""

    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    join: float = 45.0
    check: float = 0.01


class _Wire:
    """One connection, in the shape that the library's drivers have."""

    def __init__(
        self, audience: Audience, converse: Callable[["_Wire"], Awaitable[None]], join: float
    ) -> None:
        self._audience, self._converse, self._join = audience, converse, join
        self.joined = asyncio.Event()
        self.listener: Listener

    async def __call__(self, environ: dict[str, Any]) -> web.StreamResponse:
        environ[_WIRE] = self
        async with self._audience.admitted(environ["aiohttp.request"]) as self.listener:
            late = asyncio.get_running_loop().call_later(self._join, self._let_go)
            try:
                await self._converse(self)
                while self.listener.deaf and await self.listener.hear() is not None:
                    pass  # The server gave up; a line that is half-open stays.
            finally:
                late.cancel()
        return self.listener.socket

    def _let_go(self) -> None:
        if not self.joined.is_set():
            self.listener.say(GOODBYE)

    async def send(self, message: str | bytes) -> None:
        self.listener.say(message)
        match message:
            case str() if message.startswith("40"):
                self.joined.set()
            case str() if message.startswith("41"):
                # As Socket.IO 4 does when it ends a client with its transport.
                self.listener.say(NO_CODE)

    async def wait(self) -> str:
        while (text := await self.listener.hear()) == "":
            pass
        if text is None:
            raise OSError
        return text

    async def close(self) -> None:
        await self.listener.written.wait()


@dataclass(frozen=True, slots=True, eq=False)
class Guest:
    """A connection that has joined, and what it asked with."""

    sid: str
    listener: Listener
    request: web.Request


@dataclass(slots=True)
class Host:
    """The server, and who of its guests was let in.

    As at the provider, the join is answered first, and `lets_in` is asked afterwards.
    """

    audience: Audience
    timers: Timers
    lets_in: Callable[[Guest], bool]
    guests: dict[Listener, Guest] = field(default_factory=dict)
    _server: Any = field(init=False)
    _checks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._server = socketio.AsyncServer(
            async_mode="aiohttp",
            always_connect=True,
            transports=["websocket"],
            ping_interval=self.timers.ping_interval,
            ping_timeout=self.timers.ping_timeout,
            max_http_buffer_size=LARGEST,
            monitor_clients=False,
        )
        self._server.on("connect", self._connected)
        self._server.on("disconnect", self._disconnected)
        engine = self._server.eio
        engine._async = {**engine._async, "websocket": self._wired}  # noqa: SLF001 - its driver

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection; polling and other versions are refused as the original does."""
        if request.query.get("transport") != "websocket":
            return web.json_response(TRANSPORT_UNKNOWN, status=400)
        if request.query.get("EIO") != "4":
            return web.json_response(UNSUPPORTED, status=400)
        answer: web.StreamResponse = await self._server.handle_request(request)
        return answer

    async def end(self, guest: Guest) -> None:
        """Disconnect a guest as a server does: `41`, and a close without a code."""
        self.guests.pop(guest.listener, None)
        await self._server.disconnect(guest.sid)

    def stop_pings(self) -> None:
        """Ping nobody any more; a ping that is under way still comes."""
        self._server.eio.ping_interval = 10**9

    def _wired(self, converse: Callable[[_Wire], Awaitable[None]], _server: object) -> _Wire:
        return _Wire(self.audience, converse, self.timers.join)

    async def _connected(self, sid: str, environ: dict[str, Any], _auth: object = None) -> None:
        guest = Guest(sid, environ[_WIRE].listener, environ["aiohttp.request"])
        check = asyncio.create_task(self._check(guest, environ[_WIRE]))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)

    async def _check(self, guest: Guest, wire: _Wire) -> None:
        await wire.joined.wait()
        await asyncio.sleep(self.timers.check)
        if self.lets_in(guest):
            self.guests[guest.listener] = guest
            self.audience.attentive.set()
        else:
            await self.end(guest)

    async def _disconnected(self, sid: str, _reason: object = None) -> None:
        gone = [listener for listener, guest in self.guests.items() if guest.sid == sid]
        for listener in gone:
            del self.guests[listener]

"""The server's side of Socket.IO 1.x over Engine.IO 3, on a WebSocket from the first frame.

https://github.com/socketio/engine.io-protocol/tree/v3
https://github.com/socketio/socket.io-protocol/tree/v4
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec
from aiohttp import web

from twins.audience import Audience, Listener

OPEN, CLOSE, PING, PONG, MESSAGE = "0", "1", "2", "3", "4"
CONNECT, DISCONNECT, EVENT, ERROR = "40", "41", "42", "44"
NAMESPACE = re.compile(r"(/[^,?]*)(?:\?[^,]*)?(?:,|$)")
NORMAL = 1000

Emitted = Callable[[Listener, str, list[Any]], None]
"""What to do about an event that a client emits: its name and its arguments."""


@dataclass(frozen=True, slots=True)
class Timers:
    """What the open packet says, in milliseconds, and what it does not.

    `idle_s` are the seconds without traffic in either direction after which something in
    front cuts the connection, without a close frame.
    """

    ping_interval: int = 10_000
    ping_timeout: int = 86_400_000
    idle_s: float = 60.0


class Namespaces:
    """Connections and what each has joined. The server never pings, and ignores `EIO`."""

    def __init__(
        self,
        audience: Audience,
        dice: Random,
        timers: Timers,
        emitted: Mapping[str, Emitted],
        joined: Callable[[Listener, str], None],
    ) -> None:
        self.pongs_from = 0.0
        """On the loop's clock: until then no ping is answered."""
        self.denies_until = 0.0
        """On the loop's clock: until then every namespace is unknown."""
        self._audience, self._dice, self._timers = audience, dice, timers
        self._emitted, self._joined = emitted, joined
        self._members: defaultdict[str, dict[Listener, None]] = defaultdict(dict)

    def members(self, namespace: str) -> tuple[Listener, ...]:
        return tuple(self._members[namespace])

    def disconnect(self) -> None:
        """End every namespace of everybody, and leave the connections open."""
        for namespace, members in self._members.items():
            for listener in members:
                listener.say(DISCONNECT + namespace)
            members.clear()

    def close(self) -> None:
        """Send everybody the packet that closes the transport."""
        for listener in self._audience.listeners:
            listener.say(CLOSE)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        async with self._audience.admitted(request) as listener:
            listener.say(OPEN + self._greeting())
            listener.say(CONNECT)  # of the default namespace, unasked
            try:
                await self._converse(listener)
            finally:
                for members in self._members.values():
                    members.pop(listener, None)
        return listener.socket

    def _greeting(self) -> str:
        greeting = {
            "sid": f"{self._dice.getrandbits(80):020x}",
            "upgrades": [],
            "pingInterval": self._timers.ping_interval,
            "pingTimeout": self._timers.ping_timeout,
        }
        return msgspec.json.encode(greeting).decode()

    async def _converse(self, listener: Listener) -> None:
        while (text := await self._hear(listener)) is not None:
            if text and not self._understands(listener, text):
                listener.say(NORMAL)
                await listener.written.wait()
                return

    async def _hear(self, listener: Listener) -> str | None:
        """Return the next text; cut the connection where neither side says anything."""
        while True:
            said = listener.said
            try:
                return await listener.hear(self._timers.idle_s)
            except TimeoutError:
                if listener.said == said:
                    listener.abort()
                    return None

    def _understands(self, listener: Listener, text: str) -> bool:
        """Do what a packet asks for, if it is one."""
        match text[:1], text[:2]:
            case "2", _:
                if asyncio.get_running_loop().time() >= self.pongs_from:
                    listener.say(PONG + text[1:])
            case _, "40":
                return self._join(listener, text[2:])
            case _, "41":
                self._members[text[2:].rstrip(",")].pop(listener, None)
            case _, "42":
                return self._event(listener, text[2:])
            case _:
                return False
        return True

    def _join(self, listener: Listener, rest: str) -> bool:
        named = NAMESPACE.fullmatch(rest)
        if named is None:
            return not rest  # Joins of this generation have no payload.
        denied = asyncio.get_running_loop().time() < self.denies_until
        if denied or named[1] not in self._emitted:
            listener.say(f'{ERROR}{named[1]},"Invalid namespace"')
            return True
        self._members[named[1]][listener] = None
        listener.say(CONNECT + named[1])
        self._joined(listener, named[1])
        return True

    def _event(self, listener: Listener, rest: str) -> bool:
        named = NAMESPACE.match(rest)
        if named is None:
            return rest.startswith("[")  # To the default namespace, where nobody listens.
        with suppress(msgspec.DecodeError, ValueError):
            name, *arguments = msgspec.json.decode(rest[named.end() :], type=list[Any])
            if listener in self._members[named[1]]:
                self._emitted[named[1]](listener, str(name), arguments)
            return True
        return False

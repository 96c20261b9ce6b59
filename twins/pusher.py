"""The server's side of Pusher Channels protocol 7.

https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec
from aiohttp import web

from twins.audience import Audience, Listener

NAME = re.compile(r"[A-Za-z0-9_\-=@,.;]{1,164}")
AUTHORISED = ("private-", "presence-")
EMPTY = "{}"


class _Message(msgspec.Struct):
    """What a client sends; `data` is an object there."""

    event: str
    data: Any = None


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds of a client's silence until it is asked, and then until it is let go."""

    activity: int = 120
    pong: float = 30.0


class Channels:
    """Connections and who subscribed to what."""

    def __init__(self, app_key: str, audience: Audience, dice: Random, timers: Timers) -> None:
        self._app_key, self._audience = app_key, audience
        self._dice, self._timers = dice, timers
        self._subscribers: defaultdict[str, dict[Listener, None]] = defaultdict(dict)

    def subscribers(self, channel: str) -> tuple[Listener, ...]:
        """Return those who are told what is published on this channel."""
        return tuple(self._subscribers.get(channel, ()))

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection at `/app/{key}`. A refusal is a close code and nothing else."""
        async with self._audience.admitted(request) as listener:
            if code := self._refusal(request):
                listener.say(code)
                await listener.written.wait()
            else:
                await self._converse(listener)
        return listener.socket

    def _refusal(self, request: web.Request) -> int | None:
        protocol = request.query.get("protocol")
        if request.match_info["key"] != self._app_key:
            return 4001
        if protocol is None:
            return 4008
        if not protocol.isdecimal():
            return 4006
        return None if protocol == "7" else 4007

    async def _converse(self, listener: Listener) -> None:
        socket_id = f"{self._dice.randrange(10**6)}.{self._dice.randrange(10**6)}"
        greeting = {"socket_id": socket_id, "activity_timeout": self._timers.activity}
        _say(listener, "pusher:connection_established", _json(greeting))
        try:
            while (text := await self._hear(listener)) is not None:
                if text:
                    self._answer(listener, text)
        finally:
            for channel in [name for name, who in self._subscribers.items() if listener in who]:
                self._leave(listener, channel)

    async def _hear(self, listener: Listener) -> str | None:
        """Return the next text; ask after silence, and close with 4201 if nothing comes."""
        try:
            return await listener.hear(self._timers.activity)
        except TimeoutError:
            _say(listener, "pusher:ping", EMPTY)
        try:
            return await listener.hear(self._timers.pong)
        except TimeoutError:
            listener.say(4201)
            await listener.written.wait()
            return None

    def _answer(self, listener: Listener, text: str) -> None:
        try:
            message = msgspec.json.decode(text, type=_Message)
        except msgspec.DecodeError:
            _error(listener, {"message": "Invalid JSON", "code": None})
            return
        match message:
            case _Message("pusher:ping"):
                _say(listener, "pusher:pong", EMPTY)
            case _Message("pusher:subscribe", {"channel": str(channel)}):
                self._subscribe(listener, channel)
            case _Message("pusher:unsubscribe", {"channel": str(channel)}):
                self._leave(listener, channel)
            case _Message(event) if event.startswith("client-"):
                _error(listener, {"message": "Client event rejected", "code": 4301})
            case _:
                pass  # pusher:pong, and what a server does not know

    def _subscribe(self, listener: Listener, channel: str) -> None:
        if not NAME.fullmatch(channel):
            _error(listener, _json({"message": "Invalid channel name", "code": None}))
        elif channel.startswith(AUTHORISED):
            _error(listener, {"message": f"Auth value for {channel} is invalid", "code": 4009})
        elif listener in self._subscribers[channel]:
            message = f"Existing subscription to channel {channel}"
            _error(listener, {"message": message, "code": None})
        else:
            self._subscribers[channel][listener] = None
            confirmed = "pusher_internal:subscription_succeeded"
            listener.say(_json({"event": confirmed, "data": EMPTY, "channel": channel}))
            self._audience.attentive.set()

    def _leave(self, listener: Listener, channel: str) -> None:
        subscribers = self._subscribers.get(channel, {})
        subscribers.pop(listener, None)
        if not subscribers:
            self._subscribers.pop(channel, None)


def _say(listener: Listener, event: str, content: str) -> None:
    listener.say(_json({"event": event, "data": content}))


def _error(listener: Listener, content: object) -> None:
    listener.say(_json({"event": "pusher:error", "data": content}))


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()

"""Real frames of the providers, recorded from their twins over a real socket.

One in ten is told again, as measured everywhere else in this directory.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

import aiohttp

from processors.mapper import Keys
from twins import TWINS

TOLD_AGAIN_EVERY = 10
_STORM = 1_000


class _Twin(Protocol):
    @property
    def url(self) -> str: ...
    def introduction(self) -> dict[str, str]: ...
    async def storm(self, count: int) -> None: ...


_Join = Callable[[aiohttp.ClientSession, _Twin], Awaitable[aiohttp.ClientWebSocketResponse]]


@dataclass(frozen=True, slots=True)
class Recording:
    """What one twin said, and the key that verifies it."""

    provider: str
    frames: tuple[bytes, ...]
    keys: Keys
    token: str | None
    """What verifies the frames, where they are signed."""

    def first(self, count: int) -> "Recording":
        return replace(self, frames=self.frames[:count])


async def _paymium(session: aiohttp.ClientSession, twin: _Twin) -> aiohttp.ClientWebSocketResponse:
    socket = await session.ws_connect(twin.url, params={"EIO": "3", "transport": "websocket"})
    channel = twin.introduction()["channel_id"]
    for said in ("40/user", f'42/user,["channel","{channel}"]'):
        await socket.send_str(said)
    for _ in ("0{…}", "40", "40/user"):
        await socket.receive_str()
    return socket


async def _pepay(session: aiohttp.ClientSession, twin: _Twin) -> aiohttp.ClientWebSocketResponse:
    headers = {"x-commerce-api-key": twin.introduction()["api_key"]}
    query = {"types": "commerce.order.*,invoice.*,invoice_payment.*", "format": "event_v1"}
    return await session.ws_connect(twin.url, headers=headers, params=query)


async def _transak(session: aiohttp.ClientSession, twin: _Twin) -> aiohttp.ClientWebSocketResponse:
    socket = await session.ws_connect(twin.url, params={"protocol": "7"})
    await socket.receive_str()
    channel = {"channel": twin.introduction()["api_key"]}
    await socket.send_json({"event": "pusher:subscribe", "data": channel})
    await socket.receive_str()
    return socket


async def _satoriex(session: aiohttp.ClientSession, twin: _Twin) -> aiohttp.ClientWebSocketResponse:
    told = twin.introduction()
    credentials = {name: told[name] for name in ("email", "password")}
    login = f"{told['rest_url']}/api/v1/auth/login"
    async with session.post(login, json=credentials) as answer:
        token = (await answer.json())["data"]["access_token"]
    socket = await session.ws_connect(twin.url, params={"token": token})
    for market in _MARKET.findall(told["options"]):
        await socket.send_json({"type": "subscribe", "market_id": market})
    await socket.ping()
    return socket


_MARKET = re.compile(r'"([^"]+)"')


async def _assetpay(session: aiohttp.ClientSession, twin: _Twin) -> aiohttp.ClientWebSocketResponse:
    query = {"apiKey": twin.introduction()["api_key"], "EIO": "4", "transport": "websocket"}
    socket = await session.ws_connect(twin.url, params=query)
    await socket.receive_str()
    await socket.send_str("40")
    for _ in ("the answer", "the first event, which says that the key is good"):
        await socket.receive_str()
    return socket


_JOINED: dict[str, _Join] = {
    "assetpay": _assetpay,
    "paymium": _paymium,
    "pepay": _pepay,
    "satoriex": _satoriex,
    "transak": _transak,
}


def record(provider: str, count: int) -> Recording:
    """Return ``count`` frames; the same each time but for ids and times."""
    return asyncio.run(_record(provider, count))


async def _record(provider: str, count: int) -> Recording:
    async with TWINS[provider](seed=1, rate=0) as twin, aiohttp.ClientSession() as session:
        socket = await _JOINED[provider](session, twin)
        distinct = count - count // TOLD_AGAIN_EVERY
        heard = [frame async for frame in _heard(twin, socket, distinct)]
        await socket.close()
        token = twin.introduction().get("access_token")
    verification = {"k1": token.encode()} if token else {}
    keys = Keys(verification=verification, reference_id="r1", reference=b"benchmark" * 4)
    return Recording(provider, tuple(_with_repeats(heard)), keys, token)


async def _heard(
    twin: _Twin, socket: aiohttp.ClientWebSocketResponse, count: int
) -> AsyncIterator[bytes]:
    for begun in range(0, count, _STORM):
        size = min(_STORM, count - begun)
        await twin.storm(size)
        for _ in range(size):
            yield (await socket.receive_str()).encode()


def _with_repeats(frames: list[bytes]) -> list[bytes]:
    told: list[bytes] = []
    for frame in frames:
        told.append(frame)
        if len(told) % TOLD_AGAIN_EVERY == TOLD_AGAIN_EVERY - 1:
            told.append(told[len(told) // 2])
    return told

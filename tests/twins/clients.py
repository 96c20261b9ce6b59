"""Plain clients for the twins: they know the wire and nothing of ours."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp
import jwt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 10.0
KEY = {"x-commerce-api-key": "ck_twin"}


def pepay(url: str, query: str = "", headers: dict[str, str] | None = None) -> connect:
    return connect(
        url + query, additional_headers=KEY if headers is None else headers, max_queue=None
    )


def pusher(url: str, query: str = "?protocol=7&client=test&version=1") -> connect:
    return connect(url + query, max_queue=None)


async def frame(socket: ClientConnection) -> dict[str, Any]:
    text = await asyncio.wait_for(socket.recv(), PATIENCE_S)
    told: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return told


async def texts(socket: ClientConnection, count: int) -> list[str]:
    async with asyncio.timeout(PATIENCE_S):
        return [str(await socket.recv()) for _ in range(count)]


async def ending(socket: ClientConnection) -> int:
    """Read until the connection ends and return the close code; 1006 if there was none."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


async def subscribe(socket: ClientConnection, channel: str) -> None:
    await socket.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}))
    told = await frame(socket)
    assert told == {
        "event": "pusher_internal:subscription_succeeded",
        "data": "{}",
        "channel": channel,
    }


def order_of(told: dict[str, Any], token: str) -> dict[str, Any]:
    """Verify a signed frame and return its order, bare or wrapped, quoted or not."""
    text = told["data"].strip('"')
    body = jwt.PyJWS().decode(text, token, algorithms=["HS256"])
    claims: dict[str, Any] = json.loads(body, parse_float=Decimal)
    order: dict[str, Any] = claims.get("webhookData", claims)
    return order


async def got(url: str, headers: dict[str, str], **query: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers=headers, params=query) as response,
    ):
        return response.status, json.loads(await response.text(), parse_float=Decimal)


async def posted(url: str, headers: dict[str, str], body: object = None) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, headers=headers, json=body or {}) as response,
    ):
        return response.status, json.loads(await response.text(), parse_float=Decimal)


async def text(socket: ClientConnection) -> str:
    return str(await asyncio.wait_for(socket.recv(), PATIENCE_S))


async def joined(url: str, namespace: str, channel: str | None = None) -> ClientConnection:
    """Open an Engine.IO 3 connection as a browser of 2015 would, past every greeting."""
    socket = await connect(f"{url}?EIO=3&transport=websocket", max_queue=None, max_size=None)
    assert (await text(socket))[0] == "0"
    assert await text(socket) == "40"
    await socket.send(f"40{namespace}")
    assert await text(socket) == f"40{namespace}"
    if channel is not None:
        await socket.send(f"42{namespace},{json.dumps(['channel', channel])}")
        await socket.send("2")  # What was said before it is done by then.
        assert await text(socket) == "3"
    return socket

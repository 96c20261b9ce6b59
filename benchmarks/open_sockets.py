"""A provider that sends frames over many sockets at fixed times: Transak's, over Pusher.

https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import monotonic_ns
from typing import Any, Final

from aiohttp import web

from benchmarks.open_loop import BEGIN_IN, TICK, due, lateness, spawned

PROVIDER: Final = "transak"
_PATIENCE: Final = 30.0
"""Seconds for an account to subscribe."""
_GREETING: Final = r'{"event":"pusher:connection_established","data":"{\"activity_timeout\":120}"}'


class Sockets:
    """The process of the provider, as the one that measures sees it."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        self.url = f"ws://127.0.0.1:{pipe.recv()}/"

    def until_heard(self, accounts: int) -> None:
        """Wait until so many accounts have subscribed."""
        for heard in range(accounts):
            if not self._pipe.poll(_PATIENCE):
                raise SystemExit(f"{heard} of {accounts} accounts subscribed: see ingest's log")
            self._pipe.recv()

    def begin(self, accounts: Sequence[str], count: int, rate: float) -> int:
        """Begin to send ``count`` frames, so many a second; return when the first is due.

        Each account is told the same frames, from the first on; they take turns.
        """
        self._pipe.send((accounts, count, rate))
        begin: int = self._pipe.recv()
        return begin

    def sent(self) -> int:
        """Wait until all is sent, and return by how many ns the latest 1 % was late."""
        late: int = self._pipe.recv()
        return late


@contextmanager
def sockets(frames: Sequence[str]) -> Iterator[Sockets]:
    with spawned(_serve, frames) as pipe:
        yield Sockets(pipe)


def _serve(pipe: "Connection[Any, Any]", frames: Sequence[str]) -> None:
    asyncio.run(_served(pipe, frames))


async def _served(pipe: "Connection[Any, Any]", frames: Sequence[str]) -> None:
    open_: dict[str, web.WebSocketResponse] = {}

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_str(_GREETING)
        channel = json.loads(await socket.receive_str())["data"]["channel"]
        subscribed = {"event": "pusher_internal:subscription_succeeded", "channel": channel}
        await socket.send_json({**subscribed, "data": "{}"})
        open_[channel] = socket
        pipe.send("heard")
        async for _ in socket:  # Pings are answered meanwhile.
            pass
        return socket

    app = web.Application()
    app.router.add_get("/", talk)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    while True:
        accounts, count, rate = await asyncio.to_thread(pipe.recv)
        begin = monotonic_ns() + BEGIN_IN
        pipe.send(begin)
        ways = [open_[account] for account in accounts]
        pipe.send(await _sent(ways, frames, begin, count, rate))


async def _sent(
    ways: Sequence[web.WebSocketResponse],
    frames: Sequence[str],
    begin: int,
    count: int,
    rate: float,
) -> int:
    late = []
    for number in range(count):
        at = due(begin, number, rate)
        if (early := (at - monotonic_ns()) / 1e9) > 0:
            await asyncio.sleep(max(early, TICK))
        late.append(monotonic_ns() - at)
        await ways[number % len(ways)].send_str(frames[number // len(ways)])
    return lateness(late)

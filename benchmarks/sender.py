"""A provider that says what it has to say as fast as it is read: Transak's frames over Pusher.

https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from aiohttp import web

API_KEY = "benchmark"
_GREETING = r'{"event":"pusher:connection_established","data":"{\"activity_timeout\":120}"}'
_CONFIRMED = (
    f'{{"event":"pusher_internal:subscription_succeeded","channel":"{API_KEY}","data":"{{}}"}}'
)
_STEP = 0.01


class Sender:
    """The process that sends, as the one that measures sees it."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        self.url = f"ws://127.0.0.1:{pipe.recv()}/"

    def until_heard(self) -> None:
        """Wait until somebody has subscribed."""
        self._pipe.recv()

    def send(self, begin: int, end: int, rate: float = 0.0) -> None:
        """Begin to send these frames, so many a second; 0: as fast as they are read."""
        self._pipe.send((begin, end, rate))

    def until_sent(self) -> None:
        self._pipe.recv()


@contextmanager
def sender(frames: Sequence[str]) -> Iterator[Sender]:
    """Listen in a process of its own, which ends with the block."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(there, frames))
    process.start()
    try:
        yield Sender(here)
    finally:
        process.kill()
        process.join()


def _serve(pipe: "Connection[Any, Any]", frames: Sequence[str]) -> None:
    asyncio.run(_served(pipe, frames))


async def _served(pipe: "Connection[Any, Any]", frames: Sequence[str]) -> None:
    app = web.Application()

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_str(_GREETING)
        await socket.receive()
        await socket.send_str(_CONFIRMED)
        pipe.send("heard")
        talking = asyncio.create_task(_talk(pipe, socket, frames))
        async for _ in socket:  # Pings are answered meanwhile.
            pass
        talking.cancel()
        return socket

    app.router.add_get("/", talk)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    await asyncio.Event().wait()


async def _talk(
    pipe: "Connection[Any, Any]", socket: web.WebSocketResponse, frames: Sequence[str]
) -> None:
    while True:
        begin, end, rate = await asyncio.to_thread(pipe.recv)
        began = monotonic()
        for number in range(begin, end):
            early = (number - begin) / rate - (monotonic() - began) if rate else 0.0
            if early > 0:
                await asyncio.sleep(early + _STEP)
            await socket.send_str(frames[number])
        pipe.send("sent")

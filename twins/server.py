"""A twin as a running thing: its ports, its beginning and end, and the orders it obeys."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import time
from typing import Generic, Self, TypedDict, TypeVar

from aiohttp import web

from twins.audience import Audience
from twins.books import NOTHING, Books, Summary
from twins.control import Orders, control
from twins.courier import Correspondent, Courier
from twins.door import Door
from twins.faults import Faults
from twins.provider import Clock, Provider
from twins.teller import Teller

GARBAGE = "<<< this is no frame of any protocol >>>"
BINARY = b"\x00\xff bytes where a text belongs"

P = TypeVar("P", bound=Provider)


class Terms(TypedDict, total=False):
    """Arguments that every twin takes; `Twin` holds their defaults."""

    seed: int
    rate: float
    facts: int | None
    start_when_connected: bool
    faults: Faults
    books: Path | None
    port: int
    account: str
    clock: Clock
    compress: bool
    webhooks: str | None


class Twin(Generic[P]):
    """A stand-in of one provider on 127.0.0.1; use as an async context manager.

    `rate` facts a second happen by themselves, none at 0; `facts` bounds their number;
    `storm` makes facts happen at once. What happens follows from `seed` alone: `clock`
    (unix seconds) is asked only for ids and times. `compress` takes permessage-deflate where it
    is offered: at thousands of frames a second it costs more than the twin. `webhooks` is where
    facts are delivered besides, if the provider has a `correspondent`. `orders` are those that
    only it knows. Raises OSError if `port` is taken.
    """

    def __init__(  # noqa: PLR0913 - each has one meaning and a default
        self,
        name: str,
        provider: Callable[[Audience, int, Clock], P],
        currency_of: dict[str, str],
        *,
        seed: int = 1,
        rate: float = 50.0,
        facts: int | None = None,
        start_when_connected: bool = True,
        faults: Faults | None = None,
        books: Path | None = None,
        port: int = 0,
        account: str = "main",
        clock: Clock = time,
        compress: bool = False,
        webhooks: str | None = None,
        correspondent: Callable[[P], Correspondent | None] = lambda _: None,
        orders: Callable[[P], Orders] = lambda _: {},
    ) -> None:
        self.name, self.account = name, account
        self.books = Books(name, account, currency_of, clock, books)
        self.audience = Audience(self.books, compress=compress)
        self.provider = provider(self.audience, seed, clock)
        self.orders = orders(self.provider)
        self.courier = Courier(self.books, correspondent(self.provider), clock, seed)
        self.courier.url = webhooks
        self.teller = Teller(
            self.provider, self.audience, self.courier, faults or Faults(), facts, seed
        )
        self.door = Door(self.provider.refusal)
        self.listening = asyncio.Event()
        self.over = asyncio.Event()  # set to stop a process; set by a failure too
        self.failure: BaseException | None = None
        self._rate, self._patient = rate, start_when_connected
        self._port, self._control_port = port, 0
        self._runner: web.AppRunner | None = None
        self._control: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The WebSocket's address, without a query."""
        return f"ws://127.0.0.1:{self._port}{self.provider.path}"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def control_url(self) -> str:
        """On a port of its own, so that it answers while the provider's port is closed."""
        return f"http://127.0.0.1:{self._control_port}"

    def introduction(self) -> dict[str, str]:
        """Return what a client must know to connect."""
        return {
            "name": self.name,
            "account": self.account,
            "url": self.url,
            "rest_url": self.rest_url,
            "control_url": self.control_url,
            **self.provider.secrets(),
        }

    async def __aenter__(self) -> Self:
        await self._listen()
        self._control, self._control_port = await _serving(control(self), 0)
        if self._rate:
            self._spawn(self._live())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await self._close_port()
        if self._control:
            await self._control.cleanup()
        await self.courier.close()
        self.books.close()

    async def drop(self) -> None:
        """Cut every connection without a close frame."""
        for listener in tuple(self.audience.listeners):
            listener.abort()

    async def fragment(self, count: int) -> None:
        """Write what follows in so many WebSocket frames a text, on every connection."""
        for listener in self.audience.listeners:
            listener.fragments = count

    async def half_open(self) -> None:
        """Keep every connection, and never answer or send on it again."""
        for listener in self.audience.listeners:
            listener.fall_silent()

    async def stall(self, seconds: float) -> None:
        """Tell nothing for a while but answer pings; what happened meanwhile follows at once."""
        self.teller.stalled_until = asyncio.get_running_loop().time() + seconds

    async def mute(self, *, on: bool = True) -> None:
        """Let facts happen that nobody hears, until switched off."""
        self.audience.mute = on

    async def close(self, code: int) -> None:
        """Close every connection with a code, after what is queued."""
        for listener in self.audience.listeners:
            listener.say(code)

    async def garbage(self) -> None:
        """Send a text that is no frame at all; booked as damaged, with no key."""
        self.audience.damage(NOTHING, GARBAGE, tuple(self.audience.listeners), "garbage")

    async def binary(self) -> None:
        """Send a binary message, of which no protocol here knows; booked as garbage is."""
        self.audience.damage(NOTHING, BINARY, tuple(self.audience.listeners), "binary")

    async def storm(self, count: int) -> None:
        """Let `count` facts happen at once."""
        await self.teller.storm(count)

    async def expire_token(self) -> None:
        """End the credential that clients use now."""
        self.provider.expire()

    async def quiet(self) -> Summary:
        """Let nothing new happen; return once all that was put off or queued is written."""
        self.teller.fall_quiet()
        await self.audience.written()
        await self.courier.done()
        return self.books.summary()

    async def restart(self, seconds: float) -> None:
        """Close the port and all that is on it; `listening` is set when it is back, state kept."""
        self.listening.clear()
        await self._close_port()
        self._spawn(self._come_back(seconds))

    async def _come_back(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def _live(self) -> None:
        if self._patient:
            await self.audience.attentive.wait()
        await self.teller.keep_pace(self._rate)

    async def _listen(self) -> None:
        app = web.Application(middlewares=[self.door.guard])
        app.add_routes(self.provider.routes())
        self._runner, self._port = await _serving(app, self._port)
        self.listening.set()

    async def _close_port(self) -> None:
        await self.drop()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self.failure = failure
            self.over.set()


async def _serving(app: web.Application, port: int) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])

"""Pysher, a Pusher client of others, at the twin that speaks Pusher: what it hears is in the books.

https://github.com/deepbrook/Pysher
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pysher

from tests.twins.clients import PATIENCE_S, order_of
from twins.faults import Faults
from twins.pusher import Timers
from twins.server import Twin
from twins.transak import API_KEY, APP_KEY, TransakTwin
from twins.transak_lifecycle import EVENT_OF

MANY = 500

Told = tuple[str, str]
"""Name of an event and what it says."""


class Pysher(pysher.Pusher):  # type: ignore[misc]
    """Of the protocol that Transak's documents ask for; its author left it at 6."""

    protocol = 7


@dataclass
class Client:
    """A pysher in its own thread, whose callbacks end up in this loop."""

    twin: Twin[Any]
    pusher: pysher.Pusher
    heard: asyncio.Queue[Told]

    async def next(self) -> Told:
        return await asyncio.wait_for(self.heard.get(), PATIENCE_S)

    async def subscribe(self, name: str) -> None:
        """Return once every event of a channel is heard; pysher drops what it is told before."""
        channel = await asyncio.to_thread(self.pusher.subscribe, name)
        for event in dict.fromkeys(EVENT_OF.values()):
            channel.bind(event, self.hears(event))
        await asyncio.wait_for(self.twin.audience.attentive.wait(), PATIENCE_S)

    def hears(self, event: str) -> Callable[[str], None]:
        loop = asyncio.get_running_loop()
        return lambda said: loop.call_soon_threadsafe(self.heard.put_nowait, (event, said))

    async def greeted(self) -> None:
        self.pusher.connection.bind("pusher:connection_established", self.hears("greeted"))
        await asyncio.to_thread(self.pusher.connect)
        assert (await self.next())[0] == "greeted"


@asynccontextmanager
async def client(twin: Twin[Any]) -> AsyncIterator[Client]:
    at = urlsplit(twin.url)
    made = Pysher(APP_KEY, secure=False, custom_host=at.hostname, port=at.port)
    yield Client(twin, made, asyncio.Queue())
    # Its reader may look only after ten seconds, and then ends by itself.
    await asyncio.to_thread(made.disconnect, 0)


async def test_pysher_hears_every_telling_that_is_in_the_books() -> None:
    faults = Faults(duplicate=0.1, reorder=0.1)
    async with TransakTwin(rate=0, faults=faults) as twin, client(twin) as ours:
        await ours.greeted()
        await ours.subscribe(API_KEY)
        await twin.storm(MANY)
        summary = await twin.quiet()
        told = [await ours.next() for _ in range(summary.frames)]
    assert summary.told == MANY < summary.frames
    assert [(event, _key(said, twin)) for event, said in told] == [
        (line.type, line.key) for line in twin.books.lines
    ]


async def test_pysher_is_told_of_one_order_on_its_own_channel() -> None:
    async with TransakTwin(rate=0) as twin, client(twin) as ours:
        await ours.greeted()
        await twin.storm(1)
        (first,) = twin.books.lines
        await ours.subscribe(first.entity)
        while not any(line.listeners for line in twin.books.lines):
            await twin.storm(1)
        event, said = await ours.next()
        (heard,) = (line for line in twin.books.lines if line.listeners)
        order = json.loads(said) if isinstance(said, str) else said
        assert (event, order["status"]) == (heard.type, heard.status)
        assert order.get("id", order.get("_id")) == first.entity == heard.entity


async def test_pysher_is_asked_again_because_it_answered() -> None:
    timers = Timers(activity=1, pong=PATIENCE_S)
    async with TransakTwin(rate=0, timers=timers) as twin, client(twin) as ours:
        ours.pusher.connection.bind("pusher:ping", ours.hears("asked"))
        await ours.greeted()
        assert [(await ours.next())[0] for _ in range(2)] == ["asked", "asked"]


def _key(said: str, twin: Twin[Any]) -> tuple[str, ...]:
    order = order_of({"data": said}, twin.provider.access_token)
    return (
        order.get("id", order.get("_id")),
        order["status"],
        order.get("updatedAt", order["createdAt"]),
    )

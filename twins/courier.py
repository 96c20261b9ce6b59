"""How a twin delivers webhooks: signed for each try, and again until somebody says 2xx.

No provider publishes its schedule. Pepay's older pages name 3 tries with growing pauses, and
AssetPay's SDK 3 tries for a question: that is what all get here.
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/webhooks.ts
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

import aiohttp

from twins.books import Books, Fact
from twins.chance import dice, falls, uuid
from twins.faults import Faults
from twins.provider import Clock

TRIES = 3
PAUSE_S = 0.2  # before the second try, twice as long before the third
PATIENCE_S = 15.0
AT_ONCE = 8
OLD_S = 3600.0
NOBODYS = "secret-of-nobody-of-thirty-two-bytes"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a try is signed with."""

    at: float  # unix seconds
    delivery: str  # the same for all tries of one delivery
    secrets: tuple[str, ...]  # newest first; two while one is being changed
    is_old: bool = False  # on purpose, to be refused


@dataclass(frozen=True, slots=True)
class Post:
    """One try: a body and the headers that sign it."""

    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    asks: bool = False  # a question: every try is a delivery of its own


class Correspondent(Protocol):
    """A provider that has webhooks."""

    def post(self, fact: Fact, stamp: Stamp) -> Post | None:
        """Return the delivery of a fact, None if this one is not told so."""

    def webhook_secrets(self) -> tuple[str, ...]:
        """Return what signs now, newest first."""


class Secrets:
    """A secret that can be changed: the earlier one signs beside it for a while."""

    def __init__(self, first: str, clock: Clock) -> None:
        self._first, self._clock = first, clock
        self._number, self._both_until = 1, 0.0

    def now(self) -> tuple[str, ...]:
        both = self._number > 1 and self._clock() < self._both_until
        return tuple(self._named(n) for n in (self._number, self._number - 1)[: 1 + both])

    def rotate(self, seconds: float) -> None:
        """Sign with the next secret, `<first>-2` and so on, and so long with this one too."""
        self._number += 1
        self._both_until = self._clock() + seconds

    def _named(self, number: int) -> str:
        return self._first if number == 1 else f"{self._first}-{number}"


class Courier:
    """Delivers what happens to `url`, if it has one; booked before each try."""

    def __init__(
        self, books: Books, correspondent: Correspondent | None, clock: Clock, seed: int
    ) -> None:
        self.url: str | None = None
        self.refused = 0  # tries that were not answered with 2xx
        self._books, self._correspondent, self._clock = books, correspondent, clock
        self._dice: Random = dice(seed, "courier")
        self._room = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None

    def deliver(self, fact: Fact, faults: Faults) -> None:
        """Begin to deliver a fact, and perhaps a forgery of it before."""
        if self.url is None or self._correspondent is None:
            return
        forged, old = falls(self._dice, faults.forged), falls(self._dice, faults.old)
        work = self._delivered(self._correspondent, self.url, fact, forged=forged, old=old)
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def done(self) -> None:
        """Return when every delivery was taken, or given up."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        for task in tuple(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._http:
            await self._http.close()

    async def _delivered(
        self, correspondent: Correspondent, url: str, fact: Fact, *, forged: bool, old: bool
    ) -> None:
        delivery = uuid(self._dice)
        async with self._room:
            for wrong, name in ((forged, "forged webhook"), (old, "old webhook")):
                stamp = self._wrong(correspondent, delivery, name)
                if wrong and (post := correspondent.post(fact, stamp)):
                    self._books.told(fact, "", 0, name)
                    await self._taken(url, post)
            for n in range(TRIES):
                stamp = Stamp(self._clock(), delivery, correspondent.webhook_secrets())
                post = correspondent.post(fact, stamp)
                if post is None:
                    return
                self._books.told(fact, post.body, 1, "webhook")
                if await self._taken(url, post):
                    return
                delivery = uuid(self._dice) if post.asks else delivery
                await asyncio.sleep(PAUSE_S * 2**n)

    def _wrong(self, correspondent: Correspondent, delivery: str, name: str) -> Stamp:
        if name == "forged webhook":
            return Stamp(self._clock(), delivery, (NOBODYS,))
        at = self._clock() - OLD_S
        return Stamp(at, delivery, correspondent.webhook_secrets(), is_old=True)

    async def _taken(self, url: str, post: Post) -> bool:
        """Send one try; return whether it was answered with 2xx."""
        self._http = self._http or aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S)
        )
        taken = False
        headers = {"Content-Type": "application/json", **post.headers}
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.post(url, data=post.body.encode(), headers=headers) as answer:
                taken = answer.ok
        self.refused += not taken
        return taken

"""The only loop that sends the requests of a provider's REST."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from random import SystemRandom
from time import time_ns

import aiohttp
import structlog

from ingest import client
from ingest.backoff import Backoff, Budget
from ingest.credentials import struck
from ingest.feed import (
    Account,
    BackOff,
    Call,
    Disconnected,
    Done,
    End,
    FeedError,
    Keep,
    Next,
    Reading,
    Report,
    Rest,
    Step,
    Unauthorized,
    Wait,
)
from ingest.journal import RawJournal
from ingest.patience import Patience
from ingest.probes import Progress
from schemas.topics import MAX_RAW_BYTES

_log = structlog.get_logger()
_random = SystemRandom().random
_ALARM_AFTER = 3
"""Rounds in a row that failed, after which a warning becomes an error."""


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True, kw_only=True)
class RestLoop:
    """One account's rounds: one when somebody asks, else one every so often.

    Nothing that REST says ends it, nor the feed: a failed round is said, and tried again.
    """

    rest: Rest
    name: str
    """In logs and probes."""
    journal: RawJournal
    progress: Progress
    authorized: Callable[[], Awaitable[Account]]
    """The account with tokens for the next request. Raises ``FeedError``."""
    distrust: Callable[[Account], None]
    """Told of an account whose tokens were refused."""
    patience: Patience = field(default_factory=Patience)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: list[asyncio.Future[bool]] = field(default_factory=list)
    _backoff: Backoff = field(default_factory=Backoff)
    _budget: Budget = field(init=False)
    _secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._budget = Budget(self.rest.rate.burst, self.rest.rate.every)

    def begin(self) -> asyncio.Future[bool]:
        """Ask for a round now, or once the one under way is over."""
        self._wanted.set()
        return self.following()

    def following(self) -> asyncio.Future[bool]:
        """Return when the next round ended, and whether everything it asked for was kept."""
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(ended)
        return ended

    async def run(self) -> None:
        """Ask until a stop is asked."""
        pause = self.rest.every
        async with client.session() as http:
            while not self.patience.stopped:
                self.progress.expect(self.name, pause)
                await self.patience.wait(self._wanted.wait(), _now() + pause)
                if not self.patience.stopped:
                    self._wanted.clear()
                    pause = await self._round(http)
        self.progress.expect_nothing(self.name)

    async def _round(self, http: aiohttp.ClientSession) -> float:
        """Ask one round; return the seconds until the next."""
        waiting, self._waiting = self._waiting, []
        whole, pause = False, self.rest.every
        try:
            whole = await _Round(self, http).run()
            self._backoff.kept()
        except FeedError as error:
            policy = error.pause if isinstance(error, Disconnected) else BackOff()
            pause = self._backoff.pause(policy, _random())
            self._say(error, pause)
        for ended in waiting:
            if not ended.done():
                ended.set_result(whole)
        return pause

    def _say(self, error: FeedError, pause: float) -> None:
        is_urgent = self._backoff.failures >= _ALARM_AFTER
        (_log.error if is_urgent else _log.warning)(
            "a round of REST failed",
            feed=self.name,
            reason=struck(str(error), self._secrets),
            failures=self._backoff.failures,
            next_round_seconds=round(pause, 2),
        )

    async def account(self) -> Account:
        account = await self.authorized()
        self._secrets = dict(account.secrets)
        self.journal.secrets = account.secrets
        return account

    async def afford(self, seconds: float = 0.0) -> None:
        """Wait so long, and then for our turn."""
        wait = seconds + self._budget.reserve(_now() + seconds)
        self.progress.expect(self.name, wait)
        if wait:
            await self.patience.pause(wait)


@dataclass(slots=True)
class _Round:
    """One round under way."""

    loop: RestLoop
    http: aiohttp.ClientSession
    _refused: Call | None = None
    """The call whose token was renewed once."""

    async def run(self) -> bool:
        account = await self.loop.patience.wait(self.loop.account())
        if account is None:
            return False
        reading = self.loop.rest.reading(account)
        outcome = await self._perform(reading.begin(), None)
        while isinstance(outcome, Call):
            outcome = await self._perform(*await self._asked(reading, outcome))
        return outcome

    async def _asked(self, reading: Reading, call: Call) -> "_Told":
        """Send one request; return what the provider's reading makes of the answer."""
        await self.loop.afford()
        account = await self.loop.patience.wait(self.loop.account())
        if account is None:
            return _STOPPED
        request = self.loop.rest.request(account, call)
        try:
            asking = client.ask(self.http, request, MAX_RAW_BYTES)
            answer = await self.loop.patience.wait(asking)
        except Disconnected as error:
            return reading.failed(call, error), call
        if answer is None:
            return _STOPPED
        steps = tuple(reading.answered(call, answer))
        match steps:
            case (End(Unauthorized()),) if self._refused != call:
                self._refused = call
                self.loop.distrust(account)
                return (Next(call),), call
        return steps, call

    async def _perform(self, steps: Iterable[Step], call: Call | None) -> Call | bool:
        """Do what was said; return what to ask next, or whether the round was whole."""
        received_at = time_ns() // 1000
        for step in steps:
            match step:
                case Keep(frame) if call is not None:
                    body = frame.encode() if isinstance(frame, str) else frame
                    await self.loop.journal.page(call, body, received_at)
                case Keep():
                    raise AssertionError("nothing was asked yet")
                case Report(text):
                    self.loop.journal.report(text)
                case Wait(seconds):
                    await self.loop.afford(seconds)
                case Next(following):
                    return False if self.loop.patience.stopped else following
                case Done(whole):
                    return whole
                case End(error):
                    raise error
        return False


_Told = tuple[Iterable[Step], Call | None]
_STOPPED: _Told = ((Done(whole=False),), None)

"""The only loop that sends the requests of a provider's REST."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from math import inf
from random import SystemRandom
from time import time_ns

import aiohttp
import msgspec
import structlog

from ingest import client
from ingest.backoff import Backoff, Budget
from ingest.credentials import struck
from ingest.feed import (
    Account,
    Answer,
    BackOff,
    Call,
    Disconnected,
    Done,
    End,
    FeedError,
    Keep,
    Known,
    Next,
    Reached,
    Reading,
    Report,
    Rest,
    Step,
    Unauthorized,
    Wait,
)
from ingest.hydration import Marked
from ingest.journal import RawJournal
from ingest.late_opens import LateOpens
from ingest.metrics import FeedMetrics, answer_of
from ingest.patience import Patience
from ingest.probes import Progress
from ingest.turns import Turn
from schemas.records import Recovered
from schemas.topics import MAX_RAW_BYTES

_log = structlog.get_logger()
_random = SystemRandom().random
_ALARM_AFTER = 3
"""Rounds in a row that failed, after which a warning becomes an error."""
_REPEAT = 3000.0
"""Seconds. What was reached is written again within the hour: retention cannot lose it, and a
restart does not read far."""
_LOOK_EVERY = 2.0
"""Seconds between two looks at what is open, while there is nothing to ask."""
_MOST_REFERENCES = 1_000
"""Anybody may name one: the oldest are forgotten first."""


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
    known: Callable[[], Known]
    """What a round begins with, but for the references."""
    reached: Callable[[Recovered], None]
    """Told of everything that was read back whole."""
    turn: Callable[[Account], Turn] = lambda _account: Turn()
    """Whose number, and whose place in the row, a request takes."""
    patience: Patience = field(default_factory=Patience)
    bearer: Marked | None = None
    """The connection that was read back, if there is one."""
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: list[asyncio.Future[Done]] = field(default_factory=list)
    _references: dict[str, None] = field(default_factory=dict, repr=False)
    _late: LateOpens = field(default_factory=LateOpens)
    _told_at: float = -inf
    _backoff: Backoff = field(default_factory=Backoff)
    _budget: Budget = field(init=False)
    _secrets: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def metrics(self) -> FeedMetrics:
        return self.journal.metrics

    def __post_init__(self) -> None:
        self._budget = Budget(self.rest.rate.burst, self.rest.rate.every)

    def begin(self) -> asyncio.Future[Done]:
        """Ask for a round now, or once the one under way is over."""
        self._wanted.set()
        return self.following()

    def following(self) -> asyncio.Future[Done]:
        """Return how the next round ended."""
        ended: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting.append(ended)
        return ended

    def confirm(self, reference: str) -> None:
        """Ask about what somebody named whom we need not believe, as soon as may be."""
        self._references[reference] = None
        if len(self._references) > _MOST_REFERENCES:
            del self._references[next(iter(self._references))]
        self._wanted.set()

    async def run(self) -> None:
        """Ask until a stop is asked."""
        pause, self._told_at = self.rest.every, _now()
        async with client.session() as http:
            while not self.patience.stopped:
                self.progress.expect(self.name, pause)
                await self._wait(pause)
                if not self.patience.stopped:
                    self._wanted.clear()
                    pause = await self._round(http)
        self.progress.expect_nothing(self.name)

    async def _wait(self, pause: float) -> None:
        """Wait for the time of the next round, or for who asks; after a failure, for the time."""
        if self._backoff.failures:
            await self.patience.pause(pause)
            return
        until = _now() + pause
        while _now() < until and not (self.patience.stopped or self._is_wanted()):
            await self.patience.wait(self._wanted.wait(), min(until, _now() + _LOOK_EVERY))

    def _is_wanted(self) -> bool:
        return self._wanted.is_set() or (
            self.rest.looks_up and self._late.are_among(self.known().opens)
        )

    async def _round(self, http: aiohttp.ClientSession) -> float:
        """Ask one round; return the seconds until the next."""
        waiting, self._waiting = self._waiting, []
        done, pause = Done(whole=False), self.rest.every
        known = replace(self.known(), references=tuple(self._references))
        try:
            done = await _Round(self, http, known).run()
            self._backoff.kept()
        except FeedError as error:
            policy = error.pause if isinstance(error, Disconnected) else BackOff()
            pause = self._backoff.pause(policy, _random())
            self.metrics.rounds["failed"].inc()
            self._say(error, pause)
        else:
            self.metrics.rounds["whole" if done.whole else "partial"].inc()
        if done.whole:
            self._late.asked(known, is_of_a_connection=bool(waiting))
            for reference in known.references:
                self._references.pop(reference, None)
        await self._tell(done, waiting)
        return pause

    async def _tell(self, done: Done, waiting: list[asyncio.Future[Done]]) -> None:
        """Pass the end of a round on; where no connection waits for it, write it down here."""
        if done.recovered:
            self.took(done.recovered)
        heard = [ended for ended in waiting if not ended.done()]
        for ended in heard:
            ended.set_result(done)
        if done.recovered and not heard and _now() - self._told_at >= _REPEAT:
            self._told_at = _now()
            await (self.bearer or self.journal).recovered(done.recovered)

    def took(self, recovered: Recovered) -> None:
        if recovered.complete:
            self.reached(recovered)

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
            self.metrics.waited.inc(wait)
            await self.patience.pause(wait)


@dataclass(slots=True)
class _Round:
    """One round under way."""

    loop: RestLoop
    http: aiohttp.ClientSession
    known: Known
    _refused: Call | None = None
    """The call whose token was renewed once."""
    _number: int = 0
    """Of the last request, where they are numbered."""

    async def run(self) -> Done:
        account = await self.loop.patience.wait(self.loop.account())
        if account is None:
            return Done(whole=False)
        reading = self.loop.rest.reading(account, self.known)
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
        try:
            answer = await self.loop.patience.wait(self._sent(account, call))
        except Disconnected as error:
            self.loop.metrics.answers(call.route, "none").inc()
            return reading.failed(call, error), call
        if answer is None:
            return _STOPPED
        self.loop.metrics.answers(call.route, answer_of(answer.status)).inc()
        steps = tuple(reading.answered(call, answer))
        match steps:
            case (End(Unauthorized()),) if self._refused != call:
                self._refused = call
                self.loop.distrust(account)
                return (Next(call),), call
        return steps, call

    async def _sent(self, account: Account, call: Call) -> Answer:
        """Send a request when it is its turn: a number may not overtake a smaller one."""
        turn = self.loop.turn(account)
        async with turn.alone:
            number = turn.number(time_ns() // 1000)
            if self.loop.rest.key is not None:
                self._number = number
            request = self.loop.rest.request(account, call, number)
            with self.loop.metrics.answer_seconds.time():
                return await client.ask(self.http, request, MAX_RAW_BYTES)

    async def _perform(self, steps: Iterable[Step], call: Call | None) -> Call | Done:
        """Do what was said; return what to ask next, or how the round ended."""
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
                case Reached(recovered):
                    await self.loop.journal.recovered(self._numbered(recovered))
                    self.loop.took(recovered)
                case Next(following):
                    return Done(whole=False) if self.loop.patience.stopped else following
                case Done(whole, recovered):
                    return Done(whole, recovered and self._numbered(recovered))
                case End(error):
                    raise error
        return Done(whole=False)

    def _numbered(self, recovered: Recovered) -> Recovered:
        return msgspec.structs.replace(recovered, number=self._number)


_Told = tuple[Iterable[Step], Call | None]
_STOPPED: _Told = ((Done(whole=False),), None)

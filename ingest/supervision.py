"""An account's feed for as long as the program lives: dial, follow, pause, dial again."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from math import inf
from random import SystemRandom
from secrets import token_hex
from time import time, time_ns
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog

from ingest import credentials, settings
from ingest.backoff import Backoff, Budget
from ingest.connection import Dial, Journal, follow
from ingest.errors import SettingsError
from ingest.feed import (
    Account,
    After,
    AtOnce,
    Cursor,
    Disconnected,
    Feed,
    FeedError,
    Known,
    Login,
    Refused,
    Rest,
    Superseded,
    Unauthorized,
    Unresumable,
    Unwelcome,
    fitted,
)
from ingest.hydration import gated
from ingest.journal import Landed, Log, RawJournal
from ingest.key_log import KeptTokens, KeyLog
from ingest.metrics import FeedMetrics
from ingest.patience import Patience
from ingest.probes import Progress
from ingest.recall import Recall
from ingest.rest_loop import RestLoop
from ingest.turns import Turn
from schemas.records import Kind, OpenEntity, Recovered

_log = structlog.get_logger()
_random = SystemRandom().random
_ALARM_AFTER = 3
"""Failures in a row after which a warning becomes an error."""
_REPEATED = 2
"""Endings in a row as if somebody else took our place, after which they are an error."""
_SOONER = 1.0
"""Seconds: a token ends there, where it was granted, before it ends by our clock."""
_LOOK_EVERY = 10.0
_DIAL_WITH_LEFT = 60.0
"""Seconds that a token must live for a dial."""


class Opens(Protocol):
    """What is known of the entities that are not yet final."""

    def of(self, provider: str, account: str) -> tuple[OpenEntity, ...]: ...


class Lease(Protocol):
    """The right to be the one that follows a feed."""

    taken: asyncio.Future[Refused]
    """Done once another process follows it."""

    async def permitted(self) -> None:
        """Return once it is known who follows the feed, or that nobody can say."""
        ...

    async def run(self) -> None:
        """Ask for it, and keep it, until cancelled."""
        ...


class NoneOpen:
    """Nothing is known of any."""

    def of(self, _provider: str, _account: str) -> tuple[OpenEntity, ...]:
        return ()


@dataclass(slots=True, kw_only=True)
class Supervision:
    """One account's feed, from start to stop."""

    settings: settings.Account
    feed: Feed
    dial: Dial
    raw_log: Log
    metrics: FeedMetrics
    progress: Progress
    budgets: defaultdict[str, Budget]
    """Host → how often it may be dialled; shared by all accounts."""
    turns: defaultdict[str, Turn] = field(default_factory=lambda: defaultdict(Turn), repr=False)
    """Key → the numbers of its requests; shared by all accounts."""
    lease: Lease | None = None
    """None: several processes may follow this feed."""
    opens: Opens = field(default_factory=NoneOpen)
    keys: KeyLog | None = None
    """Where tokens are kept that sign what we verify."""
    patience: Patience = field(default_factory=Patience)
    """Of all of it, from start to stop."""
    cursor: Cursor | None = None
    """Up to where raw holds everything."""
    _backoff: Backoff = field(default_factory=Backoff)
    _resumes: bool = True
    _retried: bool = False
    """Whether the credential was read again, and nothing useful was recorded since."""
    _welcomed: bool = False
    """Whether a connection of ours was ever live."""
    _secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """As they were read last: what must not be in anything we write."""
    _dialled: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets of the last dial."""
    _recalled: int = 0
    """The last number of a signed request that an earlier process wrote down."""
    _dialled_until: float = inf
    """When the tokens of the last dial end, where they say so."""
    _superseded: int = 0
    """Endings in a row as if another connection of this account had taken over."""
    _session: credentials.Session | None = field(init=False, default=None)
    _rest: RestLoop | None = field(init=False, default=None)
    _until_reached: Patience | None = field(init=False, default=None)
    """Of what is followed as long as raw cannot be read."""

    def __post_init__(self) -> None:
        self._fit()
        if self.feed.login is not None:
            kept = self._kept(self.feed.login)
            self._session = credentials.Session(self.feed.login, self.budgets, kept)
        if self.feed.rest is not None:
            self._rest = self._rest_loop(self.feed.rest)

    def _fit(self) -> None:
        """Leave out what the account's credentials do not reach, and say so."""
        feed = fitted(self.feed, self.settings.credentials)
        if self.feed.rest is not None and feed.rest is None:
            missing = ", ".join(sorted(self.feed.rest.needs - self.settings.credentials.keys()))
            _log.info("no REST: a credential is not there", feed=self._name, missing=missing)
        self.feed = feed

    def _kept(self, login: Login) -> KeptTokens | None:
        if login.signs is None or self.keys is None:
            return None
        provider, account = self.settings.provider, self.settings.name
        return KeptTokens(keys=self.keys, provider=provider, account=account, token=login.signs)

    async def run(self) -> Refused | None:
        """Follow the feed until a stop is asked (None), or until it is refused."""
        self.progress.ready(self._name, ready=False)
        self.progress.expect(self._name)
        if self.lease is None:
            return await self._run()
        holding = asyncio.create_task(self.lease.run())
        try:
            return await self._run_alone(self.lease)
        finally:
            holding.cancel()
            await asyncio.wait({holding})

    async def _run_alone(self, lease: Lease) -> Refused | None:
        """Follow the feed for as long as no other process does."""
        await self.patience.wait(lease.permitted())
        if lease.taken.done():
            return await self._judge(lease.taken.result())
        running = asyncio.create_task(self._run())
        ends: set[asyncio.Future[Any]] = {running, lease.taken}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            running.cancel()
            raise
        if running.done():
            return running.result()
        self.patience.stop()
        await asyncio.wait({running})
        return running.result() or await self._judge(lease.taken.result())

    async def _run(self) -> Refused | None:
        if refused := await self._follow_unrecalled():
            return refused
        await self._recall()
        if self._rest is None:
            return await self._follow()
        asking = asyncio.create_task(self._rest.run())
        following = asyncio.create_task(self._follow())
        try:
            await asyncio.wait({asking, following}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                asking.result()  # By itself it ends only where raw does.
            self._rest.patience.stop()
            await asking
        except BaseException:
            asking.cancel()
            following.cancel()
            raise
        return following.result()

    async def _follow_unrecalled(self) -> Refused | None:
        """Follow the socket alone as long as raw cannot be read: what is told waits on disk.

        Then it is dialled anew from where an earlier process had come: no frame of these
        connections moves the cursor, since nothing was read back for them.
        """
        if self.raw_log.reached.is_set() or not Recall(self.feed).is_needed:
            return None
        self._until_reached = self.patience.part()
        reaching = asyncio.create_task(self._stop_when_reached(self._until_reached))
        try:
            return await self._follow()
        finally:
            reaching.cancel()
            self._until_reached = None

    async def _stop_when_reached(self, patience: Patience) -> None:
        await self.raw_log.reached.wait()
        patience.stop()

    @property
    def _waits(self) -> Patience:
        return self._until_reached or self.patience

    async def _follow(self) -> Refused | None:
        while not self._waits.stopped:
            try:
                await self._connect()
            except FeedError as error:
                if refused := await self._judge(error):
                    return refused
        return None

    @property
    def _name(self) -> str:
        return str(self.settings)

    async def _recall(self) -> None:
        """Find how far an earlier process had come, by what it left in raw."""
        recall = Recall(self.feed)
        if not recall.is_needed or self._waits.stopped:
            return
        async for piece in self.raw_log.tail(self.settings.provider, self.settings.name):
            recall.take(reversed(piece))
            if recall.is_over:
                break
        recall.begin()
        self.cursor = recall.cursor
        self._recalled = recall.number
        for reference in reversed(recall.references):
            self.confirm(reference)

    async def _connect(self) -> None:
        await self._have_room()
        await self._afford(self._read().url)
        account = await self._waits.wait(self._ready_to_dial())
        if account is None:
            return
        self._dialled_until = self._session.ends_at if self._session else inf
        account = await self._minted(self._signed(account))
        if self._waits.stopped:
            return
        self._dialled = account.secrets
        cursor = self.cursor if self._resumes else None
        self._resumes = True
        async with self._held_back(self._journal()) as journal:
            await follow(
                self.feed.address(account, cursor),
                self.feed.dialect(account, cursor),
                dial=self.dial,
                journal=journal,
                patience=self._waits,
            )

    def _held_back(self, journal: RawJournal) -> AbstractAsyncContextManager[Journal]:
        """Return the journal, behind a gate where REST is to speak first."""
        if self._rest is None or self._until_reached:
            return nullcontext(journal)
        return gated(journal, self._rest)

    async def _ready_to_dial(self) -> Account:
        if self.feed.login is not None and self.feed.login.dials:
            return await self._authorized(_DIAL_WITH_LEFT)
        return self._read()

    async def _authorized(self, left: float = 0.0) -> Account:
        """Return the account with its tokens, if it has any, good for ``left`` seconds."""
        account = self._read()
        if self._session is not None:
            account = await self._session.authorized(account, left)
            self._secrets = account.secrets
        return account

    def _read(self) -> Account:
        try:
            account = self.settings.with_secrets()
        except SettingsError as error:
            # It was there when we started: somebody is replacing it.
            raise Disconnected(str(error)) from error
        self._secrets = account.secrets
        return account

    def _signed(self, account: Account) -> Account:
        self._secrets = {**account.secrets, **self.feed.sign(account, int(time()))}
        return replace(account, secrets=self._secrets)

    async def _minted(self, account: Account) -> Account:
        mint = self.feed.mint(account)
        if mint is None:
            return account
        secrets = await self._waits.wait(credentials.minted(mint))
        self._secrets = {**account.secrets, **(secrets or {})}
        return replace(account, secrets=self._secrets)

    def _journal(self) -> RawJournal:
        return RawJournal(
            raw_log=self.raw_log,
            feed=self.feed,
            account=self.settings.name,
            environment=self.settings.environment,
            connection=token_hex(6),
            metrics=self.metrics,
            acknowledged=self._acknowledged,
            secrets=self._secrets,
        )

    def _rest_loop(self, rest: Rest) -> RestLoop:
        name = f"{self._name} rest"
        journal = self._journal()
        journal.acknowledged = lambda *_: self.progress.expect(name)
        return RestLoop(
            rest=rest,
            name=name,
            journal=journal,
            progress=self.progress,
            authorized=self._authorized,
            distrust=lambda account: self._distrust(account.secrets),
            known=self._known,
            reached=self._reached,
            turn=self._turn,
        )

    def _known(self) -> Known:
        return Known(
            now=time_ns() // 1000,
            cursor=self.cursor,
            opens=self.opens.of(self.settings.provider, self.settings.name),
        )

    def _reached(self, recovered: Recovered) -> None:
        if self.feed.rest and self.feed.rest.cursor:
            self._advance(self.feed.rest.cursor(recovered.up_to))

    def _advance(self, cursor: Cursor | None) -> None:
        if cursor and (self.cursor is None or cursor > self.cursor):
            self.cursor = cursor

    def _turn(self, account: Account) -> Turn:
        key = self.feed.rest.key if self.feed.rest else None
        turn = self.turns[key(account) if key else self._name]
        turn.resume(self._recalled)
        return turn

    def hear(self, webhook: bytes) -> None:
        """Ask the provider about what a webhook names, where nobody signed it."""
        read = self.feed.rest.reference if self.feed.rest else None
        if read and (reference := read(webhook)):
            self.confirm(reference)

    def confirm(self, reference: str) -> None:
        """Ask the provider about what somebody named who need not be believed."""
        if self._rest is not None:
            self._rest.confirm(reference)

    def _distrust(self, refused: Mapping[str, str]) -> None:
        if self._session is not None:
            self._session.distrust(refused)

    def _acknowledged(self, landed: Landed) -> None:
        self.progress.expect(self._name)
        if landed.kinds & {Kind.OPENED, Kind.CLOSED}:
            self.progress.ready(self._name, ready=Kind.CLOSED not in landed.kinds)
            self._welcomed = True
        if landed.is_useful or Kind.ALIVE in landed.kinds:
            self._retried = False
        if landed.is_useful:
            self._backoff.kept()
        self._advance(landed.cursor)

    async def _have_room(self) -> None:
        """Wait where neither Kafka nor the disk takes frames: it is no lack of progress."""
        room = asyncio.ensure_future(self.raw_log.room(self.settings.provider, self.settings.name))
        try:
            while not (room.done() or self._waits.stopped):
                self.progress.expect(self._name)
                await self._waits.wait(asyncio.wait({room}, timeout=_LOOK_EVERY))
        finally:
            room.cancel()

    async def _afford(self, url: str) -> None:
        now = asyncio.get_running_loop().time()
        wait = self.budgets[urlsplit(url).netloc].reserve(now)
        self.progress.expect(self._name, wait)
        if wait:
            await self._waits.pause(wait)

    async def _judge(self, error: FeedError) -> Refused | None:
        """Do what the end of a connection asks for; return it if that is to stop."""
        self._superseded = self._superseded + 1 if isinstance(error, Superseded) else 0
        outlived = asyncio.get_running_loop().time() >= self._dialled_until - _SOONER
        if isinstance(error, Unauthorized) and self._retried and not outlived:
            error = error.then
        if isinstance(error, Unwelcome) and not self._welcomed:
            error = Refused(str(error))
        pause = self._pause(error)
        self.metrics.reconnects[_consequence(error)].inc()
        if isinstance(error, Refused):
            self.metrics.refused.set(1)
            self.progress.expect_nothing(self._name)
            self._say(_log.error, "refused: this feed is stopped", error)
            return error
        urgent = (
            self._backoff.failures >= _ALARM_AFTER
            or self._superseded >= _REPEATED
            or isinstance(error, Unwelcome)
        )
        self._say(_log.error if urgent else _log.warning, "disconnected", error, pause)
        self.progress.expect(self._name, pause)
        await self._waits.pause(pause)
        return None

    def _pause(self, error: FeedError) -> float:
        """Return the seconds until the next dial, and remember what it must do."""
        match error:
            case Unauthorized():
                self._retried = True
                self._distrust(self._dialled)
                return self._backoff.pause(AtOnce(), _random())
            case Unresumable():
                self._resumes = False
                return self._backoff.pause(AtOnce(), _random())
            case Disconnected(pause=pause) | Unwelcome(later=pause):
                return self._backoff.pause(pause, _random())
            case _:
                return 0.0

    def _say(
        self, say: Callable[..., object], event: str, error: FeedError, pause: float = 0.0
    ) -> None:
        say(
            event,
            feed=self._name,
            reason=credentials.struck(str(error), self._secrets),
            failures=self._backoff.failures,
            next_dial_seconds=round(pause, 2),
        )


def _consequence(error: FeedError) -> str:  # noqa: PLR0911 - one per word
    """Return the word of ``metrics.CONSEQUENCES`` for what follows."""
    match error:
        case Unauthorized():
            return "unauthorized"
        case Unwelcome():
            return "unwelcome"
        case Unresumable():
            return "unresumable"
        case Disconnected(pause=AtOnce()):
            return "at_once"
        case Disconnected(pause=After()):
            return "after"
        case Disconnected():
            return "back_off"
        case _:
            return "refused"

"""One connector at work: the real feed over the real wire, watched from all sides."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from ingest import settings, wire
from ingest.backoff import Budget
from ingest.feed import Refused
from ingest.feeds import feed_of
from ingest.metrics import CONSEQUENCES, Metrics
from ingest.patience import Patience
from ingest.probes import Progress
from ingest.supervision import Supervision
from penstock.certification.books import frames_of, in_same_order, is_counted, lost
from penstock.certification.endings import Ended, Ending
from penstock.certification.memory_log import MemoryLog
from penstock.certification.watch import Failed, T, Watch
from schemas.records import Kind
from twins.control import orders_of
from twins.faults import Order
from twins.server import Twin

WITHIN: Final = 30.0
"""Seconds for what should come at once: two cores play dozens of cases side by side."""
_STOPS_WITHIN: Final = 15.0
_LONGEST_PAUSE: Final = 4.0
_PROBE: Final = 0.25
"""Seconds between two facts that ask whether somebody hears."""


def commanded(twin: Twin[Any] | None) -> Twin[Any]:
    """Return the twin that must be there for a case that commands the peer."""
    if twin is None:
        raise AssertionError("a case that commands the peer was played against a server")
    return twin


_reasons: ContextVar[list[str] | None] = ContextVar("_reasons", default=None)


def note_line(_logger: object, _method: str, line: MutableMapping[str, Any]) -> str:
    """Note why a connector says that a connection ended; a structlog processor that prints none."""
    if (reasons := _reasons.get()) is not None and "reason" in line:
        reasons.append(str(line["reason"]))
    raise structlog.DropEvent


class _WatchedPatience(Patience):
    """The real waits, told to the scene; a pause longer than a case lasts is cut short."""

    def __init__(self, pausing: Callable[[float], None]) -> None:
        super().__init__()
        self._pausing = pausing

    async def pause(self, seconds: float) -> None:
        self._pausing(seconds)
        await super().pause(min(seconds, _LONGEST_PAUSE))


@dataclass(slots=True)
class Scene:
    """A feed that is followed, what it wrote, and the twin that it follows, if it is one."""

    account: settings.Account
    log: MemoryLog
    watch: Watch
    twin: Twin[Any] | None
    reasons: list[str] = field(default_factory=list)
    """Why connections ended, in the connector's own words, without secrets."""
    ended: list[Ended] = field(default_factory=list)
    """What every end so far led to."""
    stopping: Callable[[], None] = field(init=False)
    following: asyncio.Task[Refused | None] = field(init=False)
    _registry: CollectorRegistry = field(init=False)
    _counted: dict[str, float] = field(default_factory=dict)
    _judged: int = 0

    def follow(self) -> None:
        """Begin to follow, as the program does for one account."""
        metrics = Metrics()
        self._registry = metrics.registry
        self._counted = dict.fromkeys(CONSEQUENCES, 0.0)
        patience = _WatchedPatience(self._note)
        self.stopping = patience.stop
        supervision = Supervision(
            settings=self.account,
            feed=feed_of(self.account.provider, self.account.name),
            dial=wire.dial,
            raw_log=self.log,
            metrics=metrics.of(self.account.provider, self.account.name),
            progress=Progress(),
            budgets=defaultdict(Budget),
            patience=patience,
        )
        _reasons.set(self.reasons)  # The task that is made now takes it along.
        self.following = asyncio.create_task(supervision.run())
        self.following.add_done_callback(lambda _: self._note(None))

    def _note(self, pause: float | None) -> None:
        """Note what the end of a connection led to; other pauses are none of an end."""
        for word, before in self._counted.items():
            labels = {"provider": self.account.provider, "account": self.account.name}
            labels["consequence"] = word
            now = self._registry.get_sample_value("penstock_ingest_reconnects_total", labels)
            if now is not None and now > before:
                self._counted[word] = now
                self.ended.append(Ended(word, pause))
        self.watch.notice()

    async def until(self, holds: Callable[[], T], what: str, within: float = WITHIN) -> T:
        """Wait for what a case expects. Raises ``Failed``, or what ended the connector."""

        def found() -> T:
            self._check()
            return holds()

        try:
            return await self.watch.until(found, what, within)
        except Failed as failed:
            found_instead = "; ".join(self.reasons[-1:]) or "nothing"
            raise Failed(f"{failed}; found {found_instead}") from None

    def _check(self) -> None:
        if self.following.done() and (error := self.following.exception()):
            raise error

    # ---- the connector ---------------------------------------------------------------

    @property
    def opened(self) -> int:
        return len(self.log.marks(Kind.OPENED))

    async def until_opened(self, times: int = 1, within: float = WITHIN) -> None:
        def opened() -> bool:
            if self.following.done():
                raise Failed(f"expected a connection, but the feed stopped: {self._last()}")
            return self.opened >= times

        await self.until(opened, f"connection {times} to be live", within)

    def _last(self) -> str:
        refused = None if self.following.cancelled() else self.following.result()
        return str(refused or "as asked")

    async def end(self, within: float = WITHIN) -> Ended:
        """Wait for the next end that was not waited for yet."""
        self._judged += 1
        await self.until(lambda: len(self.ended) >= self._judged, "the connection to end", within)
        return self.ended[self._judged - 1]

    async def expect(self, *endings: Ending, failures: int = 1, within: float = WITHIN) -> str:
        """Wait for these ends, the next that come; return what they led to.

        ``failures``: how many in a row the first of them is.
        """
        said = []
        for count, ending in enumerate(endings, start=failures):
            ended = await self.end(within)
            if not ending.allows(ended, count):
                raise Failed(f"expected {ending}; found {ended}")
            said.append(str(ended))
        return ", then ".join(said)

    async def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.stopping()
        try:
            await asyncio.wait_for(asyncio.shield(self.following), _STOPS_WITHIN)
        except TimeoutError:
            raise Failed(f"expected a stop within {_STOPS_WITHIN:g} s") from None

    # ---- the peer --------------------------------------------------------------------

    async def order(self, name: str, **arguments: float) -> None:
        """Give the twin an order, as its control port would."""
        obeying = orders_of(self.playing)[name](msgspec.convert(arguments, Order))
        if obeying is not None:
            await obeying

    @property
    def playing(self) -> Twin[Any]:
        """The twin, in cases that command it."""
        return commanded(self.twin)

    async def until_heard(self, times: int = 1, within: float = WITHIN) -> None:
        """Wait for a connection, and until what the twin tells by it reaches raw."""
        await self.until_opened(times, within)
        limit = asyncio.get_running_loop().time() + within
        while asyncio.get_running_loop().time() < limit:
            await self.order("storm", count=1)
            try:
                await self.watch.until(self._hears, "a frame", _PROBE)
            except Failed:
                continue
            return
        raise Failed(f"expected what is told to reach raw within {within:g} s")

    def _hears(self) -> bool:
        """Return whether something of the books reached raw by the connection that opened last."""
        self._check()
        sums = {line.sha256 for line in self.playing.books.lines if line.listeners}
        last = self.log.marks(Kind.OPENED)[-1].connection
        told = zip(self.log.frames(), self.log.digests, strict=True)
        return any(raw.connection == last and digest in sums for raw, digest in told)

    async def until_all_is_in_raw(self, *, in_order: bool = True) -> int:
        """Wait until all that the twin told is in raw, byte for byte; return how much it is.

        What was told inside a hole may be missing. Without ``in_order`` several connections
        may have told it.
        """
        lines = self.playing.books.lines
        if not in_order:
            await self.until(lambda: not lost(lines, self.log), "all that was told in raw")
            return len({line.key for line in lines if line.listeners})
        told = list(frames_of(lines))
        await self.until(lambda: is_counted(told, self.log), "every frame in raw, byte for byte")
        if not in_same_order(told, self.log):
            raise Failed("expected the frames in raw in the order in which they were told")
        return len({line.key for line in lines if line.listeners})


@asynccontextmanager
async def followed(
    account: settings.Account, twin: Twin[Any] | None, log: MemoryLog | None = None
) -> AsyncIterator[Scene]:
    """Follow an account for as long as the block lasts."""
    watch = Watch()
    scene = Scene(account, log or MemoryLog(watch.notice), watch, twin)
    scene.log.changed = watch.notice
    scene.follow()
    try:
        yield scene
    finally:
        scene.stopping()
        scene.log.let_go()
        _, late = await asyncio.wait({scene.following}, timeout=_STOPS_WITHIN)
        for task in late:
            task.cancel()
        await asyncio.gather(scene.following, return_exceptions=True)

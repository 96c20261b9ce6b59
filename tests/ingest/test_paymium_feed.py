"""Paymium's feeds against its stand-in, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingest import connection, wire
from ingest.connection import follow
from ingest.feed import Account, AtOnce, Disconnected, FeedError, Keep, Refused, Silent
from ingest.feeds import feed_of
from ingest.patience import Patience
from schemas.records import Closed, Kind, Micros
from twins.engineio3 import Timers
from twins.faults import Order
from twins.paymium import PaymiumTwin
from twins.server import Twin

PATIENCE_S = 10.0
QUICK = Timers(ping_interval=100, ping_timeout=300)


@dataclass
class Journal:
    """A journal that remembers, and says when something comes."""

    frames: list[str] = field(default_factory=list)
    marks: list[Kind] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, frame: Keep, received_at: Micros) -> None:
        assert isinstance(frame.frame, str)
        self.frames.append(frame.frame)
        self.changed.set()

    async def mark(self, kind: Kind, received_at: Micros, why: Closed | None = None) -> None:
        self.marks.append(kind)
        self.changed.set()

    def report(self, text: str) -> None:
        self.reports.append(text)
        self.changed.set()

    async def until(self, holds: Callable[["Journal"], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self):
                await self.changed.wait()
                self.changed.clear()


@dataclass
class Followed:
    """One connection of a feed, followed until it ends."""

    journal: Journal
    following: "asyncio.Future[None]"

    async def end(self) -> FeedError:
        with pytest.raises(FeedError) as raised:
            await asyncio.wait_for(asyncio.shield(self.following), PATIENCE_S)
        return raised.value


def account(twin: Twin[Any], name: str, **options: Any) -> Account:
    return Account(
        provider="paymium",
        name=name,
        environment="sandbox",
        url=twin.url,
        options=options,
        secrets={} if name == "public" else {"channel_id": twin.provider.channel_id},
    )


@asynccontextmanager
async def followed(told: Account) -> AsyncIterator[Followed]:
    feed, journal, patience = feed_of("paymium", told.name), Journal(), Patience()
    following = asyncio.ensure_future(
        follow(
            feed.address(told, None),
            feed.dialect(told, None),
            dial=wire.dial,
            journal=journal,
            patience=patience,
        )
    )
    try:
        yield Followed(journal, following)
    finally:
        patience.stop()
        with suppress(FeedError):
            await asyncio.wait_for(following, PATIENCE_S)


@asynccontextmanager
async def user(twin: Twin[Any], **options: Any) -> AsyncIterator[Followed]:
    """Follow the user stream until the twin knows its channel."""
    async with followed(account(twin, "main", **options)) as live:
        async with asyncio.timeout(PATIENCE_S):
            await twin.audience.attentive.wait()
        yield live


@pytest.mark.parametrize("compress", [False, True])
async def test_every_frame_of_a_user_is_kept_byte_for_byte_and_in_order(*, compress: bool) -> None:
    async with PaymiumTwin(rate=0, compress=compress) as twin, user(twin) as live:
        await twin.storm(500)
        await live.journal.until(lambda journal: len(journal.frames) >= 500)
        assert live.journal.marks == [Kind.OPENED]
        assert [text for text in live.journal.frames if text.startswith("42/user,")]
        assert len(live.journal.frames) == 500


async def test_what_everybody_is_told_is_kept_under_the_account_public() -> None:
    async with (
        PaymiumTwin(rate=0, every_s=0.05) as twin,
        followed(account(twin, "public")) as live,
    ):
        await live.journal.until(lambda journal: len(journal.frames) >= 10)
        assert all(text.startswith("42/public,") for text in live.journal.frames)
        assert live.journal.marks == [Kind.OPENED]


async def test_payments_are_followed_beside_the_user_channel() -> None:
    async with PaymiumTwin(rate=0) as twin:
        payments = twin.provider.payments[:2]
        async with user(twin, payments=payments) as live:
            await twin.storm(60)
            kept = live.journal
            await kept.until(lambda journal: len(journal.frames) >= 60)
            told = [text for text in kept.frames if "merchant_reference" in text]
            assert any(payments[0] in text for text in told)


async def test_our_pings_keep_a_connection_on_which_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "ALIVE_EVERY", 0.2)
    timers = Timers(ping_interval=100, ping_timeout=1000, idle_s=0.5)
    async with PaymiumTwin(rate=0, timers=timers) as twin, user(twin) as quiet:
        await quiet.journal.until(lambda journal: journal.marks.count(Kind.ALIVE) >= 5)
        assert not quiet.following.done()


async def test_missing_pongs_are_death_even_where_much_is_told() -> None:
    async with (
        PaymiumTwin(rate=0, every_s=0.01, timers=QUICK) as twin,
        followed(account(twin, "public")) as live,
    ):
        await live.journal.until(lambda journal: len(journal.frames) > 3)
        twin.provider.orders()["swallow-pongs"](Order(seconds=60))
        assert isinstance(await live.end(), Silent)


async def test_a_half_open_connection_is_found_out() -> None:
    async with PaymiumTwin(rate=0, timers=QUICK) as twin, user(twin) as live:
        await twin.half_open()
        assert isinstance(await live.end(), Silent)


@pytest.mark.parametrize("name", ["leave", "engine-close"])
async def test_being_sent_away_means_dial_again_at_once(name: str) -> None:
    async with PaymiumTwin(rate=0) as twin, user(twin) as live:
        twin.provider.orders()[name](Order())
        error = await live.end()
        assert isinstance(error, Disconnected)
        assert error.pause == AtOnce()
        assert live.journal.marks == [Kind.OPENED, Kind.CLOSED]


async def test_an_unknown_namespace_stops_the_feed() -> None:
    async with PaymiumTwin(rate=0) as twin:
        twin.provider.orders()["deny-namespaces"](Order(seconds=60))
        async with followed(account(twin, "public")) as live:
            error = await live.end()
    assert isinstance(error, Refused)
    assert str(error) == '/public answers "Invalid namespace"'


async def test_a_drop_means_dial_again_at_once() -> None:
    async with PaymiumTwin(rate=0) as twin, user(twin) as live:
        await twin.drop()
        error = await live.end()
        assert isinstance(error, Disconnected)
        assert error.pause == AtOnce()


async def test_garbage_is_kept_and_ends_nothing() -> None:
    async with PaymiumTwin(rate=0) as twin, user(twin) as live:
        await twin.garbage()
        await twin.storm(1)
        await live.journal.until(lambda journal: len(journal.frames) >= 2)
        assert live.journal.frames[0] == "<<< this is no frame of any protocol >>>"


async def test_a_megabyte_in_many_fragments_is_one_frame() -> None:
    async with PaymiumTwin(rate=0) as twin, user(twin) as live:
        await twin.fragment(7)
        twin.provider.orders()["bulk"](Order(count=1_000_000))
        await live.journal.until(lambda journal: bool(journal.frames))
        assert len(live.journal.frames[0]) > 1_000_000


async def test_a_storm_arrives_whole() -> None:
    async with PaymiumTwin(rate=0) as twin, user(twin) as live:
        await twin.storm(5_000)
        await live.journal.until(lambda journal: len(journal.frames) >= 5_000)
        assert len(live.journal.frames) == 5_000

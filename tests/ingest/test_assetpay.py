"""AssetPay's feed over real sockets: its twin with every fault, and a server not of ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from time import time
from typing import Any

import pytest
import socketio
from aiohttp import web

from ingest import wire
from ingest.connection import follow
from ingest.feed import (
    Account,
    AtOnce,
    BackOff,
    Disconnected,
    FeedError,
    Frame,
    Keep,
    Refused,
    Silent,
    Unwelcome,
)
from ingest.feeds.assetpay.socket import FEED
from ingest.patience import Patience
from schemas.records import Closed, Kind, Micros
from twins.assetpay import API_KEY, API_SECRET, ATTACHED, ATTACHMENT, TRADES_KEY, AssetPayTwin
from twins.faults import Faults, Order
from twins.server import Twin
from twins.socketio_server import Timers

PATIENCE_S = 5.0
TOKEN = {"auth": "token", "merchant_id": "m", "steam_id": "76561198000000001"}
TRADE = {"trade": {"id": "1", "totalPrice": 10.75}}


@dataclass
class Diary:
    """A journal that remembers, and wakes who waits for something in it."""

    kinds: list[Kind] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    closed: Closed | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def keep(self, frame: Keep, received_at: Micros) -> None:
        self.frames.append(frame.frame)
        await self._note(Kind.FRAME)

    async def mark(self, kind: Kind, received_at: Micros, why: Closed | None = None) -> None:
        self.closed = why
        await self._note(kind)

    def report(self, text: str) -> None:
        raise AssertionError(text)

    async def _note(self, kind: Kind) -> None:
        self.kinds.append(kind)
        async with self.changed:
            self.changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(holds)

    async def until_live(self) -> None:
        await self.until(lambda: Kind.OPENED in self.kinds)


@dataclass
class Following:
    """One connection of the feed, in a task of its own."""

    diary: Diary
    patience: Patience
    task: asyncio.Task[None]

    async def end(self) -> FeedError:
        with pytest.raises(FeedError) as raised:
            await asyncio.wait_for(self.task, PATIENCE_S)
        return raised.value


def account(url: str, api_key: str = API_KEY, **options: Any) -> Account:
    secrets = {"api_key": api_key, "api_secret": API_SECRET, "trade_url": "https://steam.example"}
    main = Account(
        provider="assetpay",
        name="main",
        environment="sandbox",
        url=url,
        options=options,
        secrets=secrets,
    )
    signed = FEED.sign(main, int(time()))
    return Account(
        provider="assetpay",
        name="main",
        environment="sandbox",
        url=url,
        options=options,
        secrets={**secrets, **signed},
    )


@asynccontextmanager
async def following(main: Account) -> AsyncIterator[Following]:
    diary, patience = Diary(), Patience()
    work = follow(
        FEED.address(main, None),
        FEED.dialect(main, None),
        dial=wire.dial,
        journal=diary,
        patience=patience,
    )
    task = asyncio.create_task(work)
    try:
        yield Following(diary, patience, task)
    finally:
        patience.stop()
        await asyncio.gather(task, return_exceptions=True)


def followed(twin: Twin[Any], **options: Any) -> AbstractAsyncContextManager[Following]:
    return following(account(twin.url, **options))


def pause(error: FeedError) -> object:
    assert isinstance(error, Disconnected)
    return error.pause


# ---- the twin ---------------------------------------------------------------------------


async def test_what_is_kept_is_what_was_told_byte_for_byte() -> None:
    faults = Faults(duplicate=0.1, reorder=0.1, damage=0.1)
    async with AssetPayTwin(rate=0, market=0, faults=faults) as twin, followed(twin) as feed:
        await feed.diary.until_live()
        await twin.storm(2000)
        summary = await twin.quiet()
        wanted = 1 + summary.frames + summary.damaged
        await feed.diary.until(lambda: len(feed.diary.frames) == wanted)
        kept = [sha256(str(frame).encode()).hexdigest() for frame in feed.diary.frames[1:]]
        assert kept == [line.sha256 for line in twin.books.lines]


async def test_a_client_token_is_as_good_as_a_key() -> None:
    async with AssetPayTwin(rate=0) as twin, followed(twin, **TOKEN) as feed:
        await feed.diary.until_live()
        await twin.expire_token()
        assert pause(await feed.end()) == AtOnce()


async def test_a_key_without_the_market_is_live_once_it_was_not_dropped() -> None:
    async with AssetPayTwin(rate=0) as twin, followed(twin, api_key=TRADES_KEY) as feed:
        await feed.diary.until_live()
        assert feed.diary.kinds == [Kind.OPENED]


async def test_a_bad_key_is_unwelcome_and_never_live() -> None:
    async with AssetPayTwin(rate=0) as twin, followed(twin, api_key="guess") as feed:
        assert isinstance(await feed.end(), Unwelcome)
        assert feed.diary.kinds == []


@pytest.mark.parametrize("options", [{}, TOKEN])
async def test_a_key_that_is_revoked_in_its_life_is_dropped_and_then_unwelcome(
    options: dict[str, Any],
) -> None:
    async with AssetPayTwin(rate=0) as twin, followed(twin, **options) as feed:
        await feed.diary.until_live()
        await twin.provider.revoke(60)
        assert pause(await feed.end()) == AtOnce()
        async with followed(twin, **options) as again:
            assert isinstance(await again.end(), Unwelcome)


async def test_a_deploy_means_to_dial_at_once() -> None:
    async with AssetPayTwin(rate=0) as twin, followed(twin) as feed:
        await feed.diary.until_live()
        await twin.provider.deploy()
        assert pause(await feed.end()) == AtOnce()
        assert feed.diary.kinds == [Kind.OPENED, Kind.FRAME, Kind.CLOSED]


async def test_a_cut_connection_backs_off_and_a_restart_does_not() -> None:
    for fault, wanted in (("drop", BackOff()), ("restart", AtOnce())):
        async with AssetPayTwin(rate=0) as twin, followed(twin) as feed:
            await feed.diary.until_live()
            await (twin.drop() if fault == "drop" else twin.close(1012))
            assert pause(await feed.end()) == wanted


@pytest.mark.parametrize(
    ("status", "meaning"), [(401, Unwelcome), (403, Unwelcome), (503, Disconnected), (404, Refused)]
)
async def test_a_refused_upgrade_means_what_http_says(status: int, meaning: type) -> None:
    async with AssetPayTwin(rate=0) as twin:
        twin.door.refuse(status, 60)
        async with followed(twin) as feed:
            assert type(await feed.end()) is meaning


async def test_a_rate_limit_is_waited_out_as_long_as_it_says() -> None:
    async with AssetPayTwin(rate=0) as twin:
        twin.door.refuse(429, 60)
        async with followed(twin) as feed:
            error = await feed.end()
            assert getattr(pause(error), "seconds", None) == 2.0


@pytest.mark.parametrize("fault", ["stop-pings", "half-open"])
async def test_a_server_that_stops_pinging_is_dead_after_its_own_time(fault: str) -> None:
    timers = Timers(ping_interval=0.1, ping_timeout=0.3)
    async with AssetPayTwin(rate=0, timers=timers) as twin, followed(twin) as feed:
        await feed.diary.until_live()
        if fault == "half-open":
            await twin.half_open()
        else:
            twin.orders["stop-pings"](Order())
        error = await feed.end()
        assert isinstance(error, Silent)
        assert feed.diary.closed is not None
        assert feed.diary.closed.cause == "silent"


async def test_a_server_that_pings_is_alive_however_little_it_tells() -> None:
    timers = Timers(ping_interval=0.02, ping_timeout=0.2)
    async with AssetPayTwin(rate=0, timers=timers) as twin, followed(twin) as feed:
        await feed.diary.until_live()
        await asyncio.sleep(0.5)  # What is proved is that time passes.
        await twin.storm(1)
        await feed.diary.until(lambda: len(feed.diary.frames) >= 2)


async def test_big_fragmented_and_compressed_frames_are_kept_whole() -> None:
    async with AssetPayTwin(rate=0, market=0, compress=True) as twin, followed(twin) as feed:
        await feed.diary.until_live()
        for pieces in (1, 1_000):
            await twin.fragment(pieces)
            twin.teller.pad(1_000_000)
            await twin.storm(1)
            # A fragment is written at once, and must not overtake what is compressed elsewhere.
            await twin.audience.written()
        await feed.diary.until(lambda: len(feed.diary.frames) == 3)
        kept = [sha256(str(frame).encode()).hexdigest() for frame in feed.diary.frames[1:]]
        assert kept == [line.sha256 for line in twin.books.lines]
        assert all(len(frame) > 1_000_000 for frame in feed.diary.frames[1:])


async def test_a_binary_event_and_its_attachment_are_kept_in_order() -> None:
    async with AssetPayTwin(rate=0, market=0) as twin, followed(twin) as feed:
        await feed.diary.until_live()
        twin.provider.attach()
        await twin.storm(1)
        await feed.diary.until(lambda: len(feed.diary.frames) == 4)
        assert feed.diary.frames[1:3] == [ATTACHED, ATTACHMENT]


# ---- python-socketio's plain server -----------------------------------------------------


@dataclass
class Plain:
    """A server as anybody would write it, with the library's own driver and defaults."""

    url: str
    server: socketio.AsyncServer
    arrived: asyncio.Queue[str]


@asynccontextmanager
async def plain(**limits: Any) -> AsyncIterator[Plain]:
    server = socketio.AsyncServer(async_mode="aiohttp", monitor_clients=False, **limits)
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    arrived: asyncio.Queue[str] = asyncio.Queue()
    server.on("connect", lambda sid, _environ: arrived.put_nowait(sid))
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/socket.io/"
    try:
        yield Plain(url, server, arrived)
    finally:
        await server.shutdown()
        await runner.cleanup()


async def test_a_plain_server_is_joined_followed_and_answered() -> None:
    limits = {"ping_interval": 0.05, "ping_timeout": 1}
    async with plain(**limits) as peer, following(account(peer.url)) as feed:
        sid = await asyncio.wait_for(peer.arrived.get(), PATIENCE_S)
        assert await peer.server.call("trade", TRADE, to=sid, timeout=PATIENCE_S) is None
        await peer.server.emit("a name, [odd]", (1, {"ü": None}), to=sid)
        await feed.diary.until(lambda: len(feed.diary.frames) == 2)
        named, odd = map(str, feed.diary.frames)
        assert json.loads(named.lstrip("0123456789")) == ["trade", TRADE]
        assert json.loads(odd[2:]) == ["a name, [odd]", 1, {"ü": None}]
        assert feed.diary.kinds[0] is Kind.OPENED


async def test_a_plain_server_that_sends_binary_is_kept_in_order_and_answered() -> None:
    async with plain() as peer, following(account(peer.url)) as feed:
        sid = await asyncio.wait_for(peer.arrived.get(), PATIENCE_S)
        await peer.server.call("blob", {"a": b"\x00\xff", "b": b"2"}, to=sid, timeout=PATIENCE_S)
        await peer.server.emit("trade", TRADE, to=sid)
        await feed.diary.until(lambda: len(feed.diary.frames) == 4)
        head, first, second, trade = feed.diary.frames
        assert str(head).startswith("452-")
        assert (first, second) == (b"\x00\xff", b"2")
        assert str(trade).startswith('42["trade",')


async def test_a_plain_server_stays_with_us_because_we_answer_its_pings() -> None:
    limits = {"ping_interval": 0.02, "ping_timeout": 0.2}
    async with plain(**limits) as peer, following(account(peer.url)) as feed:
        sid = await asyncio.wait_for(peer.arrived.get(), PATIENCE_S)
        await asyncio.sleep(sum(limits.values()) * 2)  # What is proved is that time passes.
        await peer.server.emit("trade", TRADE, to=sid)
        await feed.diary.until(lambda: len(feed.diary.frames) == 1)


async def test_a_plain_servers_disconnect_is_an_end() -> None:
    async with plain() as peer, following(account(peer.url)) as feed:
        sid = await asyncio.wait_for(peer.arrived.get(), PATIENCE_S)
        await peer.server.emit("trade", TRADE, to=sid)
        await feed.diary.until_live()
        await peer.server.disconnect(sid)
        assert pause(await feed.end()) == AtOnce()


async def test_a_plain_server_that_refuses_the_join_does_not_want_us() -> None:
    async with plain() as peer:

        async def refuse(_sid: str, _environ: object) -> bool:
            raise socketio.exceptions.ConnectionRefusedError("not you")

        peer.server.on("connect", refuse)
        async with following(account(peer.url)) as feed:
            error = await feed.end()
            assert isinstance(error, Unwelcome)
            assert "not you" in str(error)


async def test_a_plain_server_that_connects_always_and_then_refuses_does_not_want_us() -> None:
    async with plain(always_connect=True) as peer:
        peer.server.on("connect", lambda _sid, _environ: False)
        async with following(account(peer.url)) as feed:
            assert isinstance(await feed.end(), Unwelcome)

"""One account over many connections: what is dialled next, with what, and when it stops."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from ingest import supervision
from ingest.backoff import Budget
from ingest.feed import Address, Close, Frame, Refusal, Refused
from ingest.feeds import FEEDS
from ingest.lane import Ticket
from ingest.metrics import Metrics
from ingest.patience import Patience
from ingest.probes import Progress
from ingest.settings import Account
from ingest.supervision import Supervision
from ingest.wire import Wire
from schemas.records import Kind, Raw, Via

Script = list[Frame | Close] | Refusal


@dataclass
class MemoryLog:
    """A raw log that acknowledges at once, or never."""

    past: list[list[Raw]] = field(default_factory=list)
    acknowledges: bool = True
    records: list[Raw] = field(default_factory=list)

    async def room(self, _provider: str, _account: str) -> None: ...

    @property
    def reached(self) -> asyncio.Event:
        reached = asyncio.Event()
        reached.set()
        return reached

    async def append(self, raw: Raw) -> Ticket:
        self.records.append(raw)
        ticket: Ticket = asyncio.get_running_loop().create_future()
        if self.acknowledges:
            ticket.set_result(None)
        return ticket

    async def tail(self, _provider: str, _account: str) -> AsyncIterator[list[Raw]]:
        for piece in self.past:
            yield piece


@dataclass
class ScriptedWire:
    lines: list[Frame | Close]

    async def send(self, frame: Frame) -> None: ...

    async def ping(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    async def recv(self) -> list[Frame | Close]:
        await asyncio.sleep(0)  # As a socket does: acknowledgements come in between.
        return [self.lines.pop(0)]


@dataclass
class Provider:
    """Plays one script per dial, and remembers how it was dialled."""

    scripts: list[Script]
    dials: list[Address] = field(default_factory=list)

    @asynccontextmanager
    async def dial(self, address: Address) -> AsyncIterator[Wire | Refusal]:
        self.dials.append(address)
        script = self.scripts.pop(0)
        yield script if isinstance(script, Refusal) else ScriptedWire(script)

    def asked(self, name: str) -> list[str | None]:
        queries = (parse_qs(urlsplit(address.url).query) for address in self.dials)
        return [query.get(name, [None])[0] for query in queries]


def event(milliseconds: int, n: int = 1) -> str:
    return f'{{"id":"evt_{milliseconds}-{n}","object":"event"}}'


def in_raw(value: str, kind: Kind = Kind.FRAME) -> Raw:
    return Raw(
        provider="pepay",
        account="main",
        environment="sandbox",
        via=Via.SOCKET,
        route="commerce",
        kind=kind,
        connection="c",
        sequence=0,
        received_at=0,
        value=value.encode(),
    )


@dataclass
class Key:
    """A file with an API key, which somebody may replace."""

    path: Path

    def holds(self, secret: str) -> None:
        self.path.write_text(f"{secret}\n")

    def vanishes(self) -> None:
        self.path.unlink()


@dataclass
class WatchedPatience(Patience):
    """Patience that says when a pause begins."""

    paused: Callable[[], None]

    def __post_init__(self) -> None:
        super().__init__()

    async def pause(self, seconds: float) -> None:
        self.paused()
        await super().pause(seconds)


@pytest.fixture
def key(tmp_path: Path) -> Key:
    key = Key(tmp_path / "key")
    key.holds("first")
    return key


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Randomness of 0: no pause of our own waits for anything."""
    monkeypatch.setattr(supervision, "_random", lambda: 0.0)
    monkeypatch.setattr("ingest.backoff._AT_ONCE", (0.0, 0.0))


def supervised(
    key: Key,
    provider: Provider,
    log: MemoryLog | None = None,
    url: str = "ws://pepay.example/ws/commerce/events",
    **options: str,
) -> Supervision:
    account = Account.model_validate(
        {
            "provider": "pepay",
            "name": "main",
            "environment": "sandbox",
            "url": url,
            "credentials": {"api_key": f"file:{key.path}"},
            "options": options,
        }
    )
    return Supervision(
        settings=account,
        feed=replace(FEEDS["pepay"], rest=None),
        dial=provider.dial,
        raw_log=log or MemoryLog(),  # type: ignore[arg-type]  # stands for Kafka
        metrics=Metrics().of("pepay", "main"),
        progress=Progress(),
        budgets=defaultdict(lambda: Budget(burst=100)),
    )


async def ended(feed: Supervision) -> Refused | None:
    return await asyncio.wait_for(feed.run(), 10)


async def test_resumes_from_the_furthest_event_that_raw_acknowledged(key: Key) -> None:
    provider = Provider([[event(10), event(9), Close(1001)], Refusal(404)])
    await ended(supervised(key, provider))
    assert provider.asked("since") == [None, "evt_10-1"]


async def test_what_raw_did_not_acknowledge_moves_no_cursor(key: Key) -> None:
    provider = Provider([[event(10), Close(1001)], Refusal(404)])
    await ended(supervised(key, provider, MemoryLog(acknowledges=False)))
    assert provider.asked("since") == [None, None]


@dataclass
class TogetherLog(MemoryLog):
    """A raw log that takes all of a connection at once, when it ends."""

    tickets: list[Ticket] = field(default_factory=list)

    async def append(self, raw: Raw) -> Ticket:
        self.records.append(raw)
        if raw.kind is Kind.OPENED:
            self.tickets.append(asyncio.get_running_loop().create_future())
        if raw.kind is Kind.CLOSED:
            asyncio.get_running_loop().call_soon(self.tickets[-1].set_result, None)
        return self.tickets[-1]


async def test_of_records_that_raw_takes_together_the_furthest_moves_the_cursor(key: Key) -> None:
    log = TogetherLog()
    provider = Provider([[event(9), event(10), event(8), Close(1001)], [Close(1001)], Refusal(404)])
    await ended(supervised(key, provider, log))
    assert len(log.tickets) == 2
    assert provider.asked("since") == [None, "evt_10-1", "evt_10-1"]


@dataclass
class AwayLog(MemoryLog):
    """A raw log that cannot be read yet."""

    is_there: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def reached(self) -> asyncio.Event:
        return self.is_there


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - of a feed between two of its steps
            await asyncio.sleep(0)


class Endless(Provider):
    """Plays its scripts, and then says nothing more."""

    @asynccontextmanager
    async def dial(self, address: Address) -> AsyncIterator[Wire | Refusal]:
        self.dials.append(address)
        yield SilentWire(self.scripts.pop(0) if self.scripts else [])  # type: ignore[arg-type]


class SilentWire(ScriptedWire):
    async def recv(self) -> list[Frame | Close]:
        return await super().recv() if self.lines else await asyncio.Event().wait()  # type: ignore[return-value]


async def test_a_feed_that_began_without_raw_dials_anew_from_where_raw_ends_once_raw_is_there(
    key: Key,
) -> None:
    log = AwayLog(past=[[in_raw(event(8))]])
    provider = Endless([[event(20)]])
    feed = supervised(key, provider, log)
    running = asyncio.create_task(feed.run())
    await until(lambda: len(log.records) == 2)  # The mark and the frame: kept all the same.
    log.is_there.set()
    await until(lambda: len(provider.dials) == 2)
    feed.patience.stop()
    assert await asyncio.wait_for(running, 10) is None
    assert provider.asked("since") == [None, "evt_8-1"]


@pytest.mark.parametrize("steps_between", range(4))
async def test_a_stop_in_the_moment_in_which_raw_is_reached_is_heard(
    key: Key, steps_between: int
) -> None:
    log, provider = AwayLog(), Endless([])
    feed = supervised(key, provider, log)
    running = asyncio.create_task(feed.run())
    await until(lambda: bool(log.records))
    log.is_there.set()
    for _ in range(steps_between):
        await asyncio.sleep(0)
    feed.patience.stop()
    assert await asyncio.wait_for(running, 10) is None


async def test_a_new_process_that_finds_no_mark_resumes_from_the_first_event_in_raw(
    key: Key,
) -> None:
    log = MemoryLog(
        past=[
            [in_raw("{}", Kind.ALIVE), in_raw("not JSON")],
            [in_raw(event(8)), in_raw(event(7)), in_raw(event(7, 5))],
            [in_raw(event(9))],
        ]
    )
    provider = Provider([Refusal(404)])
    await ended(supervised(key, provider, log))
    assert provider.asked("since") == ["evt_7-1"]


async def test_a_replay_that_holds_a_frame_too_long_for_us_is_left_out_once(key: Key) -> None:
    provider = Provider([[event(10), Close(1009)], [Close(1009)], [Close(1001)], Refusal(404)])
    await ended(supervised(key, provider))
    assert provider.asked("since") == [None, "evt_10-1", None, "evt_10-1"]


async def test_a_cursor_that_is_refused_is_left_out_once(key: Key) -> None:
    log = MemoryLog(past=[[in_raw(event(8))]])
    provider = Provider([Refusal(400), [event(9), Close(1001)], Refusal(400), Refusal(400)])
    refused = await ended(supervised(key, provider, log))
    assert provider.asked("since") == ["evt_8-1", None, "evt_9-1", None]
    assert refused


async def test_records_are_numbered_per_connection_marks_included(key: Key) -> None:
    log = MemoryLog()
    provider = Provider([[event(1), Close(1001)], [event(2), Close(1001)], Refusal(404)])
    await ended(supervised(key, provider, log))
    assert [(raw.sequence, raw.kind) for raw in log.records] == 2 * [
        (0, Kind.OPENED),
        (1, Kind.FRAME),
        (2, Kind.CLOSED),
    ]
    first, second = {raw.connection for raw in log.records}
    assert first != second
    assert {(r.provider, r.account, r.environment, r.via, r.route) for r in log.records} == {
        ("pepay", "main", "sandbox", Via.SOCKET, "commerce")
    }


async def test_frames_land_byte_for_byte(key: Key) -> None:
    log = MemoryLog()
    frames: list[Frame | Close] = ['{"é": 1.10 }', b"\x00\xff", "", "\ud7ff"]
    await ended(supervised(key, Provider([[*frames, Close(1001)], Refusal(404)]), log))
    kept = [raw.value for raw in log.records if raw.kind is Kind.FRAME]
    assert kept == ['{"é": 1.10 }'.encode(), b"\x00\xff", b"", "\ud7ff".encode()]


async def test_a_credential_is_read_again_and_tried_once_more(key: Key) -> None:
    provider = Provider([Refusal(401), Refusal(401), Refusal(500)])

    @asynccontextmanager
    async def dial(address: Address) -> AsyncIterator[Wire | Refusal]:
        async with provider.dial(address) as wire:
            key.holds("second")
            yield wire

    feed = supervised(key, provider)
    feed.dial = dial
    refused = await ended(feed)
    assert isinstance(refused, Refused)
    keys = [address.headers["x-commerce-api-key"] for address in provider.dials]
    assert keys == ["first", "second"]


async def test_a_useful_frame_between_two_401_allows_another_try(key: Key) -> None:
    provider = Provider([[event(1), Close(4401)], [event(2), Close(4401)], Refusal(401)])
    await ended(supervised(key, provider))
    assert len(provider.dials) == 3


async def test_an_error_frame_is_not_a_useful_one(key: Key) -> None:
    error = '{"object":"ws_error","code":"TOKEN_EXPIRED"}'
    provider = Provider([[error], [error], [error]])
    refused = await ended(supervised(key, provider))
    assert refused
    assert len(provider.dials) == 2


async def test_a_credential_that_vanishes_is_waited_for(key: Key) -> None:
    provider = Provider([[Close(1001)], Refusal(404)])
    feed = supervised(key, provider)
    feed.patience = WatchedPatience(lambda: key.holds("second"))
    key.vanishes()
    assert await ended(feed)
    assert len(provider.dials) == 2


async def test_no_secret_reaches_raw_or_the_log(
    key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    log = MemoryLog()
    key.holds("s3cr3t/key")
    provider = Provider(
        [
            ['{"object":"ws_error","message":"bad auth s3cr3t/key"}'],
            [Close(1008, "unknown key s3cr3t%2Fkey")],
        ]
    )
    await ended(supervised(key, provider, log))
    marks = b"".join(raw.value for raw in log.records if raw.kind is not Kind.FRAME)
    assert marks.count(b"***") == 2
    assert b"s3cr3t" not in marks
    printed = capsys.readouterr()
    assert "***" in printed.out
    assert "s3cr3t" not in printed.out + printed.err


async def test_a_token_is_minted_for_each_dial(key: Key) -> None:
    minted: list[str] = []

    async def mint(request: web.Request) -> web.Response:
        minted.append(f"{request.headers['x-api-key']}#{len(minted)}")
        return web.json_response({"success": True, "data": {"token": minted[-1]}})

    app = web.Application()
    app.router.add_post("/api/v1/ws/token", mint)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/ws/commerce/events"
    provider = Provider([[Close(1001)], Refusal(404)])
    await ended(supervised(key, provider, url=url, auth="token"))
    await runner.cleanup()
    assert provider.asked("token") == minted == ["first#0", "first#1"]
    assert all(not address.headers for address in provider.dials)


async def test_a_stop_ends_a_pause(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_random", lambda: 0.999)
    feed = supervised(key, Provider([Refusal(503, retry_after=1000)]))

    def stop_soon() -> None:
        asyncio.get_running_loop().call_soon(feed.patience.stop)

    feed.patience = WatchedPatience(stop_soon)
    assert await ended(feed) is None


async def test_accounts_share_the_budget_of_a_host(key: Key) -> None:
    budgets: defaultdict[str, Budget] = defaultdict(lambda: Budget(burst=1, every=0.05))
    feed, other = (
        supervised(key, Provider([[Close(1000)], [Close(1000)], Refusal(404)])) for _ in range(2)
    )
    feed.budgets = other.budgets = budgets
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(ended(feed), ended(other))
    assert list(budgets) == ["pepay.example"]
    assert loop.time() - began >= 5 * 0.05 - 0.001


# ---- a feed that may be unwelcome -------------------------------------------------------

OPEN = '0{"pingInterval":25000,"pingTimeout":20000}'
JOINED, TRADE, GONE = '40{"sid":"s"}', '42["trade",{}]', "41"
WELCOME: Script = [OPEN, JOINED, TRADE, GONE]
UNWELCOME: Script = [OPEN, JOINED, GONE]


class CountedPatience(Patience):
    """Patience that pauses for no time, and remembers for how long it should have."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def unwelcome(key: Key, scripts: list[Script]) -> tuple[Supervision, CountedPatience]:
    account = Account.model_validate(
        {
            "provider": "assetpay",
            "name": "main",
            "environment": "sandbox",
            "credentials": {"api_key": f"file:{key.path}"},
        }
    )
    patience = CountedPatience()
    feed = Supervision(
        settings=account,
        feed=FEEDS["assetpay"],
        dial=Provider([list(s) if isinstance(s, list) else s for s in scripts]).dial,
        raw_log=MemoryLog(),  # type: ignore[arg-type]  # stands for Kafka
        metrics=Metrics().of("assetpay", "main"),
        progress=Progress(),
        budgets=defaultdict(lambda: Budget(burst=100)),
        patience=patience,
    )
    return feed, patience


async def test_an_unwelcome_first_connection_stops_the_feed(key: Key) -> None:
    feed, patience = unwelcome(key, [UNWELCOME])
    assert isinstance(await ended(feed), Refused)
    assert patience.pauses == []


async def test_a_first_connection_that_is_refused_by_the_edge_stops_the_feed(key: Key) -> None:
    feed, _ = unwelcome(key, [Refusal(401)])
    assert isinstance(await ended(feed), Refused)


async def test_later_an_unwelcome_connection_is_tried_again_after_pauses_that_double(
    key: Key,
) -> None:
    feed, patience = unwelcome(
        key, [WELCOME, *[UNWELCOME] * 5, Refusal(403), WELCOME, UNWELCOME, Refusal(404)]
    )
    assert isinstance(await ended(feed), Refused)
    assert patience.pauses == [0, 30, 60, 120, 240, 300, 300, 0, 30]


async def test_a_deploy_is_answered_at_once_each_time(key: Key) -> None:
    feed, patience = unwelcome(key, [WELCOME, WELCOME, WELCOME, Refusal(404)])
    await ended(feed)
    assert patience.pauses == [0, 0, 0]

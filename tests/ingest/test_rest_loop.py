"""The one REST loop, against a server of ours: what is asked, kept, repeated and said."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from ingest import rest_loop
from ingest.errors import OperatorError
from ingest.feed import (
    Account,
    Answer,
    Call,
    Disconnected,
    Done,
    End,
    Feed,
    Keep,
    Next,
    Rate,
    Report,
    Request,
    Rest,
    Step,
    Unauthorized,
    Wait,
)
from ingest.feeds import FEEDS
from ingest.journal import RawJournal
from ingest.metrics import Metrics
from ingest.probes import Progress
from ingest.raw_log import Ticket
from ingest.rest_loop import RestLoop
from schemas.records import Kind, Raw, Via
from tests.ingest.test_supervision import MemoryLog

TOO_LONG = 2000
FAST = Rate(100, 0.001)


@dataclass
class Server:
    """Answers one status and body after the other, the last for ever."""

    answers: deque[tuple[int, bytes]] = field(default_factory=lambda: deque([(200, b"{}")]))
    asked: list[str] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    holds: asyncio.Event | None = None
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.path_qs} {request.headers['authorization']}")
        self.more.set()
        if self.holds:
            await self.holds.wait()
        status, body = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, body=body)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.asked) < count:
                self.more.clear()
                await self.more.wait()


@dataclass
class Reading:
    """Two calls; what goes wrong is skipped."""

    left: deque[Call] = field(
        default_factory=lambda: deque(
            [Call("one", "/one"), Call("two", "/two", {"n": "2"}, Via.BACKFILL)]
        )
    )
    whole: bool = True

    def begin(self) -> Iterable[Step]:
        return (self._go_on(),)

    def answered(self, call: Call, answer: Answer) -> Iterable[Step]:
        match answer.status:
            case 200:
                return (Keep(answer.body), self._go_on())
            case 401:
                return (End(Unauthorized("no such token")),)
            case 429:
                return (Wait(0.01), Next(call))
            case _:
                return (End(Disconnected("down")),)

    def failed(self, call: Call, error: Disconnected) -> Iterable[Step]:
        self.whole = False
        return (Report(str(error)), self._go_on())

    def _go_on(self) -> Step:
        return Next(self.left.popleft()) if self.left else Done(self.whole)


class Log(MemoryLog):
    broken: bool = False

    async def append(self, raw: Raw) -> Ticket:
        if self.broken:
            raise OperatorError("raw did not take a record")
        return await super().append(raw)


@dataclass
class Running:
    """A loop under way, and what it did."""

    loop: RestLoop
    log: Log
    task: asyncio.Task[None]
    tokens: list[str]

    async def round(self) -> bool:
        return await asyncio.wait_for(self.loop.begin(), 5)

    @property
    def kept(self) -> list[tuple[str, Via, bytes]]:
        return [(raw.route, raw.via, raw.value) for raw in self.log.records]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get("/{path}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_loop, "_random", lambda: 0.0)
    monkeypatch.setattr(rest_loop, "MAX_RAW_BYTES", TOO_LONG)


@asynccontextmanager
async def running(
    server: Server, *, every: float = 1000.0, rate: Rate = FAST
) -> AsyncIterator[Running]:
    tokens = ["first"]
    account = Account(
        provider="p", name="main", environment="sandbox", url="ws://p", secrets={"token": "first"}
    )

    async def authorized() -> Account:
        return Account(
            provider="p",
            name="main",
            environment="sandbox",
            url="ws://p",
            secrets={"token": tokens[-1]},
        )

    def request(asking: Account, call: Call) -> Request:
        query = "".join(f"?{name}={value}" for name, value in call.query.items())
        bearer = {"authorization": asking.secrets["token"]}
        return Request(url=f"{server.url}{call.path}{query}", headers=bearer)

    log = Log()
    feed: Feed = FEEDS["pepay"]
    loop = RestLoop(
        rest=Rest(
            reading=lambda _: Reading(), request=request, every=every, rate=rate, hydrates=True
        ),
        name="p/main rest",
        journal=RawJournal(
            raw_log=log,  # type: ignore[arg-type]  # stands for Kafka
            feed=feed,
            account="main",
            environment="sandbox",
            connection="r1",
            metrics=Metrics().of("pepay", "main"),
            acknowledged=lambda *_: None,
            secrets=account.secrets,
        ),
        progress=Progress(),
        authorized=authorized,
        distrust=lambda refused: tokens.append(f"after {refused.secrets['token']}"),
    )
    task = asyncio.create_task(loop.run())
    try:
        yield Running(loop, log, task, tokens)
    finally:
        loop.patience.stop()
        await asyncio.wait({task}, timeout=5)
        assert task.done()


async def test_answers_land_byte_for_byte_under_the_name_of_their_call(server: Server) -> None:
    server.answers = deque([(200, b' {"n": 1.10}\n'), (200, b"\xff\x00")])
    async with running(server) as it:
        assert await it.round()
    assert it.kept == [("one", Via.POLL, b' {"n": 1.10}\n'), ("two", Via.BACKFILL, b"\xff\x00")]
    assert server.asked == ["/one first", "/two?n=2 first"]
    assert [(raw.sequence, raw.kind) for raw in it.log.records] == [
        (0, Kind.FRAME),
        (1, Kind.FRAME),
    ]


async def test_a_round_comes_by_itself_every_so_often(server: Server) -> None:
    async with running(server, every=0.01):
        await server.until(6)


async def test_nothing_is_asked_before_somebody_asks_or_it_is_time(server: Server) -> None:
    async with running(server) as it:
        await asyncio.sleep(0)
        assert server.asked == []
        await it.round()
        assert len(server.asked) == 2


async def test_a_round_under_way_does_not_count_for_who_asks_now(server: Server) -> None:
    server.holds = asyncio.Event()
    async with running(server) as it:
        first = it.loop.begin()
        await server.until(1)
        second = it.loop.begin()
        server.holds.set()
        assert await asyncio.wait_for(first, 5)
        assert not second.done()
        assert await asyncio.wait_for(second, 5)
    assert len(server.asked) == 4


async def test_a_refused_token_is_renewed_once_and_the_call_repeated(server: Server) -> None:
    server.answers = deque([(401, b""), (200, b"{}")])
    async with running(server) as it:
        assert await it.round()
    assert server.asked == ["/one first", "/one after first", "/two?n=2 after first"]


async def test_a_token_that_is_refused_twice_ends_the_round_and_not_the_loop(
    server: Server,
) -> None:
    server.answers = deque([(401, b""), (401, b""), (200, b"{}")])
    async with running(server) as it:
        assert not await it.round()
        assert await it.round()
    assert [line.split()[0] for line in server.asked] == ["/one", "/one", "/one", "/two?n=2"]


async def test_a_wait_is_kept_and_the_same_call_sent_again(server: Server) -> None:
    server.answers = deque([(429, b""), (429, b""), (200, b"{}")])
    async with running(server) as it:
        assert await it.round()
    assert [line.split()[0] for line in server.asked] == ["/one", "/one", "/one", "/two?n=2"]


async def test_an_answer_that_is_too_long_is_not_kept(server: Server) -> None:
    server.answers = deque([(200, b"x" * (TOO_LONG + 1)), (200, b"x" * TOO_LONG)])
    async with running(server) as it:
        assert not await it.round()
    assert [(route, len(value)) for route, _, value in it.kept] == [("two", TOO_LONG)]


async def test_a_server_that_is_gone_leaves_the_loop_alive(server: Server) -> None:
    url, server.url = server.url, "http://127.0.0.1:1"
    async with running(server) as it:
        assert not await it.round()
        server.url = url
        assert await it.round()


async def test_an_error_that_ends_a_round_is_followed_by_another_after_a_pause(
    server: Server,
) -> None:
    server.answers = deque([(503, b""), (200, b"{}")])
    async with running(server) as it:
        assert not await it.round()
        await server.until(3)
        assert not it.task.done()


async def test_calls_keep_their_distance(server: Server) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with running(server, rate=Rate(1, 0.05)) as it:
        await it.round()
        await it.round()
    assert loop.time() - began >= 3 * 0.05 - 0.01


async def test_a_stop_ends_a_call_under_way(server: Server) -> None:
    server.holds = asyncio.Event()
    async with running(server) as it:
        it.loop.begin()
        await server.until(1)
        it.loop.patience.stop()
        await asyncio.wait_for(it.task, 5)
    assert it.kept == []


async def test_what_is_wrong_with_raw_ends_the_loop(server: Server) -> None:
    async with running(server) as it:
        it.log.broken = True
        it.loop.begin()
        with pytest.raises(OperatorError):
            await asyncio.wait_for(asyncio.shield(it.task), 5)

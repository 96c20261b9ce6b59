"""The one REST loop, against a server of ours: what is asked, kept, repeated and said."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import msgspec
import pytest
from aiohttp import web
from prometheus_client import Counter

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
    Known,
    Next,
    Rate,
    Reached,
    Report,
    Request,
    Rest,
    Step,
    Unauthorized,
    Wait,
)
from ingest.feed import Reading as Rounds
from ingest.feeds import FEEDS
from ingest.journal import RawJournal
from ingest.lane import Ticket
from ingest.metrics import Metrics
from ingest.probes import Progress
from ingest.rest_loop import RestLoop
from ingest.turns import Turn
from schemas.records import Kind, OpenEntity, Raw, Recovered, Via
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

    async def room(self, _provider: str, _account: str) -> None: ...

    @property
    def reached(self) -> asyncio.Event:
        reached = asyncio.Event()
        reached.set()
        return reached

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
    numbers: list[int]
    reached: list[Recovered]

    async def round(self) -> bool:
        return (await asyncio.wait_for(self.loop.begin(), 5)).whole

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
    server: Server,
    *,
    every: float = 1000.0,
    rate: Rate = FAST,
    reading: Callable[[Account, Known], Rounds] = lambda *_: Reading(),
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

    def request(asking: Account, call: Call, number: int) -> Request:
        numbers.append(number)
        query = "".join(f"?{name}={value}" for name, value in call.query.items())
        bearer = {"authorization": asking.secrets["token"]}
        return Request(url=f"{server.url}{call.path}{query}", headers=bearer)

    numbers: list[int] = []
    reached: list[Recovered] = []
    turn = Turn()
    log = Log()
    feed: Feed = FEEDS["pepay"]
    loop = RestLoop(
        rest=Rest(reading=reading, request=request, every=every, rate=rate, holds=0.0),
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
        known=lambda: Known(now=1, cursor=None),
        reached=reached.append,
        turn=lambda _: turn,
    )
    task = asyncio.create_task(loop.run())
    try:
        yield Running(loop, log, task, tokens, numbers, reached)
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
        assert (await asyncio.wait_for(first, 5)).whole
        assert not second.done()
        assert (await asyncio.wait_for(second, 5)).whole
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


# ---- reading back ----------------------------------------------------------------------


def up_to(cursor: str, *, complete: bool = True) -> Recovered:
    return Recovered(
        from_="0", up_to=cursor, from_at=0, up_to_at=9, by="backfill", count=1, complete=complete
    )


@dataclass
class Two(Reading):
    """Two windows, each kept whole before it is said to be."""

    complete: bool = True

    def answered(self, call: Call, answer: Answer) -> Iterable[Step]:
        reached = up_to(call.route, complete=self.complete)
        if self.left:
            return (Keep(answer.body), Reached(reached), Next(self.left.popleft()))
        return (Keep(answer.body), Done(self.complete, reached))


def marks(log: MemoryLog) -> list[str]:
    return [
        msgspec.json.decode(raw.value, type=Recovered).up_to if raw.kind is Kind.RECOVERED else "-"
        for raw in log.records
    ]


async def test_a_window_is_said_to_be_whole_behind_its_pages(server: Server) -> None:
    async with running(server, reading=lambda *_: Two()) as it:
        assert await it.round()
        assert marks(it.log) == ["-", "one", "-"]
        assert [told.up_to for told in it.reached] == ["one", "two"]
        (mark,) = (raw for raw in it.log.records if raw.kind is Kind.RECOVERED)
        assert (mark.route, mark.connection) == (FEEDS["pepay"].route, "r1")


async def test_what_is_incomplete_moves_nothing(server: Server) -> None:
    async with running(server, reading=lambda *_: Two(complete=False)) as it:
        assert not await it.round()
        assert it.reached == []


async def test_without_a_connection_the_loop_writes_its_mark_within_the_hour(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_loop, "_REPEAT", 0.0)
    async with running(server, every=0.01, reading=lambda *_: Two()) as it:
        await server.until(5)
        assert marks(it.log)[:6] == ["-", "one", "-", "two", "-", "one"]


async def test_numbers_grow_with_every_request(server: Server) -> None:
    async with running(server) as it:
        await it.round()
        await it.round()
    assert len(it.numbers) == 4
    assert sorted(set(it.numbers)) == it.numbers


async def test_what_somebody_names_is_asked_about_once(server: Server) -> None:
    named: list[tuple[str, ...]] = []

    def reading(_: Account, known: Known) -> Reading:
        named.append(known.references)
        return Reading()

    async with running(server, reading=reading) as it:
        it.loop.confirm("p-1")
        await server.until(2)
        await it.round()
    assert named[0] == ("p-1",)
    assert named[-1] == ()


async def test_requests_and_rounds_are_counted_by_what_came_of_them(server: Server) -> None:
    server.answers.extendleft([(200, b"{}"), (429, b"{}"), (200, b"{}")])
    async with running(server) as under_way:
        assert await under_way.round()
        server.answers.extendleft([(503, b"")])
        assert not await under_way.round()
        metrics = under_way.loop.metrics
        told = {
            (route, answer): _value(metrics.answers(route, answer))
            for route, answer in (("one", "2xx"), ("two", "2xx"), ("two", "429"), ("one", "5xx"))
        }
        rounds = {outcome: _value(each) for outcome, each in metrics.rounds.items()}
    assert set(told.values()) == {1}
    assert rounds == {"whole": 1, "partial": 0, "failed": 1}
    assert _value(metrics.waited) > 0


def _value(counter: Counter) -> float:
    (family,) = counter.collect()
    return next(each.value for each in family.samples if each.name.endswith("_total"))


async def test_what_is_open_too_late_for_a_connection_s_round_is_asked_about_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_loop, "_LOOK_EVERY", 0.001)
    opens: tuple[OpenEntity, ...] = ()
    async with running(server) as it:
        it.loop.rest = replace(it.loop.rest, looks_up=True)
        it.loop.known = lambda: Known(now=1_000, cursor=None, opens=opens)
        assert await it.round()
        following = it.loop.following()
        opens = (
            OpenEntity(
                provider="p",
                account="main",
                entity_kind="trade",
                entity_id="t1",
                status="pending",
                since=999,
            ),
        )
        assert (await asyncio.wait_for(following, 5)).whole

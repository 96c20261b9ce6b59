"""SatoriEx, socket and REST side by side, against its twin over real sockets."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from ingest import supervision, wire
from ingest.backoff import Budget
from ingest.feed import (
    Account,
    Answer,
    Call,
    Disconnected,
    Done,
    End,
    Keep,
    Known,
    Next,
    Refused,
    Report,
    Superseded,
    Unauthorized,
    Wait,
)
from ingest.feeds import FEEDS
from ingest.feeds.satoriex.login import LOGIN
from ingest.feeds.satoriex.rest import REST
from ingest.lane import Ticket
from ingest.metrics import Metrics
from ingest.patience import Patience
from ingest.probes import Progress
from ingest.settings import Account as Settings
from ingest.supervision import Supervision
from schemas.records import Kind, Raw, Via
from tests.ingest.test_supervision import MemoryLog
from twins.faults import Order
from twins.satoriex import Satoriex, SatoriexTwin
from twins.satoriex_lifecycle import MARKETS
from twins.satoriex_tokens import EMAIL, PASSWORD
from twins.server import Twin

FEED = FEEDS["satoriex"]
EXCHANGE = Path(__file__).parents[1] / "frames" / "satoriex" / "exchange.jsonl"
ACCOUNT = Account(
    provider="satoriex",
    name="main",
    environment="sandbox",
    url=FEED.endpoints["sandbox"],
    options={"markets": ["mkt_abc123"]},
    secrets={
        "email": "bot@example.org",
        "password": "twin-password",
        "access_token": "TWIN_SATORIEX_JWT",
        "refresh_token": "TWIN_REFRESH",
    },
)


# ---- what is published of REST ----------------------------------------------------------


def published(note: str) -> tuple[str, bytes]:
    """The first line and the body of a published HTTP message."""
    (frame,) = (
        line["frame"]
        for line in map(json.loads, EXCHANGE.read_text("utf-8").splitlines())
        if line["note"].endswith(note) or line["note"] == f"REST: {note}"
    )
    head, _, body = frame.partition("\r\n\r\n")
    return head.split("\r\n")[0], body.encode()


def answer_of(note: str) -> Answer:
    line, body = published(note)
    return Answer(status=int(line.split()[1]), retry_after=None, body=body)


@pytest.mark.parametrize(
    ("note", "request_of"),
    [("log in", LOGIN.log_in), ("refresh; body key is not documented", LOGIN.refresh)],
)
def test_logins_are_as_published(note: str, request_of: Callable[[Account], Any]) -> None:
    request = request_of(ACCOUNT)
    line, body = published(note)
    assert f"{request.method} {urlsplit(request.url).path} HTTP/1.1" == line
    assert urlsplit(request.url)[:2] == ("https", "staging.satoriex.io")
    assert request.body == body


def test_a_login_grants_two_tokens_and_an_opaque_one_says_no_life() -> None:
    tokens = LOGIN.tokens(answer_of("placeholder"), 0.0)
    assert tokens.secrets == {
        "access_token": "TWIN_SATORIEX_JWT",
        "refresh_token": "TWIN_REFRESH",
    }
    assert tokens.life is None


def token(claims: object) -> bytes:
    claimed = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    granted = {"access_token": f"e30.{claimed}.c2ln"}
    return json.dumps({"code": 0, "data": granted}).encode()


@pytest.mark.parametrize(
    ("claims", "life"),
    [
        ({"exp": 1900}, 900.0),
        ({"exp": 1900, "iat": 1600}, 300.0),
        ({"exp": 900}, None),
        ({"sub": "é?ÿ~~"}, None),
        (17, None),
    ],
)
def test_life_is_read_from_the_claims(claims: object, life: float | None) -> None:
    answer = Answer(status=200, retry_after=None, body=token(claims))
    assert LOGIN.tokens(answer, 1000.0).life == life


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (401, b"{}", Unauthorized),
        (403, b"{}", Unauthorized),
        (400, b"{}", Refused),
        (429, b"{}", Disconnected),
        (500, b"{}", Disconnected),
        (200, b'{"code":2002,"data":null}', Unauthorized),
        (200, b'{"code":50000,"data":null}', Disconnected),
        (200, b"<html>", Disconnected),
    ],
)
def test_a_login_without_tokens_means_what_it_says(
    status: int, body: bytes, meaning: type[Exception]
) -> None:
    with pytest.raises(meaning):
        LOGIN.tokens(Answer(status=status, retry_after=None, body=body), 0.0)


def walked(*answers: Answer) -> Iterator[tuple[object, ...]]:
    """What a round does, answer by answer."""
    reading = REST.reading(ACCOUNT, Known(now=0, cursor=None))
    steps = tuple(reading.begin())
    yield steps
    for answer in answers:
        call = next(step.call for step in steps if isinstance(step, Next))
        steps = tuple(reading.answered(call, answer))
        yield steps


def ok(content: object = ()) -> Answer:
    return Answer(
        status=200, retry_after=None, body=json.dumps({"code": 0, "data": content}).encode()
    )


def test_a_round_asks_for_everything_that_is_to_be_polled() -> None:
    rounds = list(walked(*[ok()] * 7))
    calls = [step.call for steps in rounds for step in steps if isinstance(step, Next)]
    assert [(call.route, REST.request(ACCOUNT, call, 1).url) for call in calls] == [
        (route, f"https://staging.satoriex.io/api/v1{path}")
        for route, path in (
            ("orders", "/orders"),
            ("balance", "/wallet/balance"),
            ("transactions", "/wallet/transactions"),
            ("positions", "/me/positions"),
            ("market", "/markets/mkt_abc123"),
            ("trades", "/markets/mkt_abc123/trades"),
            ("orderbook", "/markets/mkt_abc123/orderbook"),
        )
    ]
    bearer = {"authorization": "Bearer TWIN_SATORIEX_JWT"}
    assert all(REST.request(ACCOUNT, call, 1).headers == bearer for call in calls)
    assert rounds[-1] == (Keep(ok().body), Done(whole=True))


def test_further_pages_come_next() -> None:
    page = {"items": [{}], "page": 1, "size": 1, "total": 3}
    _, first, second, third = walked(
        ok(page), ok({**page, "page": 2}), ok({**page, "page": 3, "items": [{}]})
    )
    asked = [step.call for steps in (first, second) for step in steps if isinstance(step, Next)]
    assert [call.query for call in asked] == [
        {"page": "2", "size": "1"},
        {"page": "3", "size": "1"},
    ]
    assert third[-1] == Next(Call("balance", "/wallet/balance"))


def test_a_list_that_does_not_listen_to_the_page_is_not_asked_for_ever() -> None:
    page = {"items": [{}], "page": 1, "size": 1, "total": 9}
    *_, last = walked(ok(page), ok(page))
    assert last[-1] == Next(Call("balance", "/wallet/balance"))


@pytest.mark.parametrize("note", ["error: REST token expired"])
def test_an_expired_token_ends_the_call(note: str) -> None:
    _, steps = walked(answer_of(note))
    (end,) = steps
    assert isinstance(end, End)
    assert isinstance(end.error, Unauthorized)


def test_a_rate_limit_is_waited_for_and_the_call_repeated() -> None:
    _, steps = walked(answer_of("error: REST rate limit"))
    assert steps[1:] == (Wait(60.0), Next(Call("orders", "/orders")))
    _, steps = walked(replace(answer_of("error: REST rate limit"), retry_after=3.0))
    assert steps[1] == Wait(3.0)


@pytest.mark.parametrize(
    "answer",
    [
        answer_of("error: REST server error"),
        Answer(status=200, retry_after=None, body=b"<html>"),
        Answer(status=200, retry_after=None, body=b'{"code":50000,"msg":"no","data":null}'),
        Answer(status=404, retry_after=None, body=b'{"code":4040,"data":null}'),
        Answer(status=302, retry_after=None, body=b""),
    ],
)
def test_what_cannot_be_told_is_said_and_skipped(answer: Answer) -> None:
    rounds = list(walked(answer, *[ok()] * 6))
    report, following = rounds[1]
    assert isinstance(report, Report)
    assert following == Next(Call("balance", "/wallet/balance"))
    assert rounds[-1][-1] == Done(whole=False)


def test_an_error_frame_that_names_an_expired_token_ends_the_connection() -> None:
    dialect = FEED.dialect(ACCOUNT, None)
    for frame in (
        '{"type":"error","code":2002}',
        '{"data":{"type":"error","code":2002}}',
        b'{"payload":{"type":"error","code":2002}}',
    ):
        keep, report, end = dialect.received(frame)
        assert keep == Keep(frame, useful=False)
        assert isinstance(report, Report)
        assert isinstance(end, End)
        assert isinstance(end.error, Unauthorized)


@pytest.mark.parametrize(
    "frame", ['{"type":"trade"}', "", "[]", "not JSON", b"\xff", '{"type":7}', "[" * 200_000]
)
def test_everything_else_is_kept(frame: str | bytes) -> None:
    assert list(FEED.dialect(ACCOUNT, None).received(frame)) == [Keep(frame)]


def test_a_normal_close_may_be_a_second_connection() -> None:
    error = FEED.dialect(ACCOUNT, None).closed(wire.Close(1000))
    assert isinstance(error, Superseded)


@pytest.mark.parametrize("markets", [[""], ["a\nb"], ["m" * 200], "mkt_1", [7]])
def test_a_market_that_cannot_be_one_is_refused_at_start(markets: object) -> None:
    with pytest.raises(ValueError, match="markets"):
        FEED.check(replace(ACCOUNT, options={"markets": markets}))


# ---- against the twin -------------------------------------------------------------------


class WatchedLog(MemoryLog):
    """A raw log in memory that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    async def room(self, _provider: str, _account: str) -> None: ...

    @property
    def reached(self) -> asyncio.Event:
        reached = asyncio.Event()
        reached.set()
        return reached

    async def append(self, raw: Raw) -> Ticket:
        ticket = await super().append(raw)
        self._more.set()
        return ticket

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._more.clear()
                await self._more.wait()

    def marks(self, kind: Kind) -> int:
        return sum(raw.kind is kind for raw in self.records)

    def told(self, via: Via) -> list[Raw]:
        return [raw for raw in self.records if raw.via is via and raw.kind is Kind.FRAME]


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_random", lambda: 0.0)
    monkeypatch.setattr("ingest.backoff._AT_ONCE", (0.0, 0.0))


class Pauses:
    """Every pause of a supervision, and who waits for one."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._more = asyncio.Event()

    def began(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self._more.set()

    async def longer_than(self, least: float) -> float:
        async with asyncio.timeout(10):
            while not (longer := [each for each in self._seconds if each > least]):
                self._more.clear()
                await self._more.wait()
        return longer[0]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses, pause = Pauses(), Patience.pause

    async def told(self: Patience, seconds: float) -> None:
        pauses.began(seconds)
        await pause(self, seconds)

    monkeypatch.setattr(Patience, "pause", told)
    return pauses


@asynccontextmanager
async def following(
    twin: Twin[Satoriex], directory: Path, password: str = PASSWORD, **options: object
) -> AsyncIterator[tuple[WatchedLog, asyncio.Task[Refused | None]]]:
    (directory / "email").write_text(EMAIL)
    (directory / "password").write_text(password)
    settings = Settings.model_validate(
        {
            "provider": "satoriex",
            "name": "main",
            "environment": "sandbox",
            "url": twin.url,
            "credentials": {name: f"file:{directory / name}" for name in ("email", "password")},
            "options": {"markets": list(MARKETS), **options},
        }
    )
    log = WatchedLog()
    feed = Supervision(
        settings=settings,
        feed=FEED,
        dial=wire.dial,
        raw_log=log,  # type: ignore[arg-type]  # stands for Kafka
        metrics=Metrics().of("satoriex", "main"),
        progress=Progress(),
        budgets=defaultdict(lambda: Budget(burst=100)),
    )
    running = asyncio.create_task(feed.run())
    try:
        yield log, running
    finally:
        feed.patience.stop()
        await asyncio.wait_for(running, 10)


async def test_rest_tells_the_state_before_any_frame_of_the_socket(tmp_path: Path) -> None:
    async with SatoriexTwin(rate=400) as twin:
        await twin.storm(200)
        async with following(twin, tmp_path) as (log, _):
            await log.until(lambda: len(log.told(Via.SOCKET)) > 50)
            kinds = [(raw.kind, raw.via) for raw in log.records]
    hydrated = kinds.index((Kind.HYDRATED, Via.SOCKET))
    assert kinds[0] == (Kind.OPENED, Via.SOCKET)
    assert set(kinds[1:hydrated]) == {(Kind.FRAME, Via.POLL)}
    assert (Kind.FRAME, Via.POLL) not in kinds[hydrated:]
    routes = Counter(raw.route for raw in log.told(Via.POLL))
    assert routes.keys() == {
        *("orders", "balance", "transactions", "positions", "market", "trades", "orderbook")
    }
    assert routes["orders"] > 1
    assert routes["trades"] == routes["orderbook"] == len(MARKETS)
    orders = next(raw for raw in log.told(Via.POLL) if raw.route == "orders")
    assert json.loads(orders.value)["code"] == 0
    sequences = [raw.sequence for raw in log.told(Via.POLL)]
    assert sequences == list(range(len(sequences)))


async def test_everything_that_is_told_on_the_socket_is_kept(tmp_path: Path) -> None:
    async with (
        SatoriexTwin(rate=0, form="mixed", acknowledges=True) as twin,
        following(twin, tmp_path) as (log, _),
    ):
        await log.until(lambda: len(log.told(Via.SOCKET)) == 2 * len(MARKETS))
        await twin.storm(500)
        told = [line.sha256 for line in twin.books.lines]
        await log.until(lambda: len(log.told(Via.SOCKET)) > len(told))
        await twin.quiet()
        await log.until(lambda: set(told) <= kept(log))
    assert len(told) == 500


def kept(log: WatchedLog) -> set[str | None]:
    return {sha256(raw.value).hexdigest() for raw in log.told(Via.SOCKET)}


async def test_a_token_that_ends_in_mid_stream_is_renewed_without_a_login(tmp_path: Path) -> None:
    async with (
        SatoriexTwin(rate=100, cuts=True) as twin,
        following(twin, tmp_path) as (log, running),
    ):
        for times in (1, 2, 3):
            await log.until(lambda times=times: log.marks(Kind.HYDRATED) == times)
            await log.until(
                lambda: log.records[-1].kind is Kind.FRAME and log.records[-1].via is Via.SOCKET
            )
            await twin.expire_token()
        await log.until(lambda: log.marks(Kind.HYDRATED) == 4)
        assert not running.done()
    assert (twin.provider.logins, twin.provider.refreshes) == (1, 3)
    closed = [raw.value for raw in log.records if raw.kind is Kind.CLOSED]
    assert all(b"1008" in value for value in closed[:3])


async def test_tokens_that_end_while_nothing_is_told_are_no_refusal(tmp_path: Path) -> None:
    async with (
        SatoriexTwin(rate=0, cuts=True, token_lives_s=2) as twin,
        following(twin, tmp_path) as (log, running),
    ):
        await log.until(lambda: log.marks(Kind.HYDRATED) == 3)
        assert not running.done()


async def test_a_refused_refresh_token_is_followed_by_one_login(tmp_path: Path) -> None:
    async with (
        SatoriexTwin(rate=100, cuts=True) as twin,
        following(twin, tmp_path) as (log, _),
    ):
        await log.until(lambda: log.marks(Kind.HYDRATED) == 1)
        twin.provider.tokens.forget()
        await twin.expire_token()
        await log.until(lambda: log.marks(Kind.HYDRATED) == 2)
    assert (twin.provider.logins, twin.provider.refreshes) == (2, 1)


async def test_a_wrong_password_stops_the_feed_after_one_login(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        SatoriexTwin(rate=0) as twin,
        following(twin, tmp_path, password="planted-password") as (log, running),
    ):
        assert isinstance(await asyncio.wait_for(running, 10), Refused)
    assert twin.provider.logins == 1
    printed = capsys.readouterr()
    assert "refused: this feed is stopped" in printed.out
    assert "planted-password" not in printed.out + printed.err + str(log.records)


async def test_a_reconnect_loop_does_not_log_in_again(tmp_path: Path) -> None:
    async with (
        SatoriexTwin(rate=100) as twin,
        following(twin, tmp_path) as (log, _),
    ):
        for times in range(1, 6):
            await log.until(lambda times=times: log.marks(Kind.HYDRATED) == times)
            await twin.drop()
    assert (twin.provider.logins, twin.provider.refreshes) == (1, 0)


async def test_too_many_connections_of_an_address_are_waited_out(
    tmp_path: Path, pauses: Pauses
) -> None:
    async with (
        SatoriexTwin(rate=0, connections=1) as twin,
        following(twin, tmp_path) as (log, running),
    ):
        await log.until(lambda: log.marks(Kind.OPENED) == 1)
        await twin.drop()
        assert await pauses.longer_than(1.0) > 50.0
        assert not running.done()


async def test_a_second_connection_of_the_user_is_given_way_to(
    tmp_path: Path, pauses: Pauses
) -> None:
    async with (
        SatoriexTwin(rate=0, single=True) as twin,
        following(twin, tmp_path) as (log, running),
    ):
        await log.until(lambda: log.marks(Kind.HYDRATED) == 1)
        token = str(twin.provider.tokens.grant()["access_token"])
        async with connect(f"{twin.url}?token={token}"):
            await log.until(lambda: log.marks(Kind.CLOSED) == 1)
            assert await pauses.longer_than(1.0) == 5.0
        assert not running.done()
    assert b"closed with 1000" in log.records[-1].value


async def test_no_token_reaches_raw_or_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with SatoriexTwin(rate=100, cuts=True) as twin:
        granted: list[str] = []
        grant = twin.provider.tokens.grant

        def remembered() -> dict[str, object]:
            tokens = grant()
            granted.extend(str(tokens[name]) for name in ("access_token", "refresh_token"))
            return tokens

        twin.provider.tokens.grant = remembered  # type: ignore[method-assign]
        async with following(twin, tmp_path) as (log, _):
            await log.until(lambda: log.marks(Kind.HYDRATED) == 1)
            twin.provider.tokens.forget()
            await twin.expire_token()
            await log.until(lambda: log.marks(Kind.HYDRATED) == 2)
            await twin.drop()
            await log.until(lambda: log.marks(Kind.HYDRATED) == 3)
    printed = capsys.readouterr()
    written = printed.out + printed.err + "".join(map(str, log.records))
    assert len(granted) >= 4
    assert not [secret for secret in (*granted, PASSWORD, EMAIL) if secret in written]


@pytest.mark.parametrize("fault", ["fragments", "deflate", "large"])
async def test_frames_land_whole_however_they_travel(tmp_path: Path, fault: str) -> None:
    async with (
        SatoriexTwin(rate=0, compress=fault == "deflate") as twin,
        following(twin, tmp_path) as (log, _),
    ):
        await log.until(lambda: log.marks(Kind.HYDRATED) == 1)
        if fault == "fragments":
            await twin.fragment(7)
        if fault == "large":
            twin.provider.orders()["large"](Order(count=1_000_000))
            await log.until(lambda: len(log.told(Via.SOCKET)) == 1)
            assert len(log.told(Via.SOCKET)[0].value) >= 1_000_000
        await twin.storm(50)
        told = {line.sha256 for line in twin.books.lines}
        await log.until(lambda: told <= kept(log))

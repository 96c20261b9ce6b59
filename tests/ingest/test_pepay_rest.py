"""Pepay read back: windows of the list, whole and oldest first, whatever kills us in between."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from time import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import supervision, wire
from ingest.backoff import Budget
from ingest.errors import OperatorError
from ingest.feed import (
    Account,
    Answer,
    Call,
    Cursor,
    Disconnected,
    Done,
    End,
    Keep,
    Known,
    Next,
    Rate,
    Reached,
    Report,
    Step,
    Unauthorized,
    Wait,
)
from ingest.feeds.pepay import rest
from ingest.feeds.pepay.events import numbered
from ingest.feeds.pepay.rest import REST
from ingest.feeds.pepay.socket import FEED
from ingest.metrics import Metrics
from ingest.patience import Patience
from ingest.probes import Progress
from ingest.settings import Account as Settings
from ingest.supervision import Supervision
from schemas.records import Kind, Raw, Recovered, Via
from schemas.topics import MAX_FRAME_BYTES
from tests.ingest.mortal_log import MortalLog
from twins.books import Fact
from twins.door import Stumble
from twins.pepay import COMMERCE_KEY, Pepay, PepayTwin
from twins.server import Twin

NOW = 1_700_000_000
ACCOUNT = Account(
    provider="pepay",
    name="main",
    environment="sandbox",
    url="wss://api.example/ws/commerce/events",
    secrets={"api_key": "ck"},
)


# ---- readings: answers in, steps out ---------------------------------------------------


@dataclass
class Provider:
    """A list of events, newest first, as its page says it answers."""

    ids: list[tuple[int, int]]
    asked: list[Call] = field(default_factory=list)

    def answer(self, call: Call) -> Answer:
        self.asked.append(call)
        query = call.query
        low, high = int(query["created[gte]"]), int(query.get("created[lte]", 2**40))
        listed = [each for each in sorted(self.ids) if low <= each[0] // 1000 <= high]
        if "starting_after" in query:
            after = numbered(query["starting_after"])
            assert after
            listed = [each for each in listed if each < after.rank]
        page = listed[::-1][: int(query["limit"])]
        return ok(page, has_more=len(listed) > len(page))


def ok(ids: Iterable[tuple[int, int]], *, has_more: bool = False) -> Answer:
    rows = [{"id": f"evt_{ms}-{n}", "object": "event"} for ms, n in ids]
    page = {"success": True, "data": {"object": "list", "data": rows, "has_more": has_more}}
    return Answer(status=200, retry_after=None, body=json.dumps(page).encode())


def known(cursor: tuple[int, int] | None) -> Known:
    told = Cursor(cursor, f"evt_{cursor[0]}-{cursor[1]}") if cursor else None
    return Known(now=NOW * 1_000_000, cursor=told)


def walked(provider: Provider, begins: Known, account: Account = ACCOUNT) -> Iterator[Step]:
    """Every step of a round but the asking."""
    reading = REST.reading(account, begins)
    steps = tuple(reading.begin())
    while steps:
        following = None
        for step in steps:
            match step:
                case Next(call):
                    following = call
                case _:
                    yield step
        steps = tuple(reading.answered(following, provider.answer(following))) if following else ()


def kept(steps: Iterable[Step]) -> list[tuple[int, int]]:
    """The ids of all pages, in the order in which they land."""
    pages = [json.loads(step.frame) for step in steps if isinstance(step, Keep)]
    ids = [numbered(row["id"]) for page in pages for row in reversed(page["data"]["data"])]
    return [(each.rank[0], each.rank[1]) for each in ids if each]


def ids(count: int, first: int = NOW - 3000, per_second: int = 1) -> list[tuple[int, int]]:
    return [((first + n // per_second) * 1000, n % per_second) for n in range(count)]


def test_pages_land_oldest_first_and_then_a_mark_says_how_far() -> None:
    provider = Provider(ids(120))
    *steps, done = walked(provider, known((1000 * (NOW - 3000), 0)))
    assert kept(steps) == provider.ids
    assert done == Done(
        whole=True,
        recovered=Recovered(
            from_=f"evt_{1000 * (NOW - 3000)}-0",
            up_to=f"evt_{1000 * (NOW - 2881)}-0",
            from_at=(NOW - 3060) * 1_000_000,
            up_to_at=NOW * 1_000_000,
            by="backfill",
            count=120,
            complete=True,
        ),
    )
    assert [call.query.get("starting_after") for call in provider.asked] == [
        None,
        f"evt_{1000 * (NOW - 2930)}-0",
        f"evt_{1000 * (NOW - 2980)}-0",
    ]
    assert {(call.route, call.via, call.query["type"]) for call in provider.asked} == {
        ("events", Via.BACKFILL, "commerce.order.*,invoice.*,invoice_payment.*")
    }


def test_the_last_window_has_no_end_since_our_clock_may_be_slow() -> None:
    provider = Provider([(1000 * (NOW + 900), 1)])
    steps = list(walked(provider, known((1000 * NOW, 0))))
    assert kept(steps) == provider.ids


def test_a_first_start_tells_nothing_of_the_past_but_leaves_a_cursor() -> None:
    (done,) = walked(Provider(ids(10)), known(None))
    assert isinstance(done, Done)
    assert done.recovered
    assert REST.cursor
    reached = REST.cursor(done.recovered.up_to)
    assert reached == Cursor((1000 * (NOW - 60), 0), "")
    address = FEED.address(ACCOUNT, reached)
    assert "since" not in address.url


def test_a_quiet_account_keeps_its_cursor() -> None:
    for begins in (known((5000, 3)), Known(now=9_000_000, cursor=Cursor((7000, 0), ""))):
        (done,) = walked(Provider([]), begins)
        assert isinstance(done, Done)
        assert done.recovered
        assert REST.cursor
        assert REST.cursor(done.recovered.up_to) == begins.cursor


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_PAGES", 4)


@pytest.mark.usefixtures("short_windows")
@pytest.mark.parametrize("per_second", [1, 30, 300])
def test_what_is_too_long_to_hold_is_read_in_windows_each_with_its_mark(per_second: int) -> None:
    provider = Provider(ids(1500, per_second=per_second))
    steps = list(walked(provider, known((1000 * (NOW - 3001), 0))))
    assert set(kept(steps)) == set(provider.ids)
    held: set[tuple[int, int]] = set()
    reached: list[Cursor] = []
    for step in steps:
        match step:
            case Keep():
                held |= set(kept([step]))
            case Reached(recovered) | Done(_, recovered):
                assert recovered
                up_to = numbered(recovered.up_to)
                assert up_to
                assert {each for each in provider.ids if each <= up_to.rank} <= held
                reached.append(up_to)
    assert len(reached) > 2
    assert all(one <= other for one, other in pairwise(reached))


@pytest.mark.usefixtures("short_windows")
@given(st.sets(st.tuples(st.integers(NOW - 500, NOW - 1), st.integers(0, 60)), max_size=600))
def test_every_event_of_any_history_is_read(seconds: set[tuple[int, int]]) -> None:
    provider = Provider([(1000 * second, n) for second, n in seconds])
    assert set(kept(walked(provider, known((1000 * (NOW - 500), 0))))) == set(provider.ids)


def test_a_list_that_does_not_end_is_given_up() -> None:
    class Endless(Provider):
        def answer(self, call: Call) -> Answer:
            self.asked.append(call)
            return ok([(1000 * NOW, 1)], has_more=True)

    provider = Endless([])
    (end,) = walked(provider, known((1000 * NOW, 0)))
    assert isinstance(end, End)
    assert isinstance(end.error, Disconnected)
    assert len(provider.asked) == 2


def first(answer: Answer) -> tuple[Step, ...]:
    reading = REST.reading(ACCOUNT, known((1000 * NOW, 0)))
    (asks,) = reading.begin()
    assert isinstance(asks, Next)
    return tuple(reading.answered(asks.call, answer))


@pytest.mark.parametrize("body", [b"<html>", b'{"success":true,"da', b'{"data":[]}', b"null"])
def test_an_answer_that_is_no_list_ends_the_round_and_is_not_kept(body: bytes) -> None:
    (end,) = first(Answer(status=200, retry_after=None, body=body))
    assert isinstance(end, End)
    assert isinstance(end.error, Disconnected)


def test_other_answers_are_met_politely() -> None:
    report, wait, again = first(Answer(status=429, retry_after=None, body=b"{}"))
    assert isinstance(report, Report)
    assert wait == Wait(900.0)
    assert isinstance(again, Next)
    (end,) = first(Answer(status=401, retry_after=None, body=b""))
    assert isinstance(end, End)
    assert isinstance(end.error, Unauthorized)
    (end,) = first(Answer(status=302, retry_after=None, body=b""))
    assert isinstance(end, End)


@pytest.mark.parametrize(
    ("options", "header"),
    [({}, "x-commerce-api-key"), ({"auth": "token"}, "x-api-key")],
)
def test_the_key_is_in_a_header_and_in_no_address(options: dict[str, str], header: str) -> None:
    call = Call("events", "/api/v1/events", {"created[gte]": "1"}, Via.BACKFILL)
    request = REST.request(replace(ACCOUNT, options=options), call, 1)
    assert request.url == "https://api.example/api/v1/events?created%5Bgte%5D=1"
    assert request.headers == {header: "ck"}


# ---- the loop against the twin, killed anywhere ----------------------------------------


def told(log: MortalLog) -> set[str]:
    """The id of every event in raw, whichever path brought it."""
    found: set[str] = set()
    for raw in log.records:
        if raw.kind is Kind.FRAME:
            body = json.loads(raw.value)
            rows = body["data"]["data"] if raw.via is Via.BACKFILL else [body]
            found |= {row["id"] for row in rows if row["object"] == "event"}
    return found


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_random", lambda: 0.0)
    monkeypatch.setattr("ingest.rest_loop._random", lambda: 0.0)
    monkeypatch.setattr("ingest.backoff._AT_ONCE", (0.0, 0.0))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(COMMERCE_KEY)
    return path


@asynccontextmanager
async def following(twin: Twin[Pepay], key: Path, log: MortalLog) -> AsyncIterator[None]:
    settings = Settings.model_validate(
        {
            "provider": "pepay",
            "name": "main",
            "environment": "sandbox",
            "url": twin.url,
            "credentials": {"api_key": f"file:{key}"},
        }
    )
    feed = Supervision(
        settings=settings,
        feed=replace(FEED, rest=replace(REST, rate=Rate(1000, 0.001))),
        dial=wire.dial,
        raw_log=log,  # type: ignore[arg-type]  # stands for Kafka
        metrics=Metrics().of("pepay", "main"),
        progress=Progress(),
        budgets=defaultdict(lambda: Budget(burst=100)),
    )
    running = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        feed.patience.stop()
        await asyncio.wait({running}, timeout=10)
        with suppress(OperatorError):
            running.result()


@dataclass
class SlowClock:
    """Some seconds between any two things that happen, up to now."""

    at: float

    def __call__(self) -> float:
        self.at += 0.4
        return self.at


def recovered_once(at: float) -> Raw:
    """The mark of an earlier process, which saw no event yet."""
    told = Recovered(
        from_="0",
        up_to=str(int(at * 1000)),
        from_at=0,
        up_to_at=0,
        by="backfill",
        count=0,
        complete=True,
    )
    return Raw(
        provider="pepay",
        account="main",
        environment="sandbox",
        via=Via.SOCKET,
        route=FEED.route,
        kind=Kind.RECOVERED,
        connection="earlier",
        sequence=0,
        received_at=int(at * 1_000_000),
        value=msgspec.json.encode(told),
    )


def listed(twin: Twin[Pepay]) -> set[str]:
    return {line.key[0] for line in twin.books.lines}


async def test_a_since_that_is_too_old_hides_nothing(key: Path) -> None:
    log = MortalLog()
    async with PepayTwin(rate=0, retention=10, snapshot=5, announces=False) as twin:
        async with following(twin, key, log):
            await log.until_recovered()
            await twin.storm(1)
            await log.until(lambda: told(log) == listed(twin))
        await twin.storm(300)
        async with following(twin, key, log):
            await log.until_recovered()
        assert told(log) == listed(twin)


async def test_an_event_longer_than_a_frame_is_read_back_and_the_socket_goes_on_behind_it(
    key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = MortalLog()
    async with PepayTwin(rate=0) as twin, following(twin, key, log):
        await log.until_recovered()
        await twin.storm(1)
        await log.until(lambda: told(log) == listed(twin))
        with monkeypatch.context() as patched:
            happens = twin.provider.happens
            patched.setattr(twin.provider, "happens", lambda: lengthened(happens()))
            await twin.storm(1)
        await log.until(lambda: told(log) == listed(twin))
        await log.until_recovered()
        await twin.storm(5)
        await log.until(lambda: told(log) == listed(twin))
        assert len(twin.audience.listeners) == 1
    assert max(len(raw.value) for raw in log.records) > MAX_FRAME_BYTES


def lengthened(fact: Fact) -> Fact:
    """Make an event longer, by white space, wherever it is told."""
    fact.body += " " * MAX_FRAME_BYTES
    return fact


async def test_the_window_lands_before_the_frames_and_the_mark_behind_them(key: Path) -> None:
    log = MortalLog()
    async with PepayTwin(rate=0, retention=10, snapshot=5) as twin:
        async with following(twin, key, log):
            await log.until_recovered()
            await twin.storm(1)
            await log.until(lambda: told(log) == listed(twin))
        await twin.storm(120)
        begun = len(log.records)
        async with following(twin, key, log):
            await log.until_recovered()
    kinds = [(raw.kind, raw.via) for raw in log.records[begun:]]
    assert kinds[0] == (Kind.OPENED, Via.SOCKET)
    pages = kinds.count((Kind.FRAME, Via.BACKFILL))
    assert pages == 3
    assert set(kinds[1 : 1 + pages]) == {(Kind.FRAME, Via.BACKFILL)}
    assert set(kinds[1 + pages : -2]) == {(Kind.FRAME, Via.SOCKET)}
    assert [kind for kind, _ in kinds[-2:]] == [Kind.RECOVERED, Kind.CLOSED]
    opened, recovered = log.records[begun], log.records[-2]
    assert recovered.connection == opened.connection


async def test_whatever_page_we_die_at_nothing_is_lost(
    key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every n: the process takes n records, dies, and the next one goes on from raw."""
    monkeypatch.setattr(rest, "_PAGES", 3)
    clock = SlowClock(time() - 1000)
    before = MortalLog([recovered_once(clock.at)])
    async with PepayTwin(rate=0, retention=20, snapshot=5, clock=clock) as twin:
        await twin.storm(700)
        whole = MortalLog(list(before.records))
        async with following(twin, key, whole):
            await whole.until_recovered()
        assert told(whole) == listed(twin)
        steps = len(whole.records) - len(before.records) - 1  # It closes because we stop it.
        assert steps > 20
        for lives in range(steps):
            log = MortalLog(list(before.records), lives)
            async with following(twin, key, log), asyncio.timeout(10):
                await log.died.wait()
            log.lives = 2**30
            async with following(twin, key, log):
                await log.until_recovered()
            assert told(log) == listed(twin)


async def test_frames_flow_while_the_list_is_out_of_order_and_are_read_again_later(
    key: Path,
) -> None:
    """No frame behind a hole moves the cursor: the next process reads the hole back."""
    log = MortalLog()
    async with PepayTwin(rate=0, retention=3, snapshot=1) as twin:
        async with following(twin, key, log):
            await log.until_recovered()
        await twin.storm(100)
        twin.door.throttle(1000)
        feed = replace(REST, holds=0.05)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.ingest.test_pepay_rest.REST", feed)
            async with following(twin, key, log):
                await log.until(lambda: log.records[-1].kind is Kind.OPENED)
                await twin.storm(20)
                await log.until(lambda: len(told(log)) >= 20)
        assert listed(twin) != told(log)
        twin.door.throttle(0)
        async with following(twin, key, log):
            await log.until_recovered()
        assert told(log) == listed(twin)


@pytest.mark.parametrize("how", ["429", "500", "prose", "html", "half"])
@pytest.mark.parametrize("count", [1, 4, 9])
async def test_a_list_that_stumbles_between_two_pages_is_asked_again_politely(
    how: Stumble, count: int, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, and nothing is asked at once: each bad answer is followed by a pause."""
    paused: list[float] = []

    async def pause(_: Patience, seconds: float) -> None:
        paused.append(seconds)
        await asyncio.sleep(0.001)

    log = MortalLog()
    async with PepayTwin(rate=0, retention=10, snapshot=3) as twin:
        async with following(twin, key, log):
            await log.until_recovered()
            await twin.storm(1)
            await log.until(lambda: told(log) == listed(twin))
        await twin.storm(180)
        monkeypatch.setattr(Patience, "pause", pause)
        twin.door.stumble(how, count, after=2)
        async with following(twin, key, log):
            await log.until_recovered()
        assert told(log) == listed(twin)
    if how in {"429", "prose"}:
        assert paused.count(900.0) >= min(count, 5)
    assert len(paused) >= count

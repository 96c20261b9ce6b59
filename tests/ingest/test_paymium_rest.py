"""Paymium read back: what REST lists, with nonces that grow, whatever kills us in between."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest import supervision, wire
from ingest.backoff import Budget
from ingest.errors import OperatorError
from ingest.feed import (
    Account,
    Answer,
    Call,
    Cursor,
    Done,
    End,
    Keep,
    Known,
    Next,
    Rate,
    Reading,
    Report,
    Step,
    Unauthorized,
)
from ingest.feeds import feed_of
from ingest.feeds.paymium.rest import PUBLIC, USER
from ingest.metrics import Metrics
from ingest.probes import Progress
from ingest.settings import Account as Settings
from ingest.supervision import Supervision
from ingest.turns import Turn
from schemas.records import Kind, OpenEntity, Raw, Recovered, Via
from tests.ingest.mortal_log import MortalLog
from twins.paymium import Paymium, PaymiumTwin
from twins.server import Twin

NOW = 1_790_000_000
UUID = "89d4b612-5e6a-4154-94f3-120d03f4e891"
OTHER = "a93a8ba2-9de4-4cc5-bc1d-1f5b1d3d9f7a"
ACCOUNT = Account(
    provider="paymium",
    name="main",
    environment="production",
    url="wss://paymium.com/ws/socket.io/",
    secrets={
        "channel_id": "c" * 64,
        "api_key": "twin-paymium-key",
        "api_secret": "twin-paymium-secret",
    },
)


def known(cursor: int | None = None, **more: Any) -> Known:
    told = None if cursor is None else Cursor((cursor,), str(cursor))
    return Known(now=NOW * 1_000_000, cursor=told, **more)


def answer(body: object, status: int = 200) -> Answer:
    return Answer(status=status, retry_after=None, body=json.dumps(body).encode())


def order(uuid: str, ago: int) -> dict[str, str]:
    from_epoch = NOW - ago
    hours, rest = divmod(from_epoch % 86_400, 3600)
    day = {20_717: "2026-09-21", 20_716: "2026-09-20"}[from_epoch // 86_400]
    return {"uuid": uuid, "updated_at": f"{day}T{hours:02}:{rest // 60:02}:{rest % 60:02}.000Z"}


def run(reading: Reading, answers: dict[str, list[Answer]]) -> tuple[list[Call], list[Step]]:
    """Every call of a round, answered by route and in order, and what else was said."""
    calls: list[Call] = []
    said: list[Step] = []
    steps: Iterable[Step] = reading.begin()
    while steps:
        following: tuple[Step, ...] = ()
        for step in steps:
            match step:
                case Next(call):
                    calls.append(call)
                    following = tuple(reading.answered(call, answers[call.route].pop(0)))
                case _:
                    said.append(step)
        steps = following
    return calls, said


ANSWERS: dict[str, list[Answer]] = {
    "user": [answer({"channel_id": "c" * 64})],
    "orders": [answer([]), answer([])],
    "withdrawals": [answer([])],
}


def answers(**more: list[Answer]) -> dict[str, list[Answer]]:
    return {route: list(told) for route, told in {**ANSWERS, **more}.items()}


# ---- readings ---------------------------------------------------------------------------


def test_the_calls_of_a_user_and_the_mark_behind_them() -> None:
    calls, said = run(USER.reading(ACCOUNT, known(NOW - 60)), answers())
    assert [(call.route, call.path, dict(call.query)) for call in calls] == [
        ("user", "/user", {}),
        ("orders", "/user/orders", {"active": "true"}),
        ("orders", "/user/orders", {"offset": "0", "limit": "50"}),
        ("withdrawals", "/user/withdrawals", {"page": "1", "per_page": "100"}),
    ]
    assert said[-1] == Done(
        whole=True,
        recovered=Recovered(
            from_=str(NOW - 60),
            up_to=str(NOW),
            from_at=(NOW - 660) * 1_000_000,
            up_to_at=NOW * 1_000_000,
            by="poll",
            count=0,
            complete=True,
        ),
    )
    assert [type(step) for step in said[:-1]] == [Keep] * 4


def test_the_calls_of_the_market() -> None:
    depth = {"bids": [], "asks": [], "market": "BTC-EUR"}
    told = {"depth": [answer(depth)], "trades": [answer([])]}
    calls, _ = run(PUBLIC.reading(ACCOUNT, known(NOW - 60)), told)
    assert [(call.path, dict(call.query)) for call in calls] == [
        ("/data/eur/depth", {}),
        ("/data/eur/trades", {"since": str(NOW - 120)}),
    ]
    told = {"depth": [answer(depth)], "trades": [answer([])]}
    calls, _ = run(PUBLIC.reading(ACCOUNT, known()), told)
    assert dict(calls[1].query) == {}


def test_pages_are_read_until_all_of_one_was_known() -> None:
    new, old = [order(f"n{n}", 30) for n in range(50)], [order(f"o{n}", 9000) for n in range(50)]
    pages = [answer([]), answer(new), answer([*new[:49], old[0]]), answer(old)]
    calls, said = run(
        USER.reading(ACCOUNT, known(NOW - 60)),
        answers(orders=pages, withdrawals=[answer(new), answer([])]),
    )
    asked = [call.query for call in calls if call.route == "orders"]
    assert [query.get("offset") for query in asked] == [None, "0", "50", "100"]
    asked = [call.query for call in calls if call.route == "withdrawals"]
    assert [query["page"] for query in asked] == ["1", "2"]
    assert isinstance(said[-1], Done)
    assert said[-1].whole


def test_a_row_that_cannot_be_read_does_not_end_the_paging() -> None:
    pages = [answer([]), answer([7, {"uuid": 3}, order("o", 9000)]), answer([])]
    calls, _ = run(USER.reading(ACCOUNT, known(NOW - 60)), answers(orders=pages))
    assert sum(call.route == "orders" for call in calls) == 3


def test_a_list_without_an_end_is_given_up_and_the_round_is_not_whole() -> None:
    endless = [answer([]), *[answer([order("n", 0)])] * 300]
    calls, said = run(USER.reading(ACCOUNT, known(NOW - 60)), answers(orders=endless))
    assert len(calls) < 210
    assert Report("orders: more than 200 pages") in said
    assert isinstance(said[-1], Done)
    assert not said[-1].whole
    assert said[-1].recovered
    assert not said[-1].recovered.complete


def opened(kind: str, entity_id: str) -> OpenEntity:
    return OpenEntity(
        provider="paymium",
        account="main",
        entity_kind=kind,
        entity_id=entity_id,
        status="open",
        since=1,
    )


def test_what_is_open_or_named_and_on_no_page_is_asked_for_by_uuid() -> None:
    listed, away = "1" * 8 + UUID[8:], "2" * 8 + UUID[8:]
    begins = known(
        NOW - 60,
        opens=(opened("order", listed), opened("order", away), opened("payment", OTHER)),
        references=(OTHER, UUID, "../user", "x" * 300),
    )
    told = answers(
        orders=[answer([order(listed, 30)]), answer([])],
        order=[answer({"errors": ["Not found"]}, 404)],
        payment=[answer({"uuid": OTHER}), answer({"errors": ["Not found"]}, 404)],
    )
    calls, said = run(USER.reading(ACCOUNT, begins), told)
    assert [call.path for call in calls[4:]] == [
        f"/user/orders/{away}",
        f"/merchant/get_payment/{OTHER}",
        f"/merchant/get_payment/{UUID}",
    ]
    assert isinstance(said[-1], Done)
    assert said[-1].whole


@pytest.mark.parametrize("callback", [b"", b"<html>", b"[]", b'{"uuid":7}', b'{"state":"paid"}'])
def test_a_callback_that_names_nothing_is_asked_about_nowhere(callback: bytes) -> None:
    assert USER.reference
    assert USER.reference(callback) is None


def test_a_channel_that_is_no_longer_the_users_is_said_without_being_shown() -> None:
    _, said = run(USER.reading(ACCOUNT, known()), answers(user=[answer({"channel_id": "d" * 64})]))
    (report,) = (step for step in said if isinstance(step, Report))
    assert "d" * 64 not in report.text
    assert "c" * 64 not in report.text


@pytest.mark.parametrize(
    "told",
    [
        Answer(status=200, retry_after=None, body=b"<html>"),
        Answer(status=200, retry_after=None, body=b'[{"uuid":'),
        answer({"errors": ["?"]}),
        answer({"errors": ["?"]}, 422),
        answer({}, 302),
    ],
)
def test_what_cannot_be_told_is_said_and_skipped(told: Answer) -> None:
    _, said = run(USER.reading(ACCOUNT, known()), answers(orders=[answer([]), told]))
    assert any(isinstance(step, Report) for step in said)
    assert isinstance(said[-1], Done)
    assert not said[-1].whole


def test_a_full_answer_of_trades_may_lack_some() -> None:
    depth = {"bids": [], "asks": [], "market": "BTC-EUR"}
    told = {"depth": [answer(depth)], "trades": [answer([{}] * 1000)]}
    _, said = run(PUBLIC.reading(ACCOUNT, known(NOW)), told)
    assert isinstance(said[-1], Done)
    assert not said[-1].whole


def test_a_refused_signature_asks_for_the_credentials_again() -> None:
    reading = USER.reading(ACCOUNT, known())
    (asks,) = reading.begin()
    assert isinstance(asks, Next)
    (end,) = reading.answered(asks.call, answer({"errors": ["Invalid signature"]}, 401))
    assert isinstance(end, End)
    assert isinstance(end.error, Unauthorized)


@pytest.mark.parametrize(
    ("nonce", "call", "signature"),
    [
        (
            1_790_139_600_000,
            Call("orders", "/user/orders", {"active": "true"}),
            "8e6554aa2a0d8a85a5964d6dfbbf35dc013b7a2b8aa5bf92cca7afc27987c5ea",
        ),
        (
            1_790_139_600_002,
            Call("user", "/user"),
            "aaabc494eb4fbae22afc02aaf45637a0d2a0d9baddda189f4d85c730d0840c84",
        ),
    ],
)
def test_a_request_is_signed_as_the_reference_computes_it(
    nonce: int, call: Call, signature: str
) -> None:
    headers = USER.request(ACCOUNT, call, nonce).headers
    assert headers == {
        "Api-Key": "twin-paymium-key",
        "Api-Nonce": str(nonce),
        "Api-Signature": signature,
    }
    assert PUBLIC.request(ACCOUNT, call, nonce).headers == {}


# ---- the loop against the twin ----------------------------------------------------------


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_random", lambda: 0.0)
    monkeypatch.setattr("ingest.rest_loop._random", lambda: 0.0)
    monkeypatch.setattr("ingest.backoff._AT_ONCE", (0.0, 0.0))


@asynccontextmanager
async def following(
    twin: Twin[Paymium],
    secrets: Path,
    log: MortalLog,
    name: str = "main",
    turns: defaultdict[str, Turn] | None = None,
) -> AsyncIterator[Supervision]:
    feed = feed_of("paymium", name)
    assert feed.rest
    names = feed.credentials | feed.rest.needs
    for each in names:
        (secrets / each).write_text(twin.provider.secrets()[each])
    settings = Settings.model_validate(
        {
            "provider": "paymium",
            "name": name,
            "environment": "sandbox",
            "url": twin.url,
            "credentials": {each: f"file:{secrets / each}" for each in names},
        }
    )
    supervised = Supervision(
        settings=settings,
        feed=replace(feed, rest=replace(feed.rest, rate=Rate(1000, 0.001))),
        dial=wire.dial,
        raw_log=log,  # type: ignore[arg-type]  # stands for Kafka
        metrics=Metrics().of("paymium", name),
        progress=Progress(),
        budgets=defaultdict(lambda: Budget(burst=100)),
        turns=defaultdict(Turn) if turns is None else turns,
    )
    running = asyncio.create_task(supervised.run())
    try:
        yield supervised
    finally:
        supervised.patience.stop()
        await asyncio.wait({running}, timeout=10)
        with suppress(OperatorError):
            running.result()


def told_by(records: list[Raw], *routes: str) -> dict[str, str]:
    """Uuid → state, or price, of every row of these calls."""
    found: dict[str, str] = {}
    for raw in records:
        if raw.via is Via.POLL and raw.kind is Kind.FRAME and raw.route in routes:
            body = json.loads(raw.value)
            for row in body if isinstance(body, list) else [body]:
                found[row["uuid"]] = row.get("state") or row["price"]
    return found


def latest(twin: Twin[Paymium], *types: str) -> dict[str, str]:
    return {line.entity: line.status for line in twin.books.lines if line.type in types}


async def test_all_that_changed_while_we_were_away_is_read_back(tmp_path: Path) -> None:
    log = MortalLog()
    async with PaymiumTwin(rate=0) as twin:
        async with following(twin, tmp_path, log):
            await log.until_recovered()
        await twin.storm(700)
        async with following(twin, tmp_path, log):
            await log.until_recovered()
    assert told_by(log.records, "orders") == latest(twin, "order")
    assert told_by(log.records, "withdrawals") == latest(twin, "transfer")
    kinds = [raw.kind for raw in log.records if raw.via is Via.SOCKET]
    assert kinds == 2 * [Kind.OPENED, Kind.HYDRATED, Kind.RECOVERED, Kind.CLOSED]


async def test_whatever_page_we_die_at_nothing_is_lost_and_no_nonce_is_used_twice(
    tmp_path: Path,
) -> None:
    async with PaymiumTwin(rate=0) as twin:
        before = MortalLog()
        async with following(twin, tmp_path, before):
            await before.until_recovered()
        await twin.storm(400)
        whole = MortalLog(list(before.records))
        async with following(twin, tmp_path, whole):
            await whole.until_recovered()
        steps = len(whole.records) - len(before.records) - 1  # It closes because we stop it.
        assert steps > 6
        for lives in range(steps):
            log = MortalLog(list(before.records), lives)
            async with following(twin, tmp_path, log), asyncio.timeout(10):
                await log.died.wait()
            log.lives = 2**30
            async with following(twin, tmp_path, log):
                await log.until_recovered()
            assert told_by(log.records, "orders") == latest(twin, "order")


async def test_a_clock_that_stepped_back_over_a_restart_does_not_repeat_a_nonce(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = MortalLog()
    async with PaymiumTwin(rate=0) as twin:
        async with following(twin, tmp_path, log):
            await log.until_recovered()
        monkeypatch.setattr("ingest.rest_loop.time_ns", lambda: 1_600_000_000_000_000_000)
        async with following(twin, tmp_path, log):
            await log.until_recovered()
            begun = len(log.records)
        async with following(twin, tmp_path, log):
            await log.until_recovered()
    assert len(log.records) > begun


async def test_two_accounts_of_one_key_take_turns(tmp_path: Path) -> None:
    turns: defaultdict[str, Turn] = defaultdict(Turn)
    one, other = MortalLog(), MortalLog()
    async with PaymiumTwin(rate=0) as twin:
        await twin.storm(300)
        async with (
            following(twin, tmp_path, one, "main", turns),
            following(twin, tmp_path, other, "other", turns),
        ):
            await one.until_recovered()
            await other.until_recovered()
    assert len(turns) == 1


async def test_everybodys_trades_come_from_rest(tmp_path: Path) -> None:
    log = MortalLog()
    async with PaymiumTwin(rate=0, trading=1.0) as twin:
        await twin.storm(50)
        async with following(twin, tmp_path, log, "public"):
            await log.until_recovered()
        assert len(told_by(log.records, "trades")) == 50
        depth = next(raw for raw in log.records if raw.route == "depth")
        assert json.loads(depth.value)["market"] == "BTC-EUR"
    kinds = [(raw.kind, raw.via) for raw in log.records]
    hydrated = kinds.index((Kind.HYDRATED, Via.SOCKET))
    assert (Kind.FRAME, Via.SOCKET) not in kinds[:hydrated]


async def test_a_payment_that_somebody_named_is_asked_for(tmp_path: Path) -> None:
    log = MortalLog()
    async with PaymiumTwin(rate=0) as twin:
        payment = twin.provider.payments[0]
        twin.provider._lifecycles.expect_payment(payment)  # noqa: SLF001 - its own switch is a channel
        await twin.storm(50)
        async with following(twin, tmp_path, log) as feed:
            await log.until_recovered()
            feed.hear(json.dumps({"uuid": payment, "state": "paid"}).encode())
            await log.until(lambda: payment in told_by(log.records, "payment"))
    assert told_by(log.records, "payment")[payment] == latest(twin, "payment")[payment]

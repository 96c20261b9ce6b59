"""Transak, socket and REST side by side, against its twin over real sockets."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ingest import supervision, wire
from ingest.backoff import Budget
from ingest.feed import Rate, Refused
from ingest.feeds import FEEDS
from ingest.key_log import KeyLog
from ingest.metrics import Metrics
from ingest.probes import Progress
from ingest.raw_log import Ticket
from ingest.settings import Account as Settings
from ingest.supervision import Supervision
from schemas.connection import Connection
from schemas.records import Kind, OpenEntity, Raw, SigningKey, Via
from tests.ingest.test_supervision import MemoryLog
from twins.server import Twin
from twins.transak import API_KEY, API_SECRET, Transak, TransakTwin

FEED = FEEDS["transak"]
PATIENCE_S = 20.0

pytestmark = pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")


class WatchedLog(MemoryLog):
    """A raw log in memory that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    async def append(self, raw: Raw) -> Ticket:
        ticket = await super().append(raw)
        self._more.set()
        return ticket

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._more.clear()
                await self._more.wait()

    def recovered(self) -> list[dict[str, Any]]:
        marks = (raw.value for raw in self.records if raw.kind is Kind.RECOVERED)
        return list(map(json.loads, marks))

    def pages(self) -> list[Raw]:
        return [raw for raw in self.records if raw.via is Via.POLL]

    def told(self) -> dict[tuple[str, str], str]:
        """(Order, status) → the time of the change, of every row of every page."""
        answers = (json.loads(raw.value)["data"] for raw in self.pages())
        rows = (row for data in answers for row in (data if isinstance(data, list) else [data]))
        return {(row["_id"], row["status"]): row["updatedAt"] for row in rows}


class MemoryKeys(KeyLog):
    """The topic ``keys`` in memory."""

    def __init__(self, *past: SigningKey) -> None:
        super().__init__(Connection(""), bytes(32))
        self.kept = list(past)

    async def append(self, key: SigningKey) -> None:
        self.kept.append(key)

    async def newest(self, _provider: str, _account: str) -> SigningKey | None:
        return self.kept[-1] if self.kept else None


@dataclass
class Opens:
    """What is open, as the processors would say."""

    ids: list[str] = field(default_factory=list)

    def of(self, provider: str, account: str) -> tuple[OpenEntity, ...]:
        return tuple(
            OpenEntity(
                provider=provider,
                account=account,
                entity_kind="order",
                entity_id=each,
                status="created",
                since=0,
            )
            for each in self.ids
        )


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_random", lambda: 0.0)
    monkeypatch.setattr("ingest.backoff._AT_ONCE", (0.0, 0.0))


@asynccontextmanager
async def following(
    twin: Twin[Transak],
    directory: Path,
    keys: KeyLog | None = None,
    opens: Opens | None = None,
    **secrets: str,
) -> AsyncIterator[tuple[WatchedLog, asyncio.Task[Refused | None]]]:
    """Follow a twin as fast as it answers, with these credentials besides the API key."""
    for name, secret in {"api_key": API_KEY, **secrets}.items():
        (directory / name).write_text(secret)
    credentials = {name: f"file:{directory / name}" for name in ("api_key", *secrets)}
    settings = Settings.model_validate(
        {
            "provider": "transak",
            "name": "main",
            "environment": "sandbox",
            "url": twin.url,
            "credentials": credentials,
        }
    )
    assert FEED.rest
    log = WatchedLog()
    feed = Supervision(
        settings=settings,
        feed=replace(FEED, rest=replace(FEED.rest, rate=Rate(1000, 0.001))),
        dial=wire.dial,
        raw_log=log,  # type: ignore[arg-type]  # stands for Kafka
        metrics=Metrics().of("transak", "main"),
        progress=Progress(),
        budgets=defaultdict(lambda: Budget(burst=100)),
        opens=opens or Opens(),
        keys=keys,
    )
    running = asyncio.create_task(feed.run())
    try:
        yield log, running
    finally:
        feed.patience.stop()
        await asyncio.wait_for(running, 10)


def latest(twin: Twin[Transak]) -> dict[tuple[str, str], str]:
    """(Order, status) → the time of the change, of every order as it stands in the books."""
    newest = {line.entity: line.key for line in twin.books.lines}
    return {(order_id, status): changed for order_id, status, changed in newest.values()}


async def test_a_round_after_the_join_reads_back_every_order_of_both_products(
    tmp_path: Path,
) -> None:
    """600 changes happened before anybody listened, and the list hides most by default."""
    async with TransakTwin(rate=0) as twin:
        await twin.storm(600)
        keys = MemoryKeys()
        async with following(twin, tmp_path, keys, api_secret=API_SECRET) as (log, _):
            await log.until(lambda: bool(log.recovered()))
        assert log.told() == latest(twin)
        (mark,) = log.recovered()
        assert mark["complete"]
        assert mark["count"] == len(latest(twin))
        assert {raw.route for raw in log.pages()} == {"orders"}


async def test_pages_are_the_bytes_that_transak_sent(tmp_path: Path) -> None:
    async with TransakTwin(rate=0) as twin:
        await twin.storm(50)
        async with following(twin, tmp_path, MemoryKeys(), api_secret=API_SECRET) as (log, _):
            await log.until(lambda: bool(log.recovered()))
        for line in twin.books.lines:
            amount = f'"fiatAmount":{line.money["fiatAmount"]},'.encode()
            is_newest = (line.entity, line.status) in latest(twin)
            assert not is_newest or any(amount in raw.value for raw in log.pages())


async def test_what_is_open_is_asked_for_by_its_id_however_old(tmp_path: Path) -> None:
    now = [1_700_000_000.0]
    async with TransakTwin(rate=0, clock=lambda: now[0], token_lives_s=1e10) as twin:
        await twin.storm(30)
        opens = Opens([*{line.entity for line in twin.books.lines}, "nobody"])
        keys = MemoryKeys()
        async with following(twin, tmp_path, keys, opens, api_secret=API_SECRET) as (log, _):
            await log.until(lambda: bool(log.recovered()))
        assert log.told() == latest(twin)
        one_by_one = [raw for raw in log.pages() if raw.route == "order"]
        assert len(one_by_one) == len(opens.ids) - 1


async def test_a_token_that_ends_in_mid_paging_is_renewed_and_no_page_is_missed(
    tmp_path: Path,
) -> None:
    async with TransakTwin(rate=0) as twin:
        await twin.storm(600)
        twin.door.stumble("401", 1, after=6)  # The refresh, five pages, and then it is over.
        keys = MemoryKeys()
        async with following(twin, tmp_path, keys, api_secret=API_SECRET) as (log, _):
            await log.until(lambda: bool(log.recovered()))
        assert log.told() == latest(twin)
        assert twin.provider.refreshes == len(keys.kept) == 2
        assert len({key.key_id for key in keys.kept}) == 2
        assert keys.kept[-1].token == twin.provider.access_token


async def test_answers_that_fail_in_mid_paging_are_asked_for_again(tmp_path: Path) -> None:
    async with TransakTwin(rate=0) as twin:
        await twin.storm(600)
        twin.door.stumble("500", 2, after=4)
        async with following(twin, tmp_path, MemoryKeys(), api_secret=API_SECRET) as (log, _):
            await log.until(lambda: bool(log.recovered()))
        assert log.told() == latest(twin)


async def test_the_next_process_goes_on_with_the_token_of_the_last_one(tmp_path: Path) -> None:
    async with TransakTwin(rate=0) as twin:
        keys = MemoryKeys()
        for _ in range(3):
            async with following(twin, tmp_path, keys, api_secret=API_SECRET) as (log, _):
                await log.until(lambda: bool(log.recovered()))
        assert twin.provider.refreshes == len(keys.kept) == 1


async def test_a_token_that_another_system_replaced_is_replaced_in_turn(tmp_path: Path) -> None:
    async with TransakTwin(rate=0) as twin:
        keys = MemoryKeys()
        async with following(twin, tmp_path, keys, api_secret=API_SECRET) as (log, _):
            await log.until(lambda: bool(log.recovered()))
        twin.provider.refresh()
        async with following(twin, tmp_path, keys, api_secret=API_SECRET) as (log, _):
            await log.until(lambda: bool(log.recovered()))
        assert keys.kept[-1].token == twin.provider.access_token
        assert len(keys.kept) == 2


async def test_a_refused_api_secret_leaves_the_socket_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with TransakTwin(rate=0) as twin:
        async with following(twin, tmp_path, MemoryKeys(), api_secret="guess") as (log, running):
            await log.until(lambda: bool(log.records))
            await twin.storm(20)
            await log.until(lambda: sum(raw.kind is Kind.FRAME for raw in log.records) == 20)
            assert not running.done()
        assert not log.pages()
    assert "guess" not in capsys.readouterr().out


async def test_without_an_api_secret_it_is_the_socket_alone_and_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with TransakTwin(rate=0) as twin:
        async with following(twin, tmp_path) as (log, _):
            await log.until(lambda: bool(log.records))
            await twin.storm(5)
            await log.until(lambda: sum(raw.kind is Kind.FRAME for raw in log.records) == 5)
        assert twin.provider.refreshes == 0
    assert capsys.readouterr().out.count("no REST: a credential is not there") == 1


async def test_nothing_that_is_said_or_kept_in_the_clear_shows_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with TransakTwin(rate=0) as twin:
        keys = MemoryKeys()
        await twin.storm(50)
        async with following(twin, tmp_path, keys, api_secret=API_SECRET) as (log, _):
            await log.until(lambda: bool(log.recovered()))
        secrets = [API_SECRET, *(key.token for key in keys.kept)]
    said = capsys.readouterr()
    for secret in secrets:
        assert secret not in said.out + said.err + repr(keys.kept)
        assert all(secret.encode() not in raw.value for raw in log.pages())

"""AssetPay's REST against its twin over real sockets: everything that it lists or looks up."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ingest import supervision, wire
from ingest.backoff import Budget
from ingest.feed import Rate
from ingest.feeds import FEEDS
from ingest.metrics import Metrics
from ingest.probes import Progress
from ingest.settings import Account as Settings
from ingest.supervision import Supervision
from schemas.records import Kind, OpenEntity, Raw, Via
from tests.ingest.test_supervision import MemoryLog
from twins.assetpay import API_KEY, AssetPay, AssetPayTwin
from twins.server import Twin

FEED = FEEDS["assetpay"]
PATIENCE_S = 20.0


@dataclass
class Log(MemoryLog):
    """A raw log in memory, and when the first round was told."""

    read_back: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(self, raw: Raw) -> asyncio.Future[object]:
        if raw.kind is Kind.RECOVERED:
            self.read_back.set()
        return await super().append(raw)

    def pages(self, route: str) -> list[Any]:
        polled = (raw for raw in self.records if raw.via is Via.POLL and raw.route == route)
        return [json.loads(raw.value)["data"] for raw in polled]


@dataclass
class Opens:
    """What is open, as the processors would say: (kind, id)."""

    told: list[tuple[str, str]]

    def of(self, provider: str, account: str) -> tuple[OpenEntity, ...]:
        return tuple(
            OpenEntity(
                provider=provider,
                account=account,
                entity_kind=kind,
                entity_id=entity_id,
                status="created",
                since=0,
            )
            for kind, entity_id in self.told
        )


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_random", lambda: 0.0)


@asynccontextmanager
async def read_back(twin: Twin[AssetPay], directory: Path, opens: Opens) -> AsyncIterator[Log]:
    """Follow a twin until its first round of REST is over."""
    (directory / "key").write_text(API_KEY)
    settings = Settings.model_validate(
        {
            "provider": "assetpay",
            "name": "main",
            "environment": "sandbox",
            "url": twin.url,
            "credentials": {"api_key": f"file:{directory / 'key'}"},
        }
    )
    assert FEED.rest
    log = Log()
    feed = Supervision(
        settings=settings,
        feed=replace(FEED, rest=replace(FEED.rest, rate=Rate(1000, 0.001))),
        dial=wire.dial,
        raw_log=log,  # type: ignore[arg-type]  # stands for Kafka
        metrics=Metrics().of("assetpay", "main"),
        progress=Progress(),
        budgets=defaultdict(lambda: Budget(burst=100)),
        opens=opens,
    )
    running = asyncio.create_task(feed.run())
    try:
        await asyncio.wait_for(log.read_back.wait(), PATIENCE_S)
        yield log
    finally:
        feed.patience.stop()
        await asyncio.wait_for(running, 10)


def newest(twin: Twin[AssetPay]) -> dict[str, tuple[str, ...]]:
    """Trade or funding → what identifies its newest state in the books."""
    return {line.entity: line.key for line in twin.books.lines}


async def test_open_trades_and_fundings_are_looked_up_by_their_ids(tmp_path: Path) -> None:
    async with AssetPayTwin(rate=0) as twin:
        await twin.storm(300)
        known = newest(twin)
        opens = Opens([(key[0], entity) for entity, key in known.items()])
        async with read_back(twin, tmp_path, opens) as log:
            trades = [trade for page in log.pages("trades") for trade in page]
            fundings = [page for page in log.pages("ledger") if "items" not in page]
        assert {t["id"]: ("trade", t["id"], t["status"], t["updatedAt"]) for t in trades} == {
            entity: key for entity, key in known.items() if key[0] == "trade"
        }
        told = {f["id"]: ("funding", f["id"], f["status"], f["txnHash"] or "") for f in fundings}
        assert told == {entity: key for entity, key in known.items() if key[0] == "funding"}


async def test_own_trades_and_the_ledger_are_listed_to_their_ends(tmp_path: Path) -> None:
    async with AssetPayTwin(rate=0) as twin:
        await twin.storm(3000)
        twin.door.stumble("500", 1, after=2)
        async with read_back(twin, tmp_path, Opens([])) as log:
            own = {t["id"] for page in log.pages("self_trades") for t in page["items"]}
            booked = {entry["id"] for page in log.pages("ledger") for entry in page["items"]}
            assert len(log.pages("ledger")) > 1
        trades = {line.entity for line in twin.books.lines if line.type == "trade"}
        assert own == {each for each in trades if each.startswith(("0", "1"))}
        assert booked == {line.entity for line in twin.books.lines if line.type != "trade"}

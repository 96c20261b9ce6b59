"""Each provider's twin delivers to our door over a real socket: all of it in, no forgery."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from ingest import webhooks
from ingest.feeds import WEBHOOKS
from ingest.metrics import Metrics
from ingest.webhooks import Door, Entrance
from processors.batch import Batch
from processors.mapper import Keys
from processors.mappers import MAPPERS
from processors.pipeline import process
from schemas.records import Authority, Position, Raw
from tests.ingest.test_webhooks import Log
from tests.processors.memory import Remembered
from tests.twins.clients import joined
from twins import TWINS
from twins.faults import Faults, Order
from twins.server import Twin

WORD = b"a-word-of-ours"


@dataclass
class House:
    """A twin, our door, and what came in."""

    twin: Twin[Any]
    door: Door
    metrics: Metrics
    log: Log = field(default_factory=Log)
    keys: list[bytes] = field(default_factory=list)

    def ring(self) -> Mapping[str, bytes]:
        return {f"w{n}": key for n, key in enumerate(self.keys)}

    def kept(self) -> Counter[str]:
        return Counter(sha256(raw.value).hexdigest() for raw in self.log.records)

    def told(self, fault: str = "webhook") -> Counter[str | None]:
        return Counter(line.sha256 for line in self.twin.books.lines if line.fault == fault)

    def counted(self, outcome: str) -> float:
        name, account = "penstock_ingest_deliveries_total", self.twin.account
        labels = {"provider": self.twin.name, "account": account, "outcome": outcome}
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def house(provider: str, faults: Faults | None = None) -> AsyncIterator[House]:
    async with TWINS[provider](rate=0, seed=5, faults=faults or Faults()) as twin:
        metrics = Metrics()
        key = twin.provider.secrets().get("webhook_key")
        keys = [key.encode() if key else WORD]
        opened = House(twin, Door([], metrics.stranger), metrics, keys=keys)
        entrance = Entrance(
            provider=provider,
            account=twin.account,
            environment="sandbox",
            webhook=WEBHOOKS[provider],
            ring=opened.ring,
            metrics=metrics.deliveries(provider, twin.account),
        )
        opened.door = Door([entrance], metrics.stranger)
        runner, address = await webhooks.serve(opened.door, "127.0.0.1", 0)
        opened.door.admit(opened.log)
        query = "" if key else f"?token={WORD.decode()}"
        twin.courier.url = f"http://{address}/webhooks/{provider}/{twin.account}{query}"
        yield opened
        await twin.courier.done()
        await runner.cleanup()


async def expect_payments(twin: Twin[Any]) -> None:
    """Let payments begin, since somebody follows them."""
    socket = await joined(twin.url, "/user")
    for payment in twin.provider.payments:
        await socket.send(f"42/user,{json.dumps(['channel', payment])}")
    await socket.send("2")
    while await socket.recv() != "3":
        pass
    await socket.close()


PREPARE: Mapping[str, Callable[[Twin[Any]], Any]] = {"paymium": expect_payments}


@pytest.mark.parametrize("provider", WEBHOOKS)
async def test_everything_genuine_comes_in_and_nothing_else(provider: str) -> None:
    faults = Faults(duplicate=0.1, reorder=0.1, forged=0.2, old=0.2)
    async with house(provider, faults) as opened:
        if prepare := PREPARE.get(provider):
            await prepare(opened.twin)
        await opened.twin.storm(200)
        summary = await opened.twin.quiet()
        assert opened.kept() == opened.told()
        assert opened.kept().total() > 10
        forged = summary.faults.get("forged webhook", 0) + summary.faults.get("old webhook", 0)
        assert opened.counted("forged") == forged
        assert bool(forged) == (provider != "paymium")
        assert opened.twin.courier.refused == forged + opened.counted("questioned")
        assert bool(opened.counted("questioned")) == (provider == "assetpay")


@pytest.mark.parametrize("provider", ["assetpay", "pepay", "transak"])
async def test_what_came_in_is_told_as_signed_once(provider: str) -> None:
    async with house(provider, Faults(duplicate=0.2)) as opened:
        await opened.twin.storm(150)
        await opened.twin.quiet()
        keys = Keys(verification=opened.ring(), reference_id="r", reference=b"reference")
        remembered = Batch(Remembered(), published_at=0)
        ids = [event_id for raw in opened.log.records for event_id in told(raw, keys, remembered)]
        facts = {line.key for line in opened.twin.books.lines if line.fault == "webhook"}
        assert len(ids) == len(set(ids)) == len(facts)


def told(raw: Raw, keys: Keys, remembered: Batch) -> list[str]:
    """Ids of what one record told for the first time."""
    batch = Batch(remembered, published_at=raw.received_at)
    position = Position(f"raw.{raw.provider}", 0, raw.sequence)
    process(raw, position, MAPPERS[raw.provider], keys, batch)
    remembered.facts |= batch.facts
    remembered.entities |= batch.entities
    assert not batch.rejected
    assert {event.authority for event, _ in batch.events} <= {Authority.SIGNED}
    return [event.id for event, _ in batch.events]


@pytest.mark.parametrize("provider", ["assetpay", "pepay"])
async def test_a_secret_is_changed_without_a_gap(provider: str) -> None:
    async with house(provider) as opened:
        await opened.twin.storm(20)
        opened.twin.orders["rotate-secret"](Order(seconds=3600))
        await opened.twin.storm(20)
        await opened.twin.courier.done()
        assert opened.counted("forged") == 0, "both sign, and we hold the old one"
        new, _old = opened.twin.provider.webhook_secrets()
        opened.keys = [new.encode()]
        await opened.twin.storm(20)
        await opened.twin.courier.done()
        assert opened.counted("forged") == 0
        assert opened.kept() == opened.told()


async def test_a_delivery_that_was_not_safe_comes_again() -> None:
    async with house("pepay") as opened:
        opened.log.broken = True
        await opened.twin.storm(1)
        await opened.log.asked.wait()
        opened.log.broken = False
        await opened.twin.courier.done()
        assert opened.kept().total() == 1
        assert opened.told().total() == 2
        assert opened.counted("unavailable") == 1


async def test_a_delivery_that_nobody_takes_is_given_up_after_three_tries() -> None:
    async with house("pepay") as opened:
        opened.door.shut()
        await opened.twin.storm(1)
        await opened.twin.quiet()
        assert (opened.told().total(), opened.twin.courier.refused) == (3, 3)

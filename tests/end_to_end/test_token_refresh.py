"""Transak's token: on ``keys`` before it is used, and there for whoever comes after."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from confluent_kafka import Message

from penstock.demo_settings import SEAL
from penstock.reconcile import read_events
from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from schemas.codec import raw_record
from schemas.records import Kind, Raw, SigningKey, Via
from schemas.sealing import opened, sealing_key
from tests.end_to_end.test_workers import Worker, until
from twins.server import Twin
from twins.transak import API_KEY, API_SECRET, Transak, TransakTwin

PATIENCE_S = 60.0

SETTINGS = """
[kafka]
bootstrap_servers = "{servers}"
[keys]
seal = "file:{directory}/seal"
[ingest]
http = "127.0.0.1:0"
[[accounts]]
provider = "transak"
name = "{account}"
environment = "sandbox"
url = "{url}"
credentials = {{ api_key = "file:{directory}/api_key", api_secret = "file:{directory}/api_secret" }}
"""


class House:
    """Ingest of one Transak account, and what it left in Kafka."""

    def __init__(self, directory: Path, stack: Stack, twin: Twin[Transak], account: str) -> None:
        self.stack, self.account = stack, account
        for name, secret in (("seal", SEAL), ("api_key", API_KEY), ("api_secret", API_SECRET)):
            (directory / name).write_text(secret)
        self.file = directory / "penstock.toml"
        self.file.write_text(
            SETTINGS.format(
                servers=stack.bootstrap_servers,
                directory=directory,
                account=account,
                url=twin.url,
            )
        )

    @asynccontextmanager
    async def ingest(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingest", "--settings", str(self.file)),
            env={"PATH": os.environ["PATH"]},
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def minted(self) -> list[tuple[Message, SigningKey]]:
        """Return what is on ``keys`` of the account, opened."""
        begins = f"transak/{self.account}/"
        return [
            (message, opened(at, message.value() or b"", sealing_key(SEAL)))
            for message in whole(self.stack.connection, topics.KEYS)
            if (at := (message.key() or b"").decode()).startswith(begins)
        ]

    def raw(self) -> list[Raw]:
        return [
            raw_record(message.headers() or (), message.value() or b"")
            for message in whole(self.stack.connection, topics.raw("transak"))
            if message.key() == self.account.encode()
        ]

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        one = Worker(self.file.parent, self.stack, self.account)
        with one.file.open("a") as file:
            file.write(f'[keys]\nseal = "file:{self.file.parent}/seal"\n')
        await one.start()
        try:
            yield one
        finally:
            assert one.process is not None
            if one.process.returncode is None:
                one.process.kill()
            await one.process.wait()

    def events(self) -> list[Mapping[str, Any]]:
        events = read_events(self.stack.connection, self.stack.registry_url)
        return [event for event in events if event["account"] == self.account]

    def rejected(self) -> int:
        keys = (message.key() for message in whole(self.stack.connection, topics.REJECTED))
        return sum(key == self.account.encode() for key in keys)

    async def until_told(self, twin: Twin[Transak]) -> None:
        """Return once everything in the books is on ``events``."""
        facts = {
            "/".join(("transak", self.account, "order", *line.key)) for line in twin.books.lines
        }

        async def all_are() -> bool:
            return facts <= {event["id"] for event in await asyncio.to_thread(self.events)}

        await until(all_are, PATIENCE_S)

    async def until_kept(self, twin: Twin[Transak]) -> None:
        """Return once every frame that the twin wrote is on raw."""
        wrote = {line.sha256 for line in twin.books.lines}

        async def all_are() -> bool:
            records = await asyncio.to_thread(self.raw)
            return wrote <= {sha256(raw.value).hexdigest() for raw in records}

        await until(all_are, PATIENCE_S)

    async def until_keys(self, count: int) -> None:
        async def enough() -> bool:
            return len(await asyncio.to_thread(self.minted)) >= count

        await until(enough, PATIENCE_S)

    async def until_read_back(self) -> None:
        async def read_back() -> bool:
            return any(raw.kind is Kind.RECOVERED for raw in await asyncio.to_thread(self.raw))

        await until(read_back, PATIENCE_S)


@pytest.mark.timeout(180)
async def test_a_token_that_a_killed_ingest_never_used_is_used_by_the_next_one(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    async with TransakTwin(rate=0) as twin:
        house = House(tmp_path, prepared_stack, twin, "killed-before-use")
        twin.door.stumble("500", 2, after=1)  # The refresh, and nobody can use what it granted.
        async with house.ingest() as process:
            await house.until_keys(1)
            process.kill()
        assert not [raw for raw in house.raw() if raw.via is Via.POLL]
        await twin.storm(30)
        async with house.ingest():
            await house.until_read_back()
        ((message, key),) = house.minted()
        assert key.token == twin.provider.access_token
        assert twin.provider.refreshes == 1
        assert message.partition() == topics.partition_of(house.account, prepared_stack.partitions)
        assert key.token.encode() not in (message.value() or b"")
        pages = [raw for raw in house.raw() if raw.via is Via.POLL]
        assert all(key.minted_at < raw.received_at for raw in pages)
        assert len(pages) >= 20


@pytest.mark.timeout(240)
async def test_frames_right_behind_a_refresh_verify_and_old_ones_do_after_a_restart(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    """No key is in the settings: whatever verifies, verifies by what ingest was granted."""
    async with TransakTwin(rate=0) as twin:
        house = House(tmp_path, prepared_stack, twin, "right-behind")
        async with house.ingest() as ingest:
            await house.until_read_back()
            async with house.worker() as worker:
                await twin.storm(40)
                await house.until_told(twin)
                worker.send(SIGKILL)
            await twin.storm(40)  # Signed with a token that is gone when somebody reads them.
            await house.until_kept(twin)
            twin.provider.expire()
            await twin.drop()
            await refreshed(twin)
            await twin.storm(40)  # Right behind: the key is still on its way to Kafka.
            await house.until_kept(twin)
            ingest.kill()
        async with house.worker():
            await house.until_told(twin)
        first, second = (key.key_id for _, key in house.minted())
    events = house.events()
    verified = Counter(event["evidence"]["verified"] for event in events)
    # A few may have been read back by REST before their frames were judged.
    assert verified.total() == 120
    assert set(verified) <= {f"hs256:{first}", f"hs256:{second}", "tls"}
    assert min(verified[f"hs256:{first}"], verified[f"hs256:{second}"]) > 20
    assert len({event["id"] for event in events}) == 120
    assert house.rejected() == 0


async def refreshed(twin: Twin[Transak]) -> None:
    """Return the moment that the twin signs with a second token of ours."""
    async with asyncio.timeout(PATIENCE_S):
        while twin.provider.refreshes < 2:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.001)

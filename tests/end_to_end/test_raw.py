"""From a provider's socket to raw: byte for byte, in order, with marks around it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from confluent_kafka import Message

from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from schemas.codec import raw_record
from schemas.records import Kind, Raw
from twins import TWINS
from twins.faults import Faults
from twins.provider import Provider
from twins.server import Twin

SETTINGS = """
[kafka]
bootstrap_servers = "{servers}"
[ingest]
http = "127.0.0.1:0"
[[accounts]]
provider = "{provider}"
name = "{account}"
environment = "sandbox"
url = "{url}"
credentials = {{ api_key = "env:API_KEY" }}
"""


@asynccontextmanager
async def ingest(
    directory: Path, stack: Stack, twin: Twin[Provider], account: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    told = twin.introduction()
    file = directory / "penstock.toml"
    file.write_text(
        SETTINGS.format(
            servers=stack.bootstrap_servers,
            provider=told["name"],
            account=account,
            url=told["url"],
        )
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingest", "--settings", str(file)),
        env={"PATH": os.environ["PATH"], "API_KEY": told["api_key"]},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def kept(stack: Stack, provider: str, account: str) -> list[tuple[Message, Raw]]:
    """Return what raw holds of an account, by an independent client."""
    return [
        (message, raw_record(message.headers() or (), message.value() or b""))
        for message in whole(stack.connection, topics.raw(provider))
        if message.key() == account.encode()
    ]


async def until_kept(stack: Stack, provider: str, account: str, frames: int) -> None:
    async with asyncio.timeout(30):
        while True:
            records = await asyncio.to_thread(kept, stack, provider, account)
            if sum(raw.kind is Kind.FRAME for _, raw in records) >= frames:
                return


@pytest.mark.parametrize("provider", TWINS)
async def test_every_frame_lands_as_it_was_sent(
    provider: str, tmp_path: Path, prepared_stack: Stack
) -> None:
    account = f"raw-{provider}"
    faults = Faults(duplicate=0.1, reorder=0.1, damage=0.1)
    async with (
        TWINS[provider](seed=3, rate=0, faults=faults) as twin,
        ingest(tmp_path, prepared_stack, twin, account) as process,
    ):
        async with asyncio.timeout(30):
            await twin.audience.attentive.wait()
        await twin.storm(300)
        await twin.quiet()
        sent = [line.sha256 for line in twin.books.lines if line.listeners]
        await until_kept(prepared_stack, twin.name, account, len(sent))
        process.terminate()
        assert await process.wait() == 0
    records = kept(prepared_stack, twin.name, account)
    frames = [raw for _, raw in records if raw.kind is Kind.FRAME]
    assert [sha256(raw.value).hexdigest() for raw in frames] == sent
    assert records[0][1].kind is Kind.OPENED
    assert records[-1][1].kind is Kind.CLOSED
    assert b'"stopped"' in records[-1][1].value
    assert [raw.sequence for _, raw in records] == list(range(len(records)))
    assert {raw.connection for _, raw in records} == {records[0][1].connection}
    assert {message.partition() for message, _ in records} == {topics.partition_of(account, 4)}
    assert all(message.timestamp()[1] == raw.received_at // 1000 for message, raw in records), (
        "the timestamp of a raw record is when its frame was received"
    )

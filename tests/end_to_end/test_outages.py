"""Ingest while Kafka, or ingest itself, is away: in order, and nothing that can be had is lost."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from penstock.preparation import prepare
from penstock.stack import Stack, local_stack
from schemas.records import Kind
from tests.end_to_end.test_raw import ingest, kept, until_kept
from twins import TWINS


@pytest.fixture
def bare_stack(tmp_path: Path) -> Iterator[Stack]:
    """Give a stack that no other test uses, without topics."""
    with local_stack(tmp_path / "stack", partitions=4) as stack:
        yield stack


@pytest.fixture
def fragile_stack(bare_stack: Stack) -> Stack:
    """Give a stack whose broker may be killed."""
    prepare(bare_stack, ["pepay"])
    return bare_stack


@pytest.mark.timeout(120)
async def test_a_killed_broker_delays_frames_and_neither_loses_nor_reorders_them(
    tmp_path: Path, fragile_stack: Stack
) -> None:
    async with (
        TWINS["pepay"](seed=5, rate=0) as twin,
        ingest(tmp_path, fragile_stack, twin, "shop") as process,
    ):
        async with asyncio.timeout(30):
            await twin.audience.attentive.wait()
        await twin.storm(200)
        fragile_stack.kafka.kill()
        await twin.storm(200)
        fragile_stack.kafka.start()
        await asyncio.to_thread(fragile_stack.kafka.until_serving)
        await twin.storm(200)
        await twin.quiet()
        sent = [line.sha256 for line in twin.books.lines if line.listeners]
        await until_kept(fragile_stack, "pepay", "shop", len(sent))
        assert process.returncode is None
    frames = [
        raw.value for _, raw in kept(fragile_stack, "pepay", "shop") if raw.kind is Kind.FRAME
    ]
    assert [sha256(frame).hexdigest() for frame in frames] == sent


async def test_a_killed_ingest_resumes_behind_the_last_event_that_raw_holds(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    async with TWINS["pepay"](seed=6, rate=0) as twin:
        async with ingest(tmp_path, prepared_stack, twin, "resumed") as process:
            async with asyncio.timeout(30):
                await twin.audience.attentive.wait()
            await twin.storm(100)
            await until_kept(prepared_stack, "pepay", "resumed", 100)
            process.kill()
            await process.wait()
        await twin.storm(50)
        async with ingest(tmp_path, prepared_stack, twin, "resumed"):
            await until_kept(prepared_stack, "pepay", "resumed", 150)
        happened = {line.key[0] for line in twin.books.lines}
    frames = [
        msgspec.json.decode(raw.value)
        for _, raw in kept(prepared_stack, "pepay", "resumed")
        if raw.kind is Kind.FRAME
    ]
    ids = [frame["id"] for frame in frames if frame["object"] == "event"]
    assert set(ids) == happened
    assert len(ids) == len(happened), "it asked for more than it had missed"


def test_a_missing_topic_is_one_line(tmp_path: Path, bare_stack: Stack) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(
        f'[kafka]\nbootstrap_servers = "{bare_stack.bootstrap_servers}"\n'
        '[ingest]\nhttp = "127.0.0.1:0"\n'
        '[[accounts]]\nprovider = "pepay"\nname = "main"\nenvironment = "sandbox"\n'
        'url = "ws://127.0.0.1:9/"\ncredentials = { api_key = "env:API_KEY" }\n'
    )
    ended = subprocess.run(
        [sys.executable, "-m", "ingest", "--settings", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"API_KEY": "x"},
    )
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert "raw.pepay" in line
    assert "penstock topics apply" in line

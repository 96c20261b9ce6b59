"""Ingest while Kafka, or ingest itself, is away: in order, and nothing that can be had is lost."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Message

from ingest.framing import found
from penstock.broker import answers
from penstock.preparation import prepare
from penstock.stack import Stack, local_stack
from penstock.stack_record import LocalProcess
from schemas.records import Kind, Raw, Via
from tests.end_to_end.test_raw import hashes, ingest, kept, until, until_kept
from twins import TWINS
from twins.provider import Provider
from twins.server import Twin

Records = list[tuple[Message, Raw]]


@pytest.fixture(scope="module")
def lone_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a stack of these tests alone, with the topics of two providers."""
    with local_stack(tmp_path_factory.mktemp("stack"), partitions=4) as stack:
        prepare(stack, ["pepay", "transak"])
        yield stack


@pytest.fixture
def fragile_stack(lone_stack: Stack) -> Iterator[Stack]:
    """Give a stack whose broker may be killed; whoever comes next finds it serving."""
    yield lone_stack
    if not answers(lone_stack.connection):
        lone_stack.kafka.kill()
        lone_stack.kafka.start()
        lone_stack.kafka.until_serving()


@pytest.mark.timeout(120)
async def test_a_killed_broker_delays_frames_and_neither_loses_nor_reorders_them(
    tmp_path: Path, fragile_stack: Stack
) -> None:
    async with (
        TWINS["pepay"](seed=5, rate=0) as twin,
        ingest(tmp_path, fragile_stack, twin, "delayed") as process,
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
        await until(fragile_stack, "pepay", "delayed", lambda told: len(heard(told)) >= len(sent))
        assert process.returncode is None
    frames = [
        raw.value
        for _, raw in kept(fragile_stack, "pepay", "delayed")
        if raw.kind is Kind.FRAME and raw.via is Via.SOCKET
    ]
    assert [sha256(frame).hexdigest() for frame in frames] == sent


async def play_on(twin: Twin[Provider], directory: Path, told: int) -> None:
    """Let the twin tell so many facts, and wait until they all are on disk."""
    before = len(twin.books.lines)
    await twin.storm(told)
    sent = {line.sha256 for line in twin.books.lines[before:] if line.listeners}
    async with asyncio.timeout(40):
        while not sent <= await asyncio.to_thread(on_disk, directory):
            pass


def on_disk(directory: Path) -> set[str]:
    """Return the SHA-256 of each frame that an ingest holds on disk."""
    return {
        sha256(msgspec.msgpack.decode(record.payload, type=Raw).value).hexdigest()
        for segment in directory.rglob("*.segment")
        for record in found(segment.read_bytes(), salt=int(segment.stem.split("-")[1], 16))
    }


@pytest.mark.timeout(120)
@pytest.mark.parametrize("away", [signal.SIGSTOP, signal.SIGKILL])
async def test_ingest_that_is_killed_while_the_broker_is_away_loses_nothing_that_it_was_told(
    tmp_path: Path, fragile_stack: Stack, away: signal.Signals
) -> None:
    """Killed twice: with a spool half full, and started without a broker, before any drain."""
    broker, account = fragile_stack.kafka, f"killed-beside-{away.name.lower()}"
    (trace,) = (each.trace() for each in fragile_stack.brokers)
    assert isinstance(trace, LocalProcess)
    async with TWINS["transak"](seed=8, rate=0) as twin:
        for meanwhile in (lambda: os.kill(trace.pid, away), lambda: None):
            twin.audience.attentive.clear()
            async with ingest(tmp_path, fragile_stack, twin, account) as process:
                async with asyncio.timeout(40):
                    await twin.audience.attentive.wait()
                await twin.storm(100)
                meanwhile()
                await play_on(twin, tmp_path, 200)
                assert process.returncode is None
                process.kill()
                await process.wait()
        sent = [line.sha256 for line in twin.books.lines if line.listeners]
        if away is signal.SIGSTOP:
            os.kill(trace.pid, signal.SIGCONT)
        else:
            broker.start()
        await asyncio.to_thread(broker.until_serving)
        async with ingest(tmp_path, fragile_stack, twin, account):
            await until(
                fragile_stack, "transak", account, lambda records: set(sent) <= {*hashes(records)}
            )
    found = hashes(kept(fragile_stack, "transak", account))
    assert len(sent) == 600
    assert [*dict.fromkeys(each for each in found if each in {*sent})] == [*dict.fromkeys(sent)]


@pytest.mark.timeout(120)
async def test_a_full_disk_stops_reading_and_the_hole_is_marked(
    tmp_path: Path, fragile_stack: Stack
) -> None:
    broker = fragile_stack.kafka
    async with (
        TWINS["transak"](seed=9, rate=0) as twin,
        ingest(tmp_path, fragile_stack, twin, "full-disk") as process,
    ):
        async with asyncio.timeout(40):
            await twin.audience.attentive.wait()
        await twin.storm(50)
        await until_kept(fragile_stack, "transak", "full-disk", 50)
        unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
        broker.kill()
        twin.audience.attentive.clear()
        async with asyncio.timeout(40):
            while twin.audience.listeners:
                await twin.storm(1)
                await asyncio.sleep(0.05)
        assert process.returncode is None
        broker.start()
        await asyncio.to_thread(broker.until_serving)

        async with asyncio.timeout(40):
            await twin.audience.attentive.wait()
        before = len(twin.books.lines)
        await twin.storm(50)
        told = {line.sha256 for line in twin.books.lines[before:]}
        await until(
            fragile_stack, "transak", "full-disk", lambda records: told <= {*hashes(records)}
        )
        assert process.returncode is None
    records = [raw for _, raw in kept(fragile_stack, "transak", "full-disk")]
    marks = [raw for raw in records if raw.kind in {Kind.OPENED, Kind.CLOSED}]
    assert [raw.kind for raw in marks[:3]] == [Kind.OPENED, Kind.CLOSED, Kind.OPENED]
    assert msgspec.json.decode(marks[1].value)["cause"] == "spool_full"


async def test_a_killed_ingest_resumes_behind_the_last_event_that_raw_holds(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    async with TWINS["pepay"](seed=6, rate=0) as twin:
        async with ingest(tmp_path, prepared_stack, twin, "resumed") as process:
            await until(prepared_stack, "pepay", "resumed", is_recovered)
            await twin.storm(100)
            await until(prepared_stack, "pepay", "resumed", lambda told: len(heard(told)) == 100)
            process.kill()
            await process.wait()
        await twin.storm(50)
        async with ingest(tmp_path, prepared_stack, twin, "resumed"):
            await until(prepared_stack, "pepay", "resumed", lambda told: len(heard(told)) >= 150)
        happened = {line.key[0] for line in twin.books.lines}
    ids = heard(kept(prepared_stack, "pepay", "resumed"))
    assert set(ids) == happened
    assert len(ids) == len(happened), "it asked for more than it had missed"


@pytest.mark.timeout(180)
async def test_a_feed_that_can_be_resumed_and_starts_without_a_broker_loses_nothing(
    tmp_path: Path, fragile_stack: Stack
) -> None:
    """Told while nobody listens, while the broker is away, and in between two connections."""
    broker = fragile_stack.kafka
    async with TWINS["pepay"](seed=7, rate=0) as twin:
        async with ingest(tmp_path, fragile_stack, twin, "resumable") as process:
            await until(fragile_stack, "pepay", "resumable", is_recovered)
            await twin.storm(50)
            await until(fragile_stack, "pepay", "resumable", lambda told: len(heard(told)) == 50)
            process.kill()
            await process.wait()
        broker.kill()
        await twin.storm(50)
        twin.audience.attentive.clear()
        async with ingest(tmp_path, fragile_stack, twin, "resumable") as process:
            async with asyncio.timeout(40):
                await twin.audience.attentive.wait()
            await play_on(twin, tmp_path, 50)
            broker.start()
            await asyncio.to_thread(broker.until_serving)
            await twin.storm(50)
            happened = {line.key[0] for line in twin.books.lines}
            await until(fragile_stack, "pepay", "resumable", lambda told: happened <= listed(told))
            process.terminate()
            assert await process.wait() == 0
    assert len(happened) == 200


def listed(records: Records) -> set[str]:
    """The ids of all events that anybody told, the rows of pages too."""
    pages = (
        row["id"]
        for _, raw in records
        if raw.via is Via.BACKFILL and raw.kind is Kind.FRAME
        for row in msgspec.json.decode(raw.value)["data"]["data"]
    )
    return {*heard(records), *pages}


def is_recovered(records: Records) -> bool:
    return any(raw.kind is Kind.RECOVERED for _, raw in records)


def heard(records: Records) -> list[str]:
    """The ids of all events that the socket told."""
    frames = (
        msgspec.json.decode(raw.value)
        for _, raw in records
        if raw.kind is Kind.FRAME and raw.via is Via.SOCKET
    )
    return [frame["id"] for frame in frames if frame["object"] == "event"]


def test_a_missing_topic_is_one_line(tmp_path: Path, lone_stack: Stack) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(
        f'[kafka]\nbootstrap_servers = "{lone_stack.bootstrap_servers}"\n'
        '[ingest]\nhttp = "127.0.0.1:0"\n'
        '[[accounts]]\nprovider = "assetpay"\nname = "main"\nenvironment = "sandbox"\n'
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
    assert "raw.assetpay" in line
    assert "penstock topics apply" in line

"""Workers that come, go, freeze and wake: whoever owns a task, its facts are told once."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from penstock.lag import Lag
from penstock.ports import free
from penstock.reconcile import read_events
from penstock.stack import Stack
from processors.assignor import ByPartitionNumber
from schemas import topics
from tests.end_to_end.raw_writer import RawWriter, invoice

SETTINGS = """
[kafka]
bootstrap_servers = "{servers}"
[registry]
url = "{registry}"
[processors]
application = "{application}"
http = "{http}"
references = {{ id = "r1", key = "env:REFERENCE" }}
"""


class Worker:
    """One processor process."""

    def __init__(self, directory: Path, stack: Stack, application: str) -> None:
        (port,) = free(1)
        self.address = f"127.0.0.1:{port}"
        self.file = directory / f"{port}.toml"
        self.file.write_text(
            SETTINGS.format(
                servers=stack.bootstrap_servers,
                registry=stack.registry_url,
                application=application,
                http=self.address,
            )
        )
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "processors", "--settings", str(self.file)),
            env={"PATH": os.environ["PATH"], "REFERENCE": "test"},
            stderr=asyncio.subprocess.DEVNULL,
        )

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        assert self.process is not None
        async with asyncio.timeout(30):
            return await self.process.wait()

    async def partitions(self) -> list[int]:
        """Return what it owns and has restored, as it says itself."""
        async with httpx.AsyncClient(timeout=2) as client:
            try:
                answer = await client.get(f"http://{self.address}/health/ready")
            except httpx.TransportError:
                return []
        owned: list[int] = answer.json()["partitions"]
        return owned if answer.is_success else []


@asynccontextmanager
async def worker(directory: Path, stack: Stack, application: str) -> AsyncIterator[Worker]:
    one = Worker(directory, stack, application)
    await one.start()
    try:
        yield one
    finally:
        assert one.process is not None
        if one.process.returncode is None:
            one.process.kill()
            await one.process.wait()


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(0.05)


async def read_all(stack: Stack, application: str) -> None:
    """Return when the group has read all of raw."""
    with Lag(stack.connection, application, ["pepay"]) as lag:

        async def nothing_left() -> bool:
            return not await asyncio.to_thread(lag.behind)

        await until(nothing_left)


def told(stack: Stack, writer: RawWriter) -> Counter[str]:
    """Return how often each event of the writer's accounts is on ``events``."""
    events = read_events(stack.connection, stack.registry_url)
    return Counter(event["id"] for event in events if event["account"] in writer.accounts)


@pytest.mark.timeout(120)
async def test_a_worker_that_was_frozen_longer_than_its_session_publishes_nothing(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    application = "frozen"
    writer = RawWriter(prepared_stack, application)
    async with (
        worker(tmp_path, prepared_stack, application) as first,
        worker(tmp_path, prepared_stack, application) as second,
    ):

        async def both_work() -> bool:
            return bool(await first.partitions() and await second.partitions())

        async def the_second_has_all() -> bool:
            return await second.partitions() == [0, 1, 2, 3]

        await until(both_work)
        writer.write(invoice(n) for n in range(100))
        first.send(signal.SIGSTOP)
        writer.write(invoice(n) for n in range(100, 200))
        await until(the_second_has_all)
        await read_all(prepared_stack, application)
        first.send(signal.SIGCONT)
        writer.write(invoice(n) for n in range(150, 300))
        await read_all(prepared_stack, application)
    counts = told(prepared_stack, writer)
    assert len(counts) == 300 * len(writer.accounts)
    assert set(counts.values()) == {1}


@pytest.mark.timeout(120)
async def test_one_then_two_then_one_worker_under_load(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    application = "resized"
    writer = RawWriter(prepared_stack, application)
    async with worker(tmp_path, prepared_stack, application) as first:

        async def the_first_works() -> bool:
            return bool(await first.partitions())

        await until(the_first_works)
        writer.write(invoice(n) for n in range(200))
        async with worker(tmp_path, prepared_stack, application) as second:

            async def shared() -> bool:
                return bool(await first.partitions() and await second.partitions())

            writer.write(invoice(n) for n in range(100, 400))
            await until(shared)
            writer.write(invoice(n) for n in range(300, 500))
            second.send(signal.SIGTERM)
            assert await second.ended() == 0
        await read_all(prepared_stack, application)
    counts = told(prepared_stack, writer)
    assert len(counts) == 500 * len(writer.accounts)
    assert set(counts.values()) == {1}


@pytest.mark.timeout(120)
async def test_a_worker_that_stops_leaves_the_group_no_lag(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    application = "stopped"
    writer = RawWriter(prepared_stack, application)
    async with worker(tmp_path, prepared_stack, application) as one:

        async def all_told() -> bool:
            return len(told(prepared_stack, writer)) == 100 * len(writer.accounts)

        writer.write(invoice(n) for n in range(100))
        await until(all_told)
        one.send(signal.SIGTERM)
        assert await one.ended() == 0
    with Lag(prepared_stack.connection, application, ["pepay"]) as lag:
        assert lag.behind() == 0


async def test_while_an_upgrade_adds_a_topic_no_task_is_split(prepared_stack: Stack) -> None:
    """Two real consumers of one group, of which one knows a topic more."""
    assignments: dict[str, dict[str, set[int]]] = {}

    def consumer(name: str, *subscribed: str) -> AIOKafkaConsumer:
        member = AIOKafkaConsumer(
            bootstrap_servers=prepared_stack.bootstrap_servers,
            group_id="upgrade",
            client_id=name,
            partition_assignment_strategy=[ByPartitionNumber],
            heartbeat_interval_ms=200,
        )
        member.subscribe(list(subscribed))
        return member

    old = consumer("old", topics.raw("pepay"))
    new = consumer("new", topics.raw("pepay"), topics.raw("transak"))
    await old.start()
    await new.start()
    try:

        async def settled() -> bool:
            for name, member in (("old", old), ("new", new)):
                await member.getmany(timeout_ms=50)
                work = assignments[name] = {}
                for at in member.assignment():
                    work.setdefault(at.topic, set()).add(at.partition)
            return not assignments["old"] and len(assignments["new"]) == 2

        await until(settled)
    finally:
        await new.stop()
        await old.stop()
    assert assignments["new"] == {
        topics.raw("pepay"): {0, 1, 2, 3},
        topics.raw("transak"): {0, 1, 2, 3},
    }

"""Two processes for one account: one follows it, the other says why it does not."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penstock.demo_settings import write_settings
from penstock.stack import Stack
from schemas.records import Kind
from tests.end_to_end.test_raw import kept, until_kept
from twins import TWINS
from twins.provider import Provider
from twins.server import Twin

pytestmark = pytest.mark.timeout(120)


def settings(directory: Path, stack: Stack, twin: Twin[Provider], account: str) -> Path:
    directory.mkdir()
    told = {**twin.introduction(), "account": account}
    return write_settings(
        directory / "penstock.toml", stack.bootstrap_servers, stack.registry_url, [told]
    )


@asynccontextmanager
async def replica(
    directory: Path, stack: Stack, twin: Twin[Provider], account: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ingest with a settings file, and so a spool, of its own."""
    file = settings(directory, stack, twin, account)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingest", "--settings", str(file)),
        env={"PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_second_replica_is_refused_and_the_first_goes_on_undisturbed(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    async with TWINS["transak"](seed=1, rate=0) as twin:
        async with replica(tmp_path / "first", prepared_stack, twin, "alone") as first:
            async with asyncio.timeout(40):
                await twin.audience.attentive.wait()
            async with replica(tmp_path / "second", prepared_stack, twin, "alone") as second:
                said, _ = await asyncio.wait_for(second.communicate(), 40)
            assert second.returncode == 3
            assert f":{first.pid} follows transak/alone already" in said.decode()
            await twin.storm(100)
            await until_kept(prepared_stack, "transak", "alone", 100)
            assert first.returncode is None
        records = [raw for _, raw in kept(prepared_stack, "transak", "alone")]
    by_kind = [raw.kind for raw in records]
    assert by_kind.count(Kind.OPENED) == 1
    assert Kind.CLOSED not in by_kind


async def test_of_two_that_start_at_once_one_goes_on(tmp_path: Path, prepared_stack: Stack) -> None:
    async with (
        TWINS["transak"](seed=2, rate=0) as twin,
        replica(tmp_path / "one", prepared_stack, twin, "race") as one,
        replica(tmp_path / "two", prepared_stack, twin, "race") as two,
    ):
        waits = {asyncio.create_task(each.wait()) for each in (one, two)}
        async with asyncio.timeout(40):
            done, left = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [3]
        await twin.storm(50)
        await until_kept(prepared_stack, "transak", "race", 50)
        assert not any(task.done() for task in left)
        for task in left:
            task.cancel()


async def test_a_new_one_takes_over_from_a_killed_one_by_itself(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    async with TWINS["transak"](seed=3, rate=0) as twin:
        async with replica(tmp_path / "first", prepared_stack, twin, "heir") as first:
            async with asyncio.timeout(40):
                await twin.audience.attentive.wait()
            first.kill()
            await first.wait()
        twin.audience.attentive.clear()
        async with replica(tmp_path / "second", prepared_stack, twin, "heir") as second:
            async with asyncio.timeout(40):
                await twin.audience.attentive.wait()
            await twin.storm(100)
            await until_kept(prepared_stack, "transak", "heir", 100)
            assert second.returncode is None


async def test_a_provider_that_tolerates_it_has_two(tmp_path: Path, prepared_stack: Stack) -> None:
    async with (
        TWINS["pepay"](seed=4, rate=0) as twin,
        replica(tmp_path / "one", prepared_stack, twin, "both") as one,
        replica(tmp_path / "two", prepared_stack, twin, "both") as two,
    ):
        async with asyncio.timeout(40):
            while len(twin.audience.listeners) < 2:  # noqa: ASYNC110 - a twin tells of one alone
                await asyncio.sleep(0.05)
        await twin.storm(50)
        await until_kept(prepared_stack, "pepay", "both", 100)
        assert (one.returncode, two.returncode) == (None, None)


async def test_a_frozen_one_is_replaced_and_is_told_so_when_it_thaws(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    async with (
        TWINS["transak"](seed=5, rate=0) as twin,
        replica(tmp_path / "first", prepared_stack, twin, "frozen") as first,
    ):
        async with asyncio.timeout(40):
            await twin.audience.attentive.wait()
        # Once raw has its mark, it has had its lease, too, on a broker that does not delay.
        await twin.storm(10)
        await until_kept(prepared_stack, "transak", "frozen", 10)
        first.send_signal(signal.SIGSTOP)
        twin.audience.attentive.clear()
        async with replica(tmp_path / "second", prepared_stack, twin, "frozen") as second:
            async with asyncio.timeout(40):
                await twin.audience.attentive.wait()
            first.send_signal(signal.SIGCONT)
            said, _ = await asyncio.wait_for(first.communicate(), 40)
            assert first.returncode == 3
            assert f":{second.pid} follows transak/frozen already" in said.decode()
            assert second.returncode is None

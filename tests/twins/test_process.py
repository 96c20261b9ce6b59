import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.twins.clients import PATIENCE_S, ending, frame, pepay, posted, texts


@asynccontextmanager
async def twin(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "twins",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def introduction(process: asyncio.subprocess.Process) -> dict[str, str]:
    assert process.stdout
    async with asyncio.timeout(PATIENCE_S):
        told: dict[str, str] = json.loads(await process.stdout.readline())
    return told


async def test_a_process_introduces_itself_keeps_books_and_stops_cleanly(tmp_path: Path) -> None:
    books = tmp_path / "books.jsonl"
    async with twin("pepay", "--rate", "500", "--facts", "100", "--books", str(books)) as process:
        told = await introduction(process)
        assert told["name"] == "pepay"
        headers = {"x-commerce-api-key": told["api_key"]}
        async with pepay(told["url"], "", headers) as listener:
            await texts(listener, 100)
            _, summary = await posted(f"{told['control_url']}/twin/quiet", {})
            process.send_signal(signal.SIGTERM)
            assert await ending(listener) == 1006
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0
    lines = [json.loads(line) for line in books.read_text().splitlines()]
    heard = {tuple(line["key"]) for line in lines if line["kind"] == "fact" and line["listeners"]}
    assert len(heard) == summary["told"] == summary["facts"] > 50
    assert summary["damaged"] == sum(line["kind"] == "damaged" for line in lines)


async def test_a_killed_process_leaves_every_line_of_what_was_heard(tmp_path: Path) -> None:
    books = tmp_path / "books.jsonl"
    async with twin("pepay", "--rate", "2000", "--books", str(books), "--damage", "0") as process:
        told = await introduction(process)
        async with pepay(told["url"]) as listener:
            heard = [(await frame(listener))["id"] for _ in range(200)]
            process.kill()
            await process.wait()
    booked = {json.loads(line)["key"][0] for line in books.read_text().splitlines()}
    assert set(heard) <= booked


async def test_a_taken_port_is_one_line_and_code_two() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with twin("transak", "--port", str(port)) as process:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, out) == (2, b"")
    assert err.decode().count("\n") == 1
    assert f"port {port}" in err.decode()


@pytest.mark.parametrize(
    "arguments",
    [("pepay", "--books", "/no/such/folder/books"), ("nobody",), ("pepay", "--damage", "2")],
)
async def test_bad_arguments_are_said_and_code_two(arguments: tuple[str, ...]) -> None:
    async with twin(*arguments) as process:
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 2
    assert b"Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
async def test_a_full_disk_ends_the_process_with_one_line() -> None:
    async with twin("pepay", "--books", "/dev/full", "--no-start-when-connected") as process:
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 2
    assert err.decode().count("\n") == 1
    assert "/dev/full" in err.decode()


async def test_help_shows_an_example() -> None:
    async with twin("--help") as process:
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert b"example:" in out

"""Our two programs as processes, and where they say that they listen."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

REFERENCE_KEY = "planted-reference-key-0123456789"


@asynccontextmanager
async def program(
    name: str, settings: Path, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``python -m <name>``; everything that it prints is in the log."""
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", name, "--settings", str(settings)),
            env={"PATH": os.environ["PATH"], "PENSTOCK_REFERENCE_KEY": REFERENCE_KEY},
            stdout=said,
            stderr=said,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def listening(log: Path) -> str:
    """Return the address of a program's metrics and probes; empty until it has one."""
    found = re.findall(r'"address": ?"([^"]+)"', log.read_text())
    return str(found[0]) if found else ""


def asked(address: str, page: str) -> str:
    return httpx.get(f"http://{address}/{page}", timeout=5).text


def is_ready(address: str) -> bool:
    if not address:
        return False
    try:
        return httpx.get(f"http://{address}/health/ready", timeout=5).is_success
    except httpx.TransportError:
        return False


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(holds):
            pass

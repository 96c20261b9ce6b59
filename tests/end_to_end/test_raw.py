"""From a provider's socket to raw: byte for byte, in order, with marks around it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from confluent_kafka import Message

from penstock.demo_settings import write_settings
from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from schemas.codec import raw_record
from schemas.records import Kind, Raw, Via
from twins import TWINS
from twins.faults import Faults
from twins.provider import Provider
from twins.server import Twin


@asynccontextmanager
async def ingest(
    directory: Path, stack: Stack, twin: Twin[Provider], account: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    told = {**twin.introduction(), "account": account}
    file = write_settings(
        directory / "penstock.toml", stack.bootstrap_servers, stack.registry_url, [told]
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingest", "--settings", str(file)),
        env={"PATH": os.environ["PATH"]},
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
    def enough(records: list[tuple[Message, Raw]]) -> bool:
        return sum(raw.kind is Kind.FRAME for _, raw in records) >= frames

    await until(stack, provider, account, enough)


async def until(
    stack: Stack, provider: str, account: str, holds: Callable[[list[tuple[Message, Raw]]], bool]
) -> None:
    async with asyncio.timeout(60):
        while not holds(await asyncio.to_thread(kept, stack, provider, account)):
            pass


def hashes(records: list[tuple[Message, Raw]]) -> list[str]:
    return [sha256(raw.value).hexdigest() for _, raw in records if raw.kind is Kind.FRAME]


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
        await until(
            prepared_stack, twin.name, account, lambda records: set(sent) <= {*hashes(records)}
        )
        process.terminate()
        assert await process.wait() == 0
    records = kept(prepared_stack, twin.name, account)
    # Of readings without an identity, and of what is polled, a twin keeps no books; and
    # where a frame tells several facts, it has a line for each.
    booked = dict.fromkeys(sent)
    assert [*dict.fromkeys(told for told in hashes(records) if told in booked)] == [*booked]
    by_socket = [raw for _, raw in records if raw.via is Via.SOCKET]
    assert by_socket[0].kind is Kind.OPENED
    assert by_socket[-1].kind is Kind.CLOSED
    assert b'"stopped"' in by_socket[-1].value
    assert [raw.sequence for raw in by_socket] == list(range(len(by_socket)))
    assert {raw.connection for raw in by_socket} == {by_socket[0].connection}
    assert {message.partition() for message, _ in records} == {topics.partition_of(account, 4)}
    assert all(message.timestamp()[1] == raw.received_at // 1000 for message, raw in records), (
        "the timestamp of a raw record is when its frame was received"
    )

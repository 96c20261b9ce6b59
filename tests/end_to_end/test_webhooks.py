"""From a provider's webhooks to raw: what was answered 2xx is in Kafka, byte for byte."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from penstock.demo_settings import write_settings
from penstock.ports import free
from penstock.stack import Stack
from schemas.records import Kind, Via
from tests.end_to_end.test_raw import hashes, kept
from twins import TWINS
from twins.faults import Faults
from twins.provider import Provider
from twins.server import Twin

ACCOUNT = "delivered"


@asynccontextmanager
async def ingest(
    directory: Path, stack: Stack, twin: Twin[Provider]
) -> AsyncIterator[asyncio.subprocess.Process]:
    told = {**twin.introduction(), "account": ACCOUNT}
    file = directory / "penstock.toml"
    write_settings(file, stack.bootstrap_servers, stack.registry_url, [told])
    (port,) = free(1)
    address = f"127.0.0.1:{port}"
    (directory / "webhook-key").write_text(told["webhook_key"])
    with file.open("a") as more:
        more.write(
            f'webhook = {{}}\nkeys = {{ w1 = "file:{directory / "webhook-key"}" }}\n'
            f'[ingest.webhooks]\naddress = "{address}"\n'
        )
    twin.courier.url = f"http://{address}/webhooks/{twin.name}/{ACCOUNT}"
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


async def test_what_was_answered_is_in_kafka(tmp_path: Path, prepared_stack: Stack) -> None:
    faults = Faults(duplicate=0.1, forged=0.2, old=0.2)
    async with (
        TWINS["pepay"](seed=3, rate=0, faults=faults) as twin,
        ingest(tmp_path, prepared_stack, twin) as process,
    ):
        async with asyncio.timeout(30):
            await twin.audience.attentive.wait()  # By then the door is open, too.
        await twin.storm(200)
        summary = await twin.quiet()
        records = kept(prepared_stack, twin.name, ACCOUNT)
        forged = summary.faults["forged webhook"] + summary.faults["old webhook"]
        assert twin.courier.refused == forged > 0, "all that is genuine was taken at once"
        assert (await posted(twin.courier.url or "")).status == 401
        process.terminate()
        assert await process.wait() == 0
    by_webhook = [(message, raw) for message, raw in records if raw.via is Via.WEBHOOK]
    told = [line.sha256 for line in twin.books.lines if line.fault == "webhook"]
    assert sorted(hashes(by_webhook)) == sorted(filter(None, told))
    assert [raw.sequence for _, raw in by_webhook] == list(range(len(told)))
    for message, raw in by_webhook:
        assert (raw.kind, raw.route, message.key()) == (Kind.FRAME, "webhook", ACCOUNT.encode())
        assert raw.signature.keys() == {"x-pepay-timestamp", "x-pepay-signature"}


async def posted(url: str) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as http, http.post(url, data=b"{}") as response:
        return response

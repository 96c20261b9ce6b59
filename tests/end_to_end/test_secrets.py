"""Credentials planted in the real programs: refused or not, nothing that they write tells them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from ingest.feeds import FEEDS
from penstock.demo_settings import write_settings
from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas.topics import all_topics
from tests.end_to_end.programs import REFERENCE_KEY, asked, is_ready, listening, program, until
from twins import TWINS

ACCOUNT: Final = "planted"
REFUSED: Final = {"assetpay", "pepay", "satoriex"}
"""Who judges a credential: to Paymium and Transak it is the name of a channel."""
PAGES: Final = ("metrics", "health/live", "health/ready")


def planted(provider: str) -> Mapping[str, str]:
    """Return a credential of every name, and the key that would verify, none of them good."""
    feed = FEEDS[provider]
    names = (*feed.credentials, *(feed.rest.needs if feed.rest else ()), "access_token")
    return {name: f"planted-{provider}-{name}-0123456789" for name in names}


@pytest.mark.timeout(120)
async def test_no_credential_is_in_anything_that_is_written(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    logs = {name: tmp_path / f"{name}.log" for name in ("ingest", "processors")}
    async with AsyncExitStack() as stack:
        twins = [await stack.enter_async_context(make(rate=0)) for make in TWINS.values()]
        told = [{**twin.introduction(), "account": ACCOUNT, **planted(twin.name)} for twin in twins]
        settings = write_settings(
            tmp_path / "penstock.toml",
            prepared_stack.bootstrap_servers,
            prepared_stack.registry_url,
            told,
        )
        for name, log in logs.items():
            await stack.enter_async_context(program(name, settings, log))
        await until(lambda: is_ready(listening(logs["processors"])))
        await until(lambda: refused(listening(logs["ingest"])) == REFUSED)
        for twin in twins:
            await twin.storm(5)
            await twin.garbage()
            await twin.close(1008)
        pages = [asked(listening(log), page) for log in logs.values() for page in PAGES]
    written = [*pages, *(log.read_text() for log in logs.values()), *beside_frames(prepared_stack)]
    secrets = [REFERENCE_KEY, *(one for name in TWINS for one in planted(name).values())]
    assert not [secret for secret in secrets if any(secret in text for text in written)]


def refused(address: str) -> set[str]:
    """Return the providers whose feed was stopped, as the metrics say."""
    found = re.findall(
        r'penstock_ingest_refused{account="planted",provider="(\w+)"} 1', asked(address, PAGES[0])
    )
    return set(found)


def beside_frames(stack: Stack) -> Iterator[str]:
    """Yield every record of every topic; of what a provider said, all but its own bytes."""
    for topic in all_topics(TWINS, partitions=stack.partitions):
        for message in whole(stack.connection, topic.name):
            headers = message.headers() or []
            value = b"" if ("kind", b"frame") in headers else message.value()
            yield repr((message.key(), headers, value))

"""A day of every provider in a minute: what lasts hours there lasts seconds here, on a real clock.

Tokens end, deploys throw everybody out, credentials are replaced while they are in use, and
nobody is there to help. A token of a day lives a minute. What 1,440 would make shorter than
the provider's own limits allow lives as long as they do: SatoriEx lets one refresh 20 times a
minute, so its quarter of an hour is 8 s; a ws_token of Pepay, good for one dial, has 2 s.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from penstock.demo_settings import write_settings
from penstock.lag import Lag
from penstock.preparation import prepare
from penstock.reconcile import read_books, reconcile
from penstock.stack import Stack, local_stack
from tests.end_to_end.programs import is_ready, listening, program, until
from twins import TWINS
from twins.server import Twin

DAY_S: Final = 60.0
RATE: Final = 15.0
ACCOUNT: Final = "day"
OVERLAP_S: Final = 12.0
"""Half of it until an operator has written the new one into its file."""
LIVES: Final[Mapping[str, Mapping[str, Any]]] = {
    "pepay": {"token_lives_s": 2.0},
    "satoriex": {"token_lives_s": 8.0, "cuts": True},
}
OPTIONS: Final = {"pepay": {"options": 'auth = "token"'}}
ROTATED: Final = {"assetpay": "api_key", "pepay": "api_key", "satoriex": "password"}
"""Whose credentials are replaced; Paymium's and Transak's name a channel, and have no successor."""

Step = Callable[[Twin[Any]], Awaitable[object]]


async def deploy(twin: Twin[Any]) -> None:
    """Throw everybody out, each provider in its own way."""
    match twin.name:
        case "assetpay":
            await twin.provider.deploy()
        case "pepay" | "satoriex":
            await twin.close(1001)
        case "transak":
            await twin.close(4200)
        case _:
            await twin.drop()


async def restart(twin: Twin[Any]) -> None:
    await twin.restart(1.5)


async def expire(twin: Twin[Any]) -> None:
    """End what ends by itself there; a channel of Paymium's never does."""
    if twin.name != "paymium":
        await twin.expire_token()


async def forget_logins(twin: Twin[Any]) -> None:
    """Let the tokens of before the rotation buy nothing."""
    if twin.name == "satoriex":
        twin.provider.tokens.forget()
    await twin.expire_token() if twin.name == "pepay" else await deploy(twin)


STEPS: Final[tuple[tuple[float, Step], ...]] = (
    (8.0, deploy),
    (14.0, expire),
    (20.0, restart),
    (34.0, forget_logins),
    (42.0, deploy),
    (50.0, expire),
)
ROTATED_AT: Final = 21.0


async def live(twin: Twin[Any], secrets: Path) -> None:
    """Let a day pass at one provider."""
    began = asyncio.get_running_loop().time()
    steps = [*STEPS, (ROTATED_AT, rotation(secrets))]
    for at, step in sorted(steps, key=lambda each: each[0]):
        await asyncio.sleep(began + at - asyncio.get_running_loop().time())
        await step(twin)
    await asyncio.sleep(began + DAY_S - asyncio.get_running_loop().time())


def rotation(secrets: Path) -> Step:
    async def rotate(twin: Twin[Any]) -> None:
        if wanted := ROTATED.get(twin.name):
            credential = twin.provider.password if twin.name == "satoriex" else twin.provider.key
            successor = secrets / f"{twin.name}-successor"
            successor.write_text(credential.replace(OVERLAP_S))
            await asyncio.sleep(OVERLAP_S / 2)
            successor.rename(secrets / f"{twin.name}-{ACCOUNT}-{wanted}")

    return rotate


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    with local_stack(tmp_path / "stack", partitions=4) as stack:
        prepare(stack, TWINS)
        yield stack


@pytest.mark.timeout(180)
async def test_nobody_is_needed_and_what_was_not_heard_lies_in_a_hole(
    tmp_path: Path, own_stack: Stack
) -> None:
    async with AsyncExitStack() as stack:
        twins = [
            await stack.enter_async_context(
                make(
                    seed=7,
                    rate=RATE,
                    account=ACCOUNT,
                    books=tmp_path / f"{name}.jsonl",
                    **LIVES.get(name, {}),
                )
            )
            for name, make in TWINS.items()
        ]
        told = [{**twin.introduction(), **OPTIONS.get(twin.name, {})} for twin in twins]
        settings = write_settings(
            tmp_path / "penstock.toml", own_stack.bootstrap_servers, own_stack.registry_url, told
        )
        ingest = await stack.enter_async_context(
            program("ingest", settings, tmp_path / "ingest.log")
        )
        await stack.enter_async_context(
            program("processors", settings, tmp_path / "processors.log")
        )
        async with asyncio.timeout(30):
            await asyncio.gather(*(twin.audience.attentive.wait() for twin in twins))
        await asyncio.gather(*(live(twin, tmp_path / "secrets") for twin in twins))
        await until(lambda: is_ready(listening(tmp_path / "ingest.log")))
        await asyncio.gather(*(twin.quiet() for twin in twins))
        await until(lambda: is_drained(own_stack))
        assert ingest.returncode is None
        said = (tmp_path / "ingest.log").read_text()
        assert '"refused: this feed is stopped"' not in said, said
    found = await asyncio.to_thread(
        reconcile,
        read_books(tmp_path / f"{name}.jsonl" for name in TWINS),
        own_stack.connection,
        own_stack.registry_url,
        TWINS,
    )
    assert found.holds, [str(found), *found.complaints()]
    assert found.missed > 0, "nobody was away"


def is_drained(stack: Stack) -> bool:
    """Return whether everything in raw was read, and nothing came meanwhile."""
    with Lag(stack.connection, "penstock", TWINS) as lag:
        before = lag.ends()
        return lag.behind() == 0 and lag.ends() == before

"""Certifying a provider's connector: all its cases, side by side against twins of their own."""

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from ingest import settings
from ingest.feeds import feed_of
from penstock.certification import CASES
from penstock.certification.case import Case, Peer
from penstock.certification.watch import Failed, NotRun
from penstock.demo_settings import secret_file
from twins import TWINS

_LONGEST: Final = 110.0
"""Seconds for one case, whatever it waits for."""
_AT_A_TIME: Final = 8
"""Cases that are mostly waiting: more of them would be late for each other's limits."""
_COMMANDS: Final = "only a twin can be told to do this"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one case."""

    id: int
    name: str
    passed: bool | None
    """None: it could not be judged here."""
    seconds: float
    detail: str


async def against_twins(provider: str, done: Callable[[Result], None]) -> list[Result]:
    """Play every case of a provider, several at a time, each against a twin of its own."""
    stages = asyncio.Semaphore(_AT_A_TIME)
    with TemporaryDirectory(prefix="penstock-certify-") as directory:

        async def played(number: int, case: Case) -> Result:
            own = Path(directory, str(number))
            async with stages:
                result = await _judged(number, case, lambda: _with_twin(provider, case, own))
            done(result)
            return result

        numbered = list(enumerate(CASES[provider], start=1))
        numbered.sort(key=lambda each: not each[1].takes_long)
        results = await asyncio.gather(*(played(number, case) for number, case in numbered))
        return sorted(results, key=lambda result: result.id)


async def against(account: settings.Account, done: Callable[[Result], None]) -> list[Result]:
    """Play the cases that command nobody against a server, one after the other."""
    results = []
    with TemporaryDirectory(prefix="penstock-certify-") as directory:
        peer = Peer(account, None, Path(directory))
        for number, case in enumerate(CASES[account.provider], start=1):
            results.append(await _judged(number, case, lambda: nullcontext(peer)))
            done(results[-1])
    return results


@asynccontextmanager
async def _with_twin(provider: str, case: Case, directory: Path) -> AsyncIterator[Peer]:
    """Start a twin, and give the account that it introduces, as a settings file would."""
    async with TWINS[provider](rate=0, account=case.account, **case.terms) as twin:
        told = twin.introduction()
        credentials = {
            name: f"file:{secret_file(directory, name, told[name])}"
            for name in feed_of(provider, case.account).credentials | case.credentials
        }
        account = settings.Account(
            provider=provider,
            name=case.account,
            environment="sandbox",
            url=twin.url,
            credentials=credentials,
            options={**tomllib.loads(told.get("options", "")), **case.options},
        )
        yield Peer(account, twin, directory)


async def _judged(
    number: int, case: Case, peer: Callable[[], AbstractAsyncContextManager[Peer]]
) -> Result:
    began = monotonic()
    try:
        passed, detail = await _verdict(case, peer)
    except TimeoutError:
        passed, detail = False, f"expected an end within {_LONGEST:g} s"
    seconds = round(monotonic() - began, 2)
    return Result(id=number, name=case.name, passed=passed, seconds=seconds, detail=detail)


async def _verdict(
    case: Case, entered: Callable[[], AbstractAsyncContextManager[Peer]]
) -> tuple[bool | None, str]:
    async with asyncio.timeout(_LONGEST), entered() as peer:
        if case.commands and peer.twin is None:
            return None, _COMMANDS
        try:
            return True, await case.play(peer)
        except Failed as failed:
            return False, str(failed)
        except NotRun as reason:
            return None, str(reason)

"""``python -m ingest --settings FILE [--provider NAME …]``.

Exit codes: 0 stopped as asked, 1 something failed, 2 the settings, 3 every feed was refused.
"""

import argparse
import asyncio
import logging
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import structlog
from aiohttp import web

from ingest import probes, settings, webhooks, wire
from ingest.backoff import Budget
from ingest.credentials import KeyRing
from ingest.errors import AllRefused, OperatorError, SettingsError
from ingest.feed import Refused
from ingest.feeds import FEEDS, WEBHOOKS, feed_of
from ingest.key_log import KeyLog
from ingest.lease import Lease
from ingest.metrics import Metrics
from ingest.open_entities import OpenEntities
from ingest.patience import Patience
from ingest.raw_log import RawLog
from ingest.supervision import Supervision
from ingest.turns import Turn
from ingest.webhooks import Door, Entrance
from schemas.connection import Connection
from schemas.records import SigningKey

_GRACE = 15.0
"""Seconds from the signal to the last acknowledgement."""

_log = structlog.get_logger()


def main() -> None:
    """Run until a signal, or until something ends it."""
    sys.excepthook = _one_line
    arguments = _arguments()
    _set_up_logging()
    try:
        told = settings.load(arguments.settings, arguments.webhooks)
        accounts = settings.chosen(told, arguments.provider)
        asyncio.run(_run(told, told.connection(), accounts))
    except OperatorError as error:
        _leave(str(error), error.exit_code)


async def _run(
    told: settings.Settings, kafka: Connection, accounts: tuple[settings.Account, ...]
) -> None:
    for account in accounts:
        _check(account)
    sealed_with = told.sealed_with() if any(map(settings.mints, accounts)) else None
    metrics, progress = Metrics(), probes.Progress()
    rings = _rings(accounts)
    entrances = _entrances(accounts, rings, metrics)
    door = Door(entrances, metrics.stranger)
    async with AsyncExitStack() as stack:
        host, _, port = told.ingest.http.rpartition(":")
        app = probes.application(metrics, progress)
        runner, address = await probes.serve(app, host, int(port))
        stack.push_async_callback(runner.cleanup)
        _log.info("listening", address=address)
        raw_log = RawLog(kafka, metrics, told.ingest.spool)
        stack.push_async_callback(raw_log.abandon)
        opens = OpenEntities(kafka, _looking_up(accounts))
        stack.push_async_callback(opens.stop)
        keys = None if sealed_with is None else KeyLog(kafka, sealed_with, _letting_in(rings))
        feeds = _supervisions(accounts, raw_log, opens, keys, metrics, progress)
        for feed in feeds:
            if not feed.feed.replicas:
                feed.lease = Lease(kafka, feed.settings.provider, feed.settings.name)
        hears = {str(feed.settings): feed.hear for feed in feeds}
        for entrance in entrances:
            entrance.heard = hears[f"{entrance.provider}/{entrance.account}"]
        if entrances and told.ingest.webhooks:
            stack.push_async_callback((await _listen(door, told.ingest.webhooks)).cleanup)
        await _until_stopped(feeds, raw_log, opens, door)


def _check(account: settings.Account) -> None:
    """Read the secrets and the options once, so that a mistake shows before anything starts."""
    try:
        feed_of(account.provider, account.name).check(account.with_secrets())
    except ValueError as error:
        raise SettingsError(f"account {account}: options: {error}") from error


def _looking_up(accounts: tuple[settings.Account, ...]) -> set[str]:
    """Return the providers that are asked about what is open."""
    rests = ((a.provider, feed_of(a.provider, a.name).rest) for a in accounts)
    return {provider for provider, rest in rests if rest and rest.looks_up}


def _rings(accounts: tuple[settings.Account, ...]) -> Mapping[str, KeyRing]:
    """Return the verification keys of every account that takes webhooks."""
    return {
        str(account): KeyRing(account.keys, f"account {account}, keys")
        for account in accounts
        if account.webhook is not None
    }


def _entrances(
    accounts: tuple[settings.Account, ...], rings: Mapping[str, KeyRing], metrics: Metrics
) -> list[Entrance]:
    return [
        Entrance(
            provider=account.provider,
            account=account.name,
            environment=account.environment,
            webhook=WEBHOOKS[account.provider],
            ring=rings[str(account)],
            metrics=metrics.deliveries(account.provider, account.name),
            is_whole=partial(_is_whole, account, rings[str(account)]),
        )
        for account in accounts
        if account.webhook is not None
    ]


def _is_whole(account: settings.Account, ring: KeyRing) -> bool:
    """Return whether we know what the provider signs with: tokens come from ``keys``."""
    return ring.has_minted or not settings.mints(account)


def _letting_in(rings: Mapping[str, KeyRing]) -> Callable[[SigningKey], None]:
    """Return who tells the door of a minted key: deliveries are signed with it too."""

    def heard(key: SigningKey) -> None:
        if ring := rings.get(f"{key.provider}/{key.account}"):
            ring.add(key.key_id, key.token)

    return heard


async def _listen(door: Door, told: settings.Webhooks) -> web.ServerRunner:
    host, _, port = told.address.rpartition(":")
    runner, address = await webhooks.serve(door, host, int(port))
    _log.info("taking webhooks", door=address)
    return runner


def _supervisions(  # noqa: PLR0913, PLR0917 - what all feeds of a process share
    accounts: tuple[settings.Account, ...],
    raw_log: RawLog,
    opens: OpenEntities,
    keys: KeyLog | None,
    metrics: Metrics,
    progress: probes.Progress,
) -> list[Supervision]:
    budgets: defaultdict[str, Budget] = defaultdict(Budget)
    turns: defaultdict[str, Turn] = defaultdict(Turn)
    return [
        Supervision(
            settings=account,
            feed=feed_of(account.provider, account.name),
            dial=wire.dial,
            raw_log=raw_log,
            metrics=metrics.of(account.provider, account.name),
            progress=progress,
            budgets=budgets,
            turns=turns,
            opens=opens,
            keys=keys,
        )
        for account in accounts
    ]


async def _until_stopped(
    feeds: list[Supervision], raw_log: RawLog, opens: OpenEntities, door: Door
) -> None:
    """Start the raw log, follow the feeds, and leave with everything acknowledged."""
    starting = Patience()

    def stop() -> None:
        for patience in (starting, *(feed.patience for feed in feeds)):
            patience.stop()
        loop.call_later(_GRACE, work.cancel)

    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(_work(feeds, raw_log, opens, door, starting))
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop)
    done, _ = await asyncio.wait({work, raw_log.failed}, return_when=asyncio.FIRST_COMPLETED)
    if work not in done:
        work.cancel()
        await asyncio.wait({work})
        raw_log.failed.result()
    if work.cancelled():
        raise OperatorError(
            f"raw did not acknowledge everything in {_GRACE:.0f} s; look at the broker"
        )
    work.result()


async def _work(
    feeds: list[Supervision],
    raw_log: RawLog,
    opens: OpenEntities,
    door: Door,
    starting: Patience,
) -> None:
    accounts = [(feed.settings.provider, feed.settings.name) for feed in feeds]
    await starting.wait(raw_log.start(accounts))
    opening = asyncio.create_task(opens.start())
    opening.add_done_callback(partial(_pass_on, raw_log.failed))
    if raw_log.reached.is_set():
        await starting.wait(asyncio.wait({opening}))
    if starting.stopped:
        opening.cancel()
        return
    door.admit(raw_log)
    _log.info("following", feeds=[str(feed.settings) for feed in feeds])
    ends = await _followed(feeds, opens, opening)
    door.shut()
    await raw_log.close()
    if all(ends):
        raise AllRefused("every feed was refused; see the lines above, change it, then start again")
    _log.info("stopped")


async def _followed(
    feeds: list[Supervision], opens: OpenEntities, opening: asyncio.Task[None]
) -> list[Refused | None]:
    keeping_up = asyncio.create_task(_kept_up(opens, opening))
    try:
        return await asyncio.gather(*(feed.run() for feed in feeds))
    finally:
        keeping_up.cancel()
        await asyncio.wait({keeping_up})


async def _kept_up(opens: OpenEntities, opening: asyncio.Task[None]) -> None:
    await opening
    await opens.follow()


def _pass_on(failed: asyncio.Future[None], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) and not failed.done():
        failed.set_exception(error)


# ---- what the operator sees ----------------------------------------------------------


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="penstock-ingest", description=__doc__)
    parser.add_argument("--settings", type=Path, help="the settings file (penstock.toml)")
    parser.add_argument(
        "--provider",
        action="append",
        default=[],
        choices=sorted(FEEDS),
        help="follow this provider's accounts alone; may be repeated",
    )
    parser.add_argument(
        "--webhooks",
        metavar="HOST:PORT",
        help="take webhooks there, not where the settings say: for several processes on one host",
    )
    return parser.parse_args()


class _Forward(logging.Handler):
    """Libraries' warnings, in the form of our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.warning(record.getMessage(), logger=record.name)


def _set_up_logging() -> None:
    human = sys.stdout.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()])
    # It repeats itself ten times a second while a broker is away; raw_log says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _leave(line: str, code: int) -> NoReturn:
    sys.stderr.write(f"penstock-ingest: {line}\n")
    sys.exit(code)


def _one_line(
    kind: type[BaseException], _error: BaseException, trace: TracebackType | None
) -> None:
    """Say where something unexpected happened; its text could hold what must not be shown."""
    frames = traceback.extract_tb(trace)
    where = (
        f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    )
    sys.stderr.write(f"penstock-ingest: unexpected {kind.__name__} at {where}; please report it\n")


if __name__ == "__main__":
    main()

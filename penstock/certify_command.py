"""``penstock certify``: what a connector must do, case by case, against a twin or a server."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ingest import settings
from ingest.errors import OperatorError as IngestError
from ingest.feeds import FEEDS, feed_of
from penstock import certify
from penstock.addresses import SettingsOption
from penstock.certification import CASES
from penstock.certification.scene import note_line
from penstock.errors import OperatorError
from penstock.settings import environment

_DEFAULT_FILE: Final = Path("penstock.toml")
_SHOWN: Final = {True: "[green]pass[/]", False: "[red bold]FAIL[/]", None: "[yellow]not run[/]"}


class _Report(msgspec.Struct, frozen=True):
    """What ``--json`` prints."""

    provider: str
    cases: list[certify.Result]


def command(
    provider: Annotated[str, typer.Argument(help=f"One of {', '.join(sorted(FEEDS))}.")],
    url: Annotated[
        str | None, typer.Option(help="A server of your own, ws:// or wss://; else a twin.")
    ] = None,
    account: Annotated[
        str, typer.Option(help="Whose credentials and options, with --url.")
    ] = "main",
    file: SettingsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,  # noqa: FBT002
) -> None:
    """Put a provider's connector through every case, and judge what reaches raw.

    Without --url each case has a twin of its own, and several are played at a time. With it,
    those that must command the peer are not run; credentials are those of the settings file, or of
    variables such as PENSTOCK_API_KEY where there is none. Exit code 1 if a case failed.
    """
    if provider not in CASES:
        raise OperatorError(f"no provider {provider!r}: choose one of {', '.join(sorted(CASES))}")
    _hush()
    console = Console(stderr=True)
    followed = _account(provider, account, url, file) if url else None
    with Progress(
        TextColumn("certifying {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task(provider, total=len(CASES[provider]))
        results = asyncio.run(_played(provider, followed, lambda _: progress.advance(bar)))
    if as_json:
        typer.echo(msgspec.json.encode(_Report(provider, results)).decode())
    else:
        _show(provider, results)
    raise typer.Exit(1 if any(result.passed is False for result in results) else 0)


async def _played(
    provider: str, account: settings.Account | None, done: Callable[[certify.Result], None]
) -> list[certify.Result]:
    if account is None:
        return await certify.against_twins(provider, done)
    return await certify.against(account, done)


def _account(provider: str, name: str, url: str, file: Path | None) -> settings.Account:
    """Return whom to follow at that address; its secrets are there, or it is said at once."""
    try:
        told = _told(provider, name, file)
        account = settings.Account.model_validate({**told.model_dump(), "url": url})
        feed_of(provider, name).check(account.with_secrets())
    except IngestError as error:
        raise OperatorError(str(error)) from error
    except ValidationError as error:
        raise OperatorError(f"--url {url}: {error.errors(include_url=False)[0]['msg']}") from error
    except ValueError as error:
        raise OperatorError(f"account {provider}/{name}: options: {error}") from error
    return account


def _told(provider: str, name: str, file: Path | None) -> settings.Account:
    """Return the account as the settings file has it, or as variables of its own tell it."""
    path = file or environment().settings
    if path is None and not _DEFAULT_FILE.is_file():
        wanted = feed_of(provider, name).credentials
        credentials = {each: f"env:PENSTOCK_{each.upper()}" for each in wanted}
        return settings.Account(
            provider=provider, name=name, environment="sandbox", credentials=credentials
        )
    accounts = settings.chosen(settings.load(path), (provider,))
    for account in accounts:
        if account.name == name:
            return account
    known = ", ".join(account.name for account in accounts)
    raise OperatorError(f"no account {provider}/{name}: choose one of {known} with --account")


def _hush() -> None:
    """Let the table speak: what the connector says is in the details of what failed."""
    structlog.configure(processors=[note_line])


def _show(provider: str, results: list[certify.Result]) -> None:
    table = Table("", "case", "", "seconds", "what was seen", box=None)
    for result in results:
        table.add_row(
            str(result.id),
            result.name,
            _SHOWN[result.passed],
            f"{result.seconds:.1f}",
            result.detail,
        )
    console = Console()
    console.print(table)
    passed, failed = (sum(r.passed is is_ for r in results) for is_ in (True, False))
    rest = len(results) - passed - failed
    console.print(f"{provider}: {passed} passed, {failed} failed, {rest} not run")

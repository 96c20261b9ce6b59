"""``penstock gaps``: what we may have missed, per account and day."""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from penstock.addresses import (
    Named,
    RegistryOption,
    ServersOption,
    SettingsOption,
    StackOption,
    kafka,
    registry_url,
)
from penstock.avro_records import Records
from penstock.gaps import CLOSED, OPEN, WHOLE, Day, Hole, Span, days, holes
from penstock.topic_reader import whole
from schemas import topics
from schemas.connection import Connection
from schemas.records import Coverage
from schemas.times import millis_text

OpenOption = Annotated[
    bool, typer.Option("--open", help="Only days in which something may be missing.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per day.")]
DayOption = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day, in UTC.")]


def command(  # noqa: PLR0913, PLR0917 - one for each option
    servers: ServersOption = None,
    registry: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    provider: Annotated[str | None, typer.Option(help="Of this provider only.")] = None,
    account: Annotated[str | None, typer.Option(help="Of this account only.")] = None,
    since: DayOption = None,
    until: DayOption = None,
    open_only: OpenOption = False,  # noqa: FBT002 - a flag
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """List holes per account and day: when we could not hear, and what read it back.

    Exit code 1 if something may be missing, 0 if every hole was closed.
    """
    records = _records(
        kafka(Named(servers, stack, settings)), registry_url(Named(registry, stack, settings))
    )
    found = [
        day
        for day in days(holes(records), time.time_ns() // 1000)
        if provider in (None, day.provider)
        and account in (None, day.account)
        and (since is None or day.day >= since.date())
        and (until is None or day.day <= until.date())
        and (day.missing or not open_only)
    ]
    _print_json(found) if as_json else _print_table(found)
    if any(day.missing for day in found):
        raise typer.Exit(1)


def _records(connection: Connection, registry: str) -> Iterator[Coverage]:
    read = Records(Coverage, registry)
    return (read(message) for message in whole(connection, topics.COVERAGE))


def _print_json(found: Sequence[Day]) -> None:
    for day in found:
        typer.echo(json.dumps(_told(day)))


def _told(day: Day) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "provider": day.provider,
        "account": day.account,
        "completeness": round(day.completeness, 3),
        "missing_seconds": day.missing / 1_000_000,
        "holes": [
            {
                "channel": hole.told.channel,
                "cause": hole.told.cause,
                "from": millis_text(hole.span.begin),
                "to": millis_text(hole.span.end),
                "closed_by": list(hole.closed_by),
                "left": [[millis_text(at) for at in span] for span in hole.left],
            }
            for hole in day.holes
        ],
    }


def _print_table(found: Sequence[Day]) -> None:
    if not found:
        typer.echo("no holes")
        return
    console = Console(soft_wrap=True)
    table = Table("day", "provider", "account", "complete", "00 … 24 UTC", box=None)
    for day in found:
        complete = f"{_rounded(day)} %"
        table.add_row(day.day.isoformat(), day.provider, day.account, complete, day.timeline)
    console.print(table)
    console.print(f"{WHOLE} whole  {CLOSED} read back  {OPEN} something may be missing\n")
    for hole in dict.fromkeys(hole for day in found for hole in day.holes):
        console.print(_line(hole), highlight=False)


def _rounded(day: Day) -> str:
    """Return percent with two digits; never 100 while something may be missing."""
    shown = f"{day.completeness:.2f}"
    return "99.99" if day.missing and shown == "100.00" else shown


def _line(hole: Hole) -> str:
    begin, end = hole.span
    seconds = (end - begin) / 1_000_000
    if not hole.left:
        outcome = f"closed by {', '.join(hole.closed_by)}"
    elif hole.closed_by:
        outcome = f"partly closed by {', '.join(hole.closed_by)}, {_seconds(hole.left):.1f} s left"
    else:
        outcome = "open"
    told = hole.told
    where = f"{told.provider} {told.account} {told.channel}"
    return f"{millis_text(begin)} {where}: {seconds:.1f} s, {told.cause}: {outcome}"


def _seconds(spans: Sequence[Span]) -> float:
    return sum(span.end - span.begin for span in spans) / 1_000_000

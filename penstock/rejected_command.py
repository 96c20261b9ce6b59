"""``penstock rejected``: what could not be told, and a second chance for it."""

import json
import socket
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import psutil
import typer

from penstock import rejected_view
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
from penstock.bar import bar
from penstock.errors import OperatorError
from penstock.moments import SinceOption, UntilOption
from penstock.printing import body_text, plain
from penstock.redriving import Redriver, Run, original
from penstock.rejections import Filters, Rejection, plan, rejection, standing
from penstock.topic_reader import Piece, read, record_at, spans, whole
from schemas import topics
from schemas.connection import Connection
from schemas.records import Micros, Position, Reason, Rejected
from schemas.redrive import Again, decode_asked

app: Final = typer.Typer(help="What could not be told as an event.", no_args_is_help=True)

ReasonOption = Annotated[list[Reason] | None, typer.Option("--reason", help="Again for several.")]
ProviderOption = Annotated[list[str] | None, typer.Option("--provider", help="Again for several.")]
AccountOption = Annotated[list[str] | None, typer.Option("--account", help="Again for several.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]


@app.command("list", epilog="Example: penstock rejected list --reason unknown_kind --since 2d")
def list_(  # noqa: PLR0913, PLR0917 - one for each option
    servers: ServersOption = None,
    registry: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    reason: ReasonOption = None,
    provider: ProviderOption = None,
    account: AccountOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    rows: Annotated[int, typer.Option(min=0, help="The newest so many are listed.")] = 20,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Count what was rejected by reason and provider, and list the newest of it.

    Of a part that was judged several times only the last rejection counts. With --json: one
    object for each, all of them. Nothing here shows what a provider said: see `show`.
    """
    filters = Filters(reason or (), provider or (), account or (), since, until)
    found = _standing(
        kafka(Named(servers, stack, settings)),
        registry_url(Named(registry, stack, settings)),
        filters,
    )
    if as_json:
        for one in found:
            typer.echo(json.dumps(plain(one)))
        return
    rejected_view.listed(found, rows)


@app.command(epilog="Example: penstock rejected show 2/1841")
def show(  # noqa: PLR0913, PLR0917 - one for each option
    at: Annotated[str, typer.Argument(metavar="PARTITION/OFFSET", help="As `list` shows it.")],
    servers: ServersOption = None,
    registry: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Show one rejected part whole, with the provider's bytes.

    Persons are in there: names, addresses, bank details. Do not paste it where others read.
    """
    connection = kafka(Named(servers, stack, settings))
    partition, offset = _place(at)
    message = record_at(connection, Position(topics.REJECTED, partition, offset))
    if message is None:
        raise OperatorError(f"{topics.REJECTED} has no record at {at}: `penstock rejected list`")
    rejected = Records(Rejected, registry_url(Named(registry, stack, settings)))(message)
    frame = _frame(connection, rejected)
    told = {
        **plain(rejected),
        "headers": {one.name: one.value.decode(errors="replace") for one in rejected.headers},
        "value": body_text(frame),
    }
    typer.echo("penstock: persons are in there: keep it to yourself", err=True)
    typer.echo(json.dumps(told)) if as_json else rejected_view.whole(
        told, len(frame), rejected.size
    )


@app.command(epilog="Example: penstock rejected redrive --reason unknown_kind --since 2d --dry-run")
def redrive(  # noqa: PLR0913, PLR0917 - one for each option
    servers: ServersOption = None,
    registry: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    reason: ReasonOption = None,
    provider: ProviderOption = None,
    account: AccountOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, oldest first.")] = None,
    anew: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--anew", help="Also what was asked for before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,  # noqa: FBT002
    by: Annotated[
        str | None, typer.Option(help="Who does this, for the audit; default user@host.")
    ] = None,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Let rejected parts be judged again, by the processors that run now.

    Mend the mapper, the key or the setting first. A fact is told once however often this is
    said. Who did it, when and to which parts is on the topic `audit`, for ever.
    """
    connection = kafka(Named(servers, stack, settings))
    registry = registry_url(Named(registry, stack, settings))
    filters = Filters(reason or (), provider or (), account or (), since, until)
    todo = plan(_standing(connection, registry, filters), limit=limit, anew=anew)
    if not as_json:
        rejected_view.planned(todo)
    outcome = None
    if todo.chosen and not dry_run:
        _confirm(len(todo.chosen), yes=yes)
        redriver = Redriver(connection, registry, Run(by or _operator(), filters, todo.chosen))
        with bar("redriving", len(todo.chosen)) as told:
            outcome = redriver.write(told)
    if as_json:
        typer.echo(json.dumps(rejected_view.told(todo, outcome)))
    elif outcome:
        rejected_view.done(outcome)


def _standing(connection: Connection, registry: str, filters: Filters) -> list[Rejection]:
    to_rejection = Records(Rejected, registry)
    # Not bounded at the end: a later rejection of the same part says that an earlier is past.
    places = spans(connection, [topics.REJECTED], Piece(since=filters.since))
    with bar(f"reading {topics.REJECTED}") as told:
        found = (
            rejection(to_rejection(one), one.partition() or 0, one.offset() or 0)
            for one in read(connection, places, told)
        )
        return standing(found, _asked(connection), filters)


def _asked(connection: Connection) -> Mapping[Again, Micros]:
    """Return when operators asked for what."""
    told = (decode_asked(message.value() or b"") for message in whole(connection, topics.AUDIT))
    return {part: asked.asked_at for asked in told for part in asked.parts}


def _place(at: str) -> tuple[int, int]:
    try:
        partition, offset = map(int, at.split("/"))
    except ValueError as error:
        raise OperatorError(f"{at!r} is no place: say PARTITION/OFFSET, as list does") from error
    return partition, offset


def _frame(connection: Connection, rejected: Rejected) -> bytes:
    """Return the frame's bytes, from raw where ``rejected`` holds but some of them."""
    if len(rejected.value) == rejected.size:
        return rejected.value
    of = Position(rejected.topic, rejected.partition, rejected.offset)
    return original(connection, of) or rejected.value


def _operator() -> str:
    return f"{psutil.Process().username()}@{socket.gethostname()}"


def _confirm(parts: int, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperatorError(f"{parts} parts would be redriven: say --yes, or --dry-run")
    typer.confirm(f"redrive {parts} parts?", abort=True, err=True)

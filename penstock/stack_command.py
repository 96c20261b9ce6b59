"""``penstock stack``: a real Kafka and registry on this machine."""

import shutil
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from penstock import stack, stack_record
from penstock.certificates import Identity
from penstock.checkout import STACKS
from penstock.errors import OperatorError
from penstock.launch import Wanted
from penstock.settings import environment
from penstock.stack_record import StackRecord
from schemas.connection import Security

app: Final = typer.Typer(
    help="Run a real Kafka and schema registry on this machine.", no_args_is_help=True
)

NameOption = Annotated[str, typer.Option("--name", help="Which stack; several may run.")]
PortOption = Annotated[int | None, typer.Option(min=1, max=65535, help="Default: any free one.")]


@app.command(epilog="Example: penstock stack up --name demo --kafka-port 9092")
def up(
    name: NameOption = "default",
    kafka_port: PortOption = None,
    registry_port: PortOption = None,
    brokers: Annotated[int, typer.Option(min=1, max=5, help="How many Kafka nodes.")] = 1,
    secured: Annotated[bool, typer.Option("--secured", help="Kafka with TLS and a user.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Start Kafka and the registry, and leave them running.

    Their data are kept between `down` and `up`.
    """
    given = environment()
    if given.bootstrap_servers and given.registry_url:
        typer.echo(f"Kafka     {given.bootstrap_servers}\nregistry  {given.registry_url}")
        typer.echo("given by the environment: nothing was started")
        return
    wanted = Wanted(kafka_port, registry_port, brokers, secured)
    _print(stack.up(stack.directory_of(STACKS, name), wanted=wanted, say=_progress))


@app.command(epilog="Example: penstock stack down --name demo --delete")
def down(
    name: NameOption = "default",
    delete: Annotated[bool, typer.Option("--delete", help="Delete its data too.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Stop a local stack."""
    directory = stack.directory_of(STACKS, name)
    told = stack_record.read(directory)
    if told is None:
        raise OperatorError(f"there is no stack {name!r}: `penstock stack status` lists them")
    stack.down(told)
    typer.echo(f"{name}: stopped")
    if delete:
        shutil.rmtree(directory)
        typer.echo(f"{name}: data deleted")


@app.command(epilog="Example: penstock stack status --json")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show every local stack."""
    known = [(told, stack.is_running(told)) for told in _all(STACKS)]
    if as_json:
        rows = [{**msgspec.to_builtins(told), "running": running} for told, running in known]
        typer.echo(msgspec.json.encode(rows).decode())
        return
    table = Table("name", "state", "Kafka", "registry", box=None)
    for told, running in known:
        table.add_row(
            told.name,
            "running" if running else "stopped",
            told.bootstrap_servers,
            told.registry_url,
        )
    Console(soft_wrap=True).print(table)


def _all(stacks: Path) -> list[StackRecord]:
    found = (stack_record.read(directory) for directory in sorted(stacks.glob("*/")))
    return [told for told in found if told]


def _print(told: StackRecord) -> None:
    typer.echo(f"Kafka     {told.bootstrap_servers}\nregistry  {told.registry_url}")
    typer.echo(f"logs      {told.directory}")
    typer.echo(
        f"\nexport PENSTOCK_BOOTSTRAP_SERVERS={told.bootstrap_servers} "
        f"PENSTOCK_REGISTRY_URL={told.registry_url}"
    )
    if told.secured:
        identity = Identity.of(Path(told.directory))
        typer.echo(
            f'\n[kafka]\nbootstrap_servers = "{told.bootstrap_servers}"\n'
            f'security = "{Security.SASL_TLS}"\nca = "{identity.ca}"\n'
            f'username = "{identity.username}"\npassword = "file:{identity.password_file}"'
        )


def _progress(line: str) -> None:
    typer.echo(f"penstock: {line}", err=True)

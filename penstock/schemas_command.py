"""``penstock schemas``: the schemas of the topics that other teams read."""

from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from penstock.addresses import (
    Named,
    RegistryOption,
    SettingsOption,
    StackOption,
    registry_url,
)
from penstock.errors import OperatorError
from schemas.codec import schema_text
from schemas.registry import (
    MODE,
    SUBJECTS,
    Incompatible,
    Missing,
    Refused,
    Registry,
    register_all,
)

app: Final = typer.Typer(help="Check and register the Avro schemas.", no_args_is_help=True)


@app.command(
    epilog="Example: penstock schemas check --registry-url http://registry/apis/ccompat/v7"
)
def check(
    url: RegistryOption = None, stack: StackOption = None, settings: SettingsOption = None
) -> None:
    """Ask whether the schemas could be registered; exit 1 if one could not.

    Every version is compared with every other, also where a registry does not look:
    scales, units and logical types.
    """
    registry = Registry(registry_url(Named(url, stack, settings)))
    complaints = [line for subject in SUBJECTS for line in _complaints(registry, subject)]
    for line in complaints:
        typer.echo(line)
    if complaints:
        raise typer.Exit(1)
    typer.echo("every schema can be registered")


@app.command(epilog="Example: penstock schemas register --stack default")
def register(
    url: RegistryOption = None, stack: StackOption = None, settings: SettingsOption = None
) -> None:
    """Register the schemas, each subject under FULL_TRANSITIVE; again is harmless."""
    registry = Registry(registry_url(Named(url, stack, settings)))
    for subject, number in register_all(registry).items():
        typer.echo(f"{subject}: id {number}")


@app.command(epilog="Example: penstock schemas show events-value > event.avsc")
def show(
    subject: Annotated[
        str | None, typer.Argument(help="Print this subject's text, as this version has it.")
    ] = None,
    url: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
) -> None:
    """Show every subject and what the registry holds of it, or one schema's text."""
    if subject is not None:
        typer.echo(schema_text(_file_of(subject)), nl=False)
        return
    registry = Registry(registry_url(Named(url, stack, settings)))
    table = Table("subject", "id", "versions", "rule", box=None)
    for name, file in SUBJECTS.items():
        versions = str(len(registry.texts(name)))
        table.add_row(name, _id(registry, name, file), versions, registry.mode(name) or "none")
    Console(soft_wrap=True).print(table)


def _complaints(registry: Registry, subject: str) -> list[str]:
    try:
        registry.check(subject, schema_text(SUBJECTS[subject]))
    except (Incompatible, Refused) as error:
        return [str(error)]
    mode = registry.mode(subject)
    if mode != MODE and registry.texts(subject):
        return [f"{subject}: its rule is {mode}, not {MODE}: `penstock schemas register` sets it"]
    return []


def _id(registry: Registry, subject: str, file: str) -> str:
    try:
        return str(registry.schema_id(subject, schema_text(file)))
    except Missing:
        return "not registered"


def _file_of(subject: str) -> str:
    try:
        return SUBJECTS[subject]
    except KeyError as error:
        known = ", ".join(SUBJECTS)
        raise OperatorError(f"no subject {subject!r} is ours: choose one of {known}") from error

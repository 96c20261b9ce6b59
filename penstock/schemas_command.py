"""``penstock schemas``: the schemas of the topics that other teams read."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from penstock import schema_view
from penstock.addresses import (
    Named,
    RegistryOption,
    SettingsOption,
    StackOption,
    registry_url,
)
from penstock.errors import OperatorError
from schemas import gate
from schemas.codec import schema_text
from schemas.growth import differences
from schemas.registry import SUBJECTS, Incompatible, Missing, Objection, Registry, register_all
from schemas.released import released

app: Final = typer.Typer(
    help="Check, register, show and compare the Avro schemas.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no registry.")]


class Against(StrEnum):
    """What the schemas of this version are compared with."""

    RELEASED = "released"
    REGISTRY = "registry"


@app.command(epilog="Example: penstock schemas check --offline")
def check(
    url: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    *,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Ask whether the schemas may become the next version; exit 1 if one may not.

    Each is held against the contract, every released version and every version that the
    registry has, also where a registry does not look: scales, units and logical types.
    """
    registry = None if offline else Registry(registry_url(Named(url, stack, settings)))
    found = list(_objections(registry))
    if as_json:
        _print_json(map(_told, found))
    elif found:
        typer.echo("\n".join(map(str, found)))
    else:
        typer.echo(f"every schema can be {'released' if offline else 'registered'}")
    if found:
        raise typer.Exit(1)


@app.command(epilog="Example: penstock schemas register --stack default")
def register(
    url: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    *,
    as_json: Json = False,
) -> None:
    """Register the schemas, each subject under FULL_TRANSITIVE; again is harmless."""
    registry = Registry(registry_url(Named(url, stack, settings)))
    found = list(_objections(None))
    if found:
        raise Incompatible("; ".join(map(str, found)))
    numbers = register_all(registry)
    if as_json:
        _print_json({"subject": subject, "id": number} for subject, number in numbers.items())
        return
    for subject, number in numbers.items():
        typer.echo(f"{subject}: id {number}")


@app.command(epilog="Example: penstock schemas show events-value --text --offline > event.avsc")
def show(  # noqa: PLR0913 - one for each option
    subject: Annotated[str | None, typer.Argument(help="Show this one, field by field.")] = None,
    url: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    *,
    offline: Offline = False,
    text: Annotated[bool, typer.Option("--text", help="Print its exact text alone.")] = False,
    as_json: Json = False,
) -> None:
    """Show every subject and its versions, or one schema readably."""
    if text:
        typer.echo(schema_text(_file_of(subject or "")), nl=False)
        return
    wanted = {subject: _file_of(subject)} if subject else SUBJECTS
    registry = None if offline else Registry(registry_url(Named(url, stack, settings)))
    rows = [_versions(name, file, registry) for name, file in wanted.items()]
    if as_json:
        _print_json(rows)
        return
    console = Console(soft_wrap=subject is None)
    console.print(_table(rows))
    if subject:
        console.print(schema_view.on_terminal(schema_text(wanted[subject])))


@app.command(epilog="Example: penstock schemas diff events-value --against registry")
def diff(  # noqa: PLR0913 - same
    subject: Annotated[str | None, typer.Argument(help="This one alone.")] = None,
    url: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    *,
    against: Annotated[Against, typer.Option(help="The last version of which.")] = Against.RELEASED,
    as_json: Json = False,
) -> None:
    """Show what changed since the last version, field by field, and whom it would harm."""
    wanted = {subject: _file_of(subject)} if subject else SUBJECTS
    registry = (
        Registry(registry_url(Named(url, stack, settings))) if against is Against.REGISTRY else None
    )
    changes = [_changes(name, file, registry) for name, file in wanted.items()]
    if as_json:
        _print_json(_told(one) for _, found in changes for one in found)
        return
    for told, found in changes:
        typer.echo(told)
        for one in found:
            typer.echo(f"{'!' if one.remark.harm else ' '} {one.remark}")


@app.command(epilog="Example: penstock schemas reference > reference.md")
def reference() -> None:
    """Print every topic's fields as Markdown: the second half of docs/contract.md."""
    named = ((subject.removesuffix("-value"), file) for subject, file in SUBJECTS.items())
    typer.echo(schema_view.reference(named), nl=False)


def _objections(registry: Registry | None) -> Iterator[Objection]:
    for subject, file in SUBJECTS.items():
        yield from gate.objections(subject, schema_text(file), registry)


def _changes(subject: str, file: str, registry: Registry | None) -> tuple[str, Sequence[Objection]]:
    """Return a line, and the differences from the last version."""
    versions = registry.versions(subject) if registry else released(file)
    if not versions:
        return f"{subject}: the registry has no version of it", ()
    number = max(versions)
    last = f"registered version {number}" if registry else f"released v{number}"
    found = [
        Objection(subject, last, remark)
        for remark in differences(versions[number], schema_text(file))
    ]
    return f"{subject}, since {last}:{'' if found else ' nothing changed'}", found


def _versions(subject: str, file: str, registry: Registry | None) -> dict[str, Any]:
    """Return what is known of a subject; of the registry, nothing where it is not asked."""
    told: dict[str, Any] = {"subject": subject, "released": list(released(file))}
    if registry is not None:
        told["registered"] = list(registry.versions(subject))
        told["id"] = _id(registry, subject, file)
        told["rule"] = registry.mode(subject)
    return told


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    return table


def _cell(value: Any) -> str:  # noqa: ANN401
    match value:
        case list():
            return ", ".join(map(str, value)) or "none"
        case None:
            return "none"
        case _:
            return str(value)


def _id(registry: Registry, subject: str, file: str) -> int | None:
    try:
        return registry.schema_id(subject, schema_text(file))
    except Missing:
        return None


def _told(objection: Objection) -> dict[str, Any]:
    told = {"subject": objection.subject, "against": objection.against}
    return {**told, **asdict(objection.remark)}


def _print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    typer.echo(json.dumps(list(rows), indent=2))


def _file_of(subject: str) -> str:
    try:
        return SUBJECTS[subject]
    except KeyError as error:
        known = ", ".join(SUBJECTS)
        raise OperatorError(f"no subject {subject!r} is ours: choose one of {known}") from error

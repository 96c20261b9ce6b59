"""Which Kafka and which registry a command means."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from penstock.checkout import STACKS
from penstock.errors import OperatorError
from penstock.settings import environment, secret, settings
from penstock.stack import connection_of, directory_of, is_running
from penstock.stack_record import StackRecord, read
from schemas.connection import Connection

ServersOption = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka, HOST:PORT[,HOST:PORT…].")
]
RegistryOption = Annotated[
    str | None, typer.Option("--registry-url", help="Registry, up to before /subjects.")
]
SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", help="Settings file; default PENSTOCK_SETTINGS or penstock.toml."),
]
StackOption = Annotated[
    str | None, typer.Option("--stack", help="A local stack that runs, by its name.")
]

_DEFAULT_STACK = "default"


@dataclass(frozen=True, slots=True)
class Named:
    """What the command line says about addresses."""

    address: str | None
    stack: str | None
    settings: Path | None


def kafka(named: Named) -> Connection:
    """Return the way to Kafka.

    Its address: an option, the environment, the file, a local stack. The rest is the
    file's, unless a local stack is meant.
    """
    if named.stack and not named.address:
        return connection_of(_local(named.stack))
    told = settings(named.settings).kafka
    address = named.address or environment().bootstrap_servers or told.bootstrap_servers
    if address is None:
        return connection_of(_default("--bootstrap-servers", "PENSTOCK_BOOTSTRAP_SERVERS"))
    return replace(told.connection(secret), bootstrap_servers=address)


def registry_url(named: Named) -> str:
    """Return the registry's address: an option, the environment, the file, a local stack."""
    if named.address or named.stack:
        return named.address or _local(str(named.stack)).registry_url
    told = environment().registry_url or settings(named.settings).registry.url
    return told or _default("--registry-url", "PENSTOCK_REGISTRY_URL").registry_url


def _local(name: str) -> StackRecord:
    found = read(directory_of(STACKS, name))
    if found is None or not is_running(found):
        raise OperatorError(
            f"no local stack {name!r} runs: `penstock stack up --name {name}` starts it"
        )
    return found


def _default(option: str, variable: str) -> StackRecord:
    try:
        return _local(_DEFAULT_STACK)
    except OperatorError as error:
        raise OperatorError(
            f"no address: say {option}, set {variable} or the settings file, or start a "
            "local stack with `penstock stack up`"
        ) from error

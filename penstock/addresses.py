"""Which Kafka and which registry a command means."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from penstock.checkout import STACKS
from penstock.errors import OperatorError
from penstock.settings import environment, settings
from penstock.stack import directory_of, is_running
from penstock.stack_record import StackRecord, read

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


def bootstrap_servers(named: Named) -> str:
    """Return Kafka's address: an option, the environment, the file, a local stack."""
    if named.address or named.stack:
        return named.address or _local(str(named.stack)).bootstrap_servers
    told = environment().bootstrap_servers or settings(named.settings).kafka.bootstrap_servers
    return told or _default("--bootstrap-servers", "PENSTOCK_BOOTSTRAP_SERVERS").bootstrap_servers


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

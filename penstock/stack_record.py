"""What a running stack leaves in its directory, so that another process can find it."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import psutil

from penstock.errors import OperatorError

FILE: Final = "stack.json"

_PATIENCE: Final = 10.0
"""Seconds between asking a process to end and killing it."""


class LocalProcess(msgspec.Struct, frozen=True, tag="process"):
    """A process of this machine: a number alone may be somebody else's by now."""

    pid: int
    started_at: float
    """As the system tells it, in seconds since the epoch."""


class DockerContainer(msgspec.Struct, frozen=True, tag="container"):
    id: str


Trace = LocalProcess | DockerContainer


class StackRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stack is."""

    name: str
    directory: str
    bootstrap_servers: str
    registry_url: str
    ports: tuple[int, ...]
    """Of each broker for clients, of each broker for the others, of the registry."""
    brokers: tuple[Trace, ...]
    registry: Trace
    secured: bool = False


def write(directory: Path, told: StackRecord) -> None:
    unfinished = directory / f"{FILE}.unfinished"
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
    unfinished.replace(directory / FILE)


def read(directory: Path) -> StackRecord | None:
    """Return what was written last; None if there was no stack."""
    try:
        return msgspec.json.decode((directory / FILE).read_bytes(), type=StackRecord)
    except FileNotFoundError:
        return None
    except msgspec.ValidationError as error:
        raise OperatorError(
            f"{directory / FILE}: written by another version: end its processes, if any run, and "
            "delete the directory"
        ) from error


def trace_of(pid: int) -> LocalProcess:
    return LocalProcess(pid, psutil.Process(pid).create_time())


def is_alive(process: LocalProcess) -> bool:
    """Whether this process runs, and is not another one with its number."""
    try:
        found = psutil.Process(process.pid)
        return found.create_time() == process.started_at and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(process: LocalProcess) -> None:
    """End a process of another owner in order; kill its group if it takes too long."""
    if not is_alive(process):
        return
    found = psutil.Process(process.pid)
    found.terminate()
    try:
        found.wait(_PATIENCE)
    except psutil.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        found.wait(_PATIENCE)

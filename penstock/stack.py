"""A real Kafka and a real registry on this machine, for as long as somebody needs them.

``local_stack`` starts both and stops both; ``up`` and ``down`` do it across processes,
for the command line. Addresses in the environment mean: use those, start nothing.
"""

import fcntl
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock import docker_stack, ports, stack_record
from penstock.broker import broker
from penstock.errors import OperatorError
from penstock.jars import Say, fetched, java, require_room
from penstock.launch import Makers, Ports, Wanted, started
from penstock.leash import Leash
from penstock.registry_server import registry_server, registry_url
from penstock.server import Elsewhere, Server
from penstock.settings import Engine, environment
from penstock.stack_record import DockerContainer, LocalProcess, StackRecord

_ROOM: Final = 512 * 2**20
"""Bytes of free disk without which a stack is not worth starting."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


@dataclass(frozen=True, slots=True)
class Stack:
    """A Kafka and a registry that serve."""

    directory: Path
    bootstrap_servers: str
    registry_url: str
    partitions: int
    """How many partitions its topics are meant to have."""
    kafka: Server
    registry: Server


def _quietly(_: str) -> None:
    """Say nothing."""


@contextmanager
def local_stack(
    directory: Path, *, partitions: int = 4, wanted: Wanted | None = None, say: Say = _quietly
) -> Iterator[Stack]:
    """Run Kafka and a registry with their files in a directory, then stop them.

    Both serve when this yields, and end with this process, even a killed one. The files
    stay. ``say`` gets lines of progress. Raises ``OperatorError`` where something is
    missing, taken or broken; then nothing is left running.
    """
    given = _given(directory, partitions)
    if given:
        yield given
        return
    with ExitStack() as at_the_end:
        leash = Leash()
        at_the_end.callback(leash.close)
        stack = _launched(directory, partitions, wanted or Wanted(), leash, say)
        at_the_end.callback(stack.kafka.terminate)
        at_the_end.callback(stack.registry.terminate)
        yield stack


def up(directory: Path, *, wanted: Wanted, say: Say = _quietly) -> StackRecord:
    """Start a stack that outlives this process, and return where it is.

    One that runs already is returned as it is.
    """
    running = stack_record.read(directory)
    if running and is_running(running):
        return running
    _launched(directory, 0, wanted, None, say)
    started = stack_record.read(directory)
    if started is None:
        raise OperatorError(f"{directory}: {stack_record.FILE} was removed: start it again")
    return started


def down(told: StackRecord) -> None:
    """End a stack, whoever started it; its files stay."""
    for trace in (told.registry, told.kafka):
        match trace:
            case LocalProcess():
                stack_record.end(trace)
            case DockerContainer():
                docker_stack.remove(trace)


def is_running(told: StackRecord) -> bool:
    """Whether both servers of a stack are alive."""
    return all(
        stack_record.is_alive(trace)
        if isinstance(trace, LocalProcess)
        else docker_stack.is_alive(trace)
        for trace in (told.kafka, told.registry)
    )


def directory_of(stacks: Path, name: str) -> Path:
    """Return the directory of a stack by its name; ``OperatorError`` if it cannot be one."""
    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"{name!r} cannot name a stack: use lower-case letters, digits, - and _"
        )
    return stacks / name


def _given(directory: Path, partitions: int) -> Stack | None:
    """Return the stack that the environment names."""
    told = environment()
    match told.bootstrap_servers, told.registry_url:
        case None, None:
            return None
        case str(servers), str(url):
            return Stack(directory, servers, url, partitions, Elsewhere(), Elsewhere())
        case _:
            raise OperatorError(
                "only one of PENSTOCK_BOOTSTRAP_SERVERS and PENSTOCK_REGISTRY_URL is set: "
                "set both to use a stack that runs, or neither to start a local one"
            )


def _makers(directory: Path, leash: Leash | None, say: Say) -> Makers:
    if environment().engine is Engine.DOCKER:
        return Makers(
            kafka=lambda chosen: docker_stack.broker(chosen.kafka, outlives=leash is None),
            registry=lambda chosen: docker_stack.registry(chosen.registry, outlives=leash is None),
        )
    program = java()
    jars = fetched(say)
    return Makers(
        kafka=lambda chosen: broker(
            directory, program, jars, (chosen.kafka, chosen.controller), leash
        ),
        registry=lambda chosen: registry_server(directory, program, jars, chosen.registry, leash),
    )


def _launched(
    directory: Path, partitions: int, wanted: Wanted, leash: Leash | None, say: Say
) -> Stack:
    """Start a stack and leave its record."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    require_room(directory, _ROOM)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = stack_record.read(directory)
        if before and is_running(before):
            raise OperatorError(
                f"a stack runs in {directory} already: `penstock stack down "
                f"--name {directory.name}` ends it"
            )
        makers = _makers(directory, leash, say)
        say("starting Kafka and the registry")
        chosen, kafka, registry = started(makers, wanted, before.ports if before else (0, 0, 0))
        stack_record.write(directory, _record(directory, chosen, kafka, registry))
    return Stack(
        directory, _servers(chosen), registry_url(chosen.registry), partitions, kafka, registry
    )


def _servers(chosen: Ports) -> str:
    return f"{ports.LOOPBACK}:{chosen.kafka}"


def _record(directory: Path, chosen: Ports, kafka: Server, registry: Server) -> StackRecord:
    return StackRecord(
        name=directory.name,
        directory=str(directory),
        bootstrap_servers=_servers(chosen),
        registry_url=registry_url(chosen.registry),
        ports=chosen.all(),
        kafka=kafka.trace(),
        registry=registry.trace(),
    )

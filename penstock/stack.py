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
from penstock.broker import Node, Site, brokers, replication
from penstock.certificates import Identity
from penstock.errors import OperatorError
from penstock.jars import Say, fetched, java, require_room
from penstock.launch import Makers, Ports, Wanted, started
from penstock.leash import Leash
from penstock.registry_server import registry_server, registry_url
from penstock.server import Elsewhere, Server, Servers, Together
from penstock.settings import Engine, environment
from penstock.stack_record import DockerContainer, LocalProcess, StackRecord, Trace
from schemas.connection import Connection

_ROOM: Final = 512 * 2**20
"""Bytes of free disk without which a stack is not worth starting."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


@dataclass(frozen=True, slots=True)
class Stack:
    """A Kafka and a registry that serve."""

    directory: Path
    connection: Connection
    """How its Kafka is reached."""
    registry_url: str
    partitions: int
    """How many partitions its topics are meant to have."""
    brokers: tuple[Server, ...]
    registry: Server

    @property
    def bootstrap_servers(self) -> str:
        return self.connection.bootstrap_servers

    @property
    def kafka(self) -> Servers:
        """Return all brokers, as one."""
        return Together(self.brokers)

    @property
    def replication(self) -> int:
        """Return how many copies its topics are meant to have."""
        return replication(len(self.brokers))


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
    wanted = wanted or Wanted()
    directory = directory.resolve()
    with _alone(directory) as before, ExitStack() as at_the_end:
        leash = Leash()
        at_the_end.callback(leash.close)
        makers = _makers(directory, leash, wanted, say, outlives=False)
        told, nodes, registry = _launched(directory, makers, wanted, before, say)
        at_the_end.callback(Together(nodes).terminate)
        at_the_end.callback(registry.terminate)
        yield Stack(directory, connection_of(told), told.registry_url, partitions, nodes, registry)


def up(directory: Path, *, wanted: Wanted, say: Say = _quietly) -> StackRecord:
    """Start a stack that outlives this process, and return where it is.

    One that runs already is returned as it is.
    """
    directory = directory.resolve()
    running = stack_record.read(directory)
    if running and is_running(running):
        return running
    with _alone(directory) as before:
        leash = Leash()
        try:
            makers = _makers(directory, leash, wanted, say, outlives=True)
            told, _, _ = _launched(directory, makers, wanted, before, say)
            for trace in (*told.brokers, told.registry):
                if isinstance(trace, LocalProcess):
                    leash.release(trace.pid)
        finally:
            leash.close()
    return told


def down(told: StackRecord) -> None:
    """End a stack, whoever started it; its files stay."""
    for trace in (told.registry, *told.brokers):
        match trace:
            case LocalProcess():
                stack_record.end(trace)
            case DockerContainer():
                docker_stack.remove(trace)


def is_running(told: StackRecord) -> bool:
    """Whether every server of a stack is alive."""
    return all(map(_is_alive, (*told.brokers, told.registry)))


def connection_of(told: StackRecord) -> Connection:
    """Return how the Kafka of a stack is reached."""
    if told.secured:
        return Identity.of(Path(told.directory)).connection(told.bootstrap_servers)
    return Connection(told.bootstrap_servers)


def _is_alive(trace: Trace) -> bool:
    match trace:
        case LocalProcess():
            return stack_record.is_alive(trace)
        case DockerContainer():
            return docker_stack.is_alive(trace)


def directory_of(stacks: Path, name: str) -> Path:
    """Return the directory of a stack by its name; ``OperatorError`` if it cannot be one."""
    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"{name!r} cannot name a stack: use lower-case letters, digits, - and _"
        )
    return stacks / name


@contextmanager
def _alone(directory: Path) -> Iterator[StackRecord | None]:
    """Keep every other process out of a directory, and tell of the stack that was there."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OperatorError(_in_use(directory)) from error
        before = stack_record.read(directory)
        if before and is_running(before):
            raise OperatorError(_in_use(directory))
        if before and any(map(_is_alive, (*before.brokers, before.registry))):
            down(before)  # Some are left.
        yield before


def _in_use(directory: Path) -> str:
    return (
        f"a stack runs in {directory} already: end it, as `penstock stack down --name "
        f"{directory.name}` does, or use another name"
    )


def _given(directory: Path, partitions: int) -> Stack | None:
    """Return the stack that the environment names."""
    told = environment()
    match told.bootstrap_servers, told.registry_url:
        case None, None:
            return None
        case str(servers), str(url):
            return Stack(
                directory, Connection(servers), url, partitions, (Elsewhere(),), Elsewhere()
            )
        case _:
            raise OperatorError(
                "only one of PENSTOCK_BOOTSTRAP_SERVERS and PENSTOCK_REGISTRY_URL is set: "
                "set both to use a stack that runs, or neither to start a local one"
            )


def _makers(directory: Path, leash: Leash, wanted: Wanted, say: Say, *, outlives: bool) -> Makers:
    """Return how the servers are made; ``outlives``: they stay when this process ends."""
    if environment().engine is Engine.DOCKER:
        if wanted.brokers > 1 or wanted.secured:
            raise OperatorError(
                "STACK=docker runs one broker, in the clear: unset STACK to use Java"
            )
        return Makers(
            kafka=lambda chosen: [docker_stack.broker(chosen.kafka[0], outlives=outlives)],
            registry=lambda chosen: docker_stack.registry(chosen.registry, outlives=outlives),
        )
    program = java()
    jars = fetched(say)
    identity = Identity.renewed(directory) if wanted.secured else None
    site = Site(directory, program, jars, leash, identity, wanted.as_shipped)
    return Makers(
        kafka=lambda chosen: brokers(site, _nodes(chosen)),
        registry=lambda chosen: registry_server(directory, program, jars, chosen.registry, leash),
    )


def _nodes(chosen: Ports) -> list[Node]:
    pairs = zip(chosen.kafka, chosen.controllers, strict=True)
    return [Node(number, *pair) for number, pair in enumerate(pairs, 1)]


def _launched(
    directory: Path, makers: Makers, wanted: Wanted, before: StackRecord | None, say: Say
) -> tuple[StackRecord, tuple[Server, ...], Server]:
    """Start every server, leave their record, and return it with them."""
    require_room(directory, _ROOM)
    say("starting Kafka and the registry")
    last = _ports_of(before, wanted) if before else None
    chosen, nodes, registry = started(makers, wanted, last)
    told = StackRecord(
        name=directory.name,
        directory=str(directory),
        bootstrap_servers=",".join(f"{ports.LOOPBACK}:{port}" for port in chosen.kafka),
        registry_url=registry_url(chosen.registry),
        ports=chosen.all(),
        brokers=tuple(node.trace() for node in nodes),
        registry=registry.trace(),
        secured=wanted.secured,
    )
    stack_record.write(directory, told)
    return told, nodes, registry


def _ports_of(before: StackRecord, wanted: Wanted) -> Ports:
    """Return the ports of the last time; ``OperatorError`` if it was another kind of stack."""
    count = len(before.brokers)
    if (count, before.secured) != (wanted.brokers, wanted.secured):
        raise OperatorError(
            f"the stack in {before.directory} was made with {count} "
            f"{'secured ' if before.secured else ''}broker(s), and its files are theirs: ask for "
            "the same, or delete it, as `penstock stack down --delete` does"
        )
    *nodes, registry = before.ports
    return Ports(tuple(nodes[:count]), tuple(nodes[count:]), registry)

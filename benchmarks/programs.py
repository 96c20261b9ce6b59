"""The stack of a benchmark, and our two programs on it, each in a process of its own."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import httpx
import psutil

from penstock.child import Child
from penstock.launch import Wanted
from penstock.leash import Leash
from penstock.ports import free
from penstock.stack import Stack, local_stack

_REFERENCE = "benchmark" * 4


def stack(directory: Path, partitions: int = 4) -> AbstractContextManager[Stack]:
    """Run a Kafka that is set as it is deployed, with its files in a directory."""
    wanted = Wanted(as_shipped=True)
    return local_stack(directory / "stack", partitions=partitions, wanted=wanted)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used of one core since it is watched."""

    name: str
    process: psutil.Process
    since: float
    before: float

    def share(self) -> float:
        """Return CPU seconds per second."""
        return (_seconds(self.process) - self.before) / (monotonic() - self.since)


def usage(child: Child) -> Usage:
    """Begin to watch a program, which must run."""
    process = psutil.Process(child.trace().pid)
    return Usage(child.name, process, monotonic(), _seconds(process))


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def running(children: Iterable[Child]) -> Iterator[list[Child]]:
    """Start them all, then wait until each serves; kill them at the end, however it comes."""
    leash = Leash()
    with ExitStack() as ends:
        ends.callback(leash.close)
        started = []
        for child in children:
            child.leash = leash
            ends.callback(child.kill)
            child.start()
            started.append(child)
        for child in started:
            child.until_serving()
        yield started


def processors(
    stack: Stack,
    directory: Path,
    accounts: Sequence[str],
    tokens: Mapping[str, str],
    count: int = 1,
) -> list[Child]:
    """Return workers of one group, not started; ``tokens``: provider → what verifies its frames."""
    directory.mkdir(parents=True, exist_ok=True)
    listed = "".join(
        _account(provider, name, f'keys = {{ k1 = "env:TOKEN_{provider}" }}')
        for provider in tokens
        for name in accounts
    )
    environment = {f"TOKEN_{provider}": token for provider, token in tokens.items()}
    return [
        _program(
            "processors",
            directory / f"worker-{number}",
            _head(stack)
            + f'[processors]\nhttp = "127.0.0.1:{port}"\nstate_directory = "state-{number}"\n'
            + 'references = { id = "r1", key = "env:REFERENCE" }\n'
            + listed,
            port,
            {**environment, "REFERENCE": _REFERENCE},
        )
        for number, port in enumerate(free(count), 1)
    ]


def ingest(
    stack: Stack, directory: Path, provider: str, url: str, accounts: Sequence[str]
) -> Child:
    """Return an ingest, not started, whose accounts' names are their API keys."""
    directory.mkdir(parents=True, exist_ok=True)
    listed = "".join(
        _account(
            provider, name, f'url = "{url}"\ncredentials = {{ api_key = "env:API_KEY_{name}" }}'
        )
        for name in accounts
    )
    (port,) = free(1)
    head = _head(stack) + f'[ingest]\nhttp = "127.0.0.1:{port}"\n'
    environment = {f"API_KEY_{name}": name for name in accounts}
    return _program("ingest", directory / "ingest", head + listed, port, environment)


def _head(stack: Stack) -> str:
    return (
        f'[kafka]\nbootstrap_servers = "{stack.bootstrap_servers}"\n'
        f'[registry]\nurl = "{stack.registry_url}"\n'
    )


def _account(provider: str, name: str, rest: str) -> str:
    return (
        f'[[accounts]]\nprovider = "{provider}"\nname = "{name}"\nenvironment = "sandbox"\n{rest}\n'
    )


def _program(
    program: str, place: Path, settings: str, port: int, environment: Mapping[str, str]
) -> Child:
    """``place``: its files begin so."""
    told = place.with_suffix(".toml")
    told.write_text(settings)

    def serves() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=1).is_success
        except httpx.TransportError:
            return False

    command = [sys.executable, "-m", program, "--settings", str(told)]
    return Child(program, command, place.with_suffix(".log"), serves, port, environment)

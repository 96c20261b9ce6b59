"""The programs that follow one socket into Kafka: our ingest, and cryptofeed.

https://github.com/bmoscon/cryptofeed
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory
from typing import Protocol

from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.bench_venv import BENCH_PYTHON
from benchmarks.sender import API_KEY
from penstock.checkout import ROOT
from penstock.stack import Stack
from schemas import topics

PROVIDER = "transak"
_ACCOUNT = "desk"
_PEER_TOPIC = "benchmark.cryptofeed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program writes."""

    topic: str
    partition: int
    marks: int
    """Records of its own before the first frame."""


class Follower(Protocol):
    """A program that can be started, beside a stack, to follow the sender at an address."""

    def place(self, stack: Stack) -> Place: ...
    @contextmanager
    def follow(self, stack: Stack, url: str) -> Iterator["Popen[bytes]"]: ...


@dataclass(frozen=True, slots=True)
class Ingest:
    """Ours, from a checkout."""

    tree: Path = ROOT

    def place(self, stack: Stack) -> Place:
        topic = topics.raw(PROVIDER)
        return Place(topic, topics.partition_of(_ACCOUNT, stack.partitions), marks=1)

    @contextmanager
    def follow(self, stack: Stack, url: str) -> Iterator["Popen[bytes]"]:
        with TemporaryDirectory() as directory:
            settings = Path(directory, "benchmark.toml")
            settings.write_text(
                f'[kafka]\nbootstrap_servers = "{stack.bootstrap_servers}"\n'
                f'[ingest]\nhttp = "127.0.0.1:0"\nspool = {{ directory = "{directory}" }}\n'
                f'[[accounts]]\nprovider = "{PROVIDER}"\nname = "{_ACCOUNT}"\n'
                f'environment = "sandbox"\nurl = "{url}"\n'
                'credentials = { api_key = "env:API_KEY" }\n'
            )
            command = [sys.executable, "-m", "ingest", "--settings", str(settings)]
            with _running(command, self.tree) as process:
                yield process


@dataclass(frozen=True, slots=True)
class Cryptofeed:
    """The peer, with the Python that has it installed."""

    python: Path = BENCH_PYTHON

    def place(self, stack: Stack) -> Place:
        admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
        if _PEER_TOPIC not in admin.list_topics(timeout=30).topics:
            for made in admin.create_topics([NewTopic(_PEER_TOPIC, 1, 1)]).values():
                made.result()
        return Place(_PEER_TOPIC, 0, marks=0)

    @contextmanager
    def follow(self, stack: Stack, url: str) -> Iterator["Popen[bytes]"]:
        program = ROOT / "benchmarks/peers/cryptofeed_ingest.py"
        asked = (url, stack.bootstrap_servers, _PEER_TOPIC, API_KEY)
        with _running([str(self.python), str(program), *asked], ROOT) as process:
            yield process


@contextmanager
def _running(command: list[str], directory: Path) -> Iterator["Popen[bytes]"]:
    environment = {**os.environ, "API_KEY": API_KEY}
    process = Popen(command, cwd=directory, env=environment, stdout=DEVNULL)  # noqa: S603 - ours
    try:
        yield process
    finally:
        process.kill()
        process.wait()

"""Kafka over TLS and with a password (SCRAM), from a twin to ``events``; and who is refused."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.feeds import FEEDS
from penstock.broker import answers
from penstock.certificates import Identity
from penstock.launch import Wanted
from penstock.preparation import prepare
from penstock.reconcile import read_events
from penstock.stack import Stack, local_stack
from schemas.connection import Connection
from twins.pepay import PepayTwin

FACTS = 200
SETTINGS = """
[kafka]
bootstrap_servers = "{servers}"
security = "sasl_tls"
ca = "{ca}"
username = "{username}"
password = "file:{password}"
[registry]
url = "{registry}"
[ingest]
http = "127.0.0.1:0"
[processors]
references = {{ id = "r1", key = "env:REFERENCE" }}
[[accounts]]
provider = "pepay"
name = "main"
environment = "sandbox"
url = "{url}"
credentials = {{ api_key = "env:API_KEY" }}
"""
ENVIRONMENT = {"REFERENCE": "a reference key", "API_KEY": "ck_twin", "PATH": os.environ["PATH"]}
PROGRAMS = pytest.mark.parametrize("program", ["ingest", "processors"])


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if "PENSTOCK_BOOTSTRAP_SERVERS" in os.environ:
        pytest.skip("not run: the stack that the environment names is not ours to secure")
    with local_stack(tmp_path_factory.mktemp("secured"), wanted=Wanted(secured=True)) as running:
        prepare(running, FEEDS)
        yield running


class Operator:
    """Somebody with a settings file, and files of secrets that may be the wrong ones."""

    def __init__(self, directory: Path, stack: Stack) -> None:
        self.file = directory / "penstock.toml"
        identity = Identity.of(stack.directory)
        self.password = Path(shutil.copy(identity.password_file, directory / "password"))
        self.ca = Path(shutil.copy(identity.ca, directory / "ca.pem"))
        self._stack = stack

    def write(self, url: str = "ws://127.0.0.1:9/nobody") -> None:
        connection = self._stack.connection
        self.file.write_text(
            SETTINGS.format(
                servers=connection.bootstrap_servers,
                ca=self.ca,
                username=connection.username,
                password=self.password,
                registry=self._stack.registry_url,
                url=url,
            )
        )

    @asynccontextmanager
    async def running(self, program: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", program, "--settings", str(self.file)),
            env=ENVIRONMENT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            await process.wait()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words, "--settings", str(self.file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=ENVIRONMENT,
        )

    def is_told_once(self, program: str, *words: str) -> None:
        """The program ends, with one line about it, and without the password."""
        self.write()
        ended = self.run(*program.split())
        said = (ended.stdout + ended.stderr).splitlines()
        assert ended.returncode == 1, said
        (line,) = (line for line in said if words[0] in line)
        assert [word for word in words if word not in line] == [], line
        assert "Traceback" not in "".join(said)
        assert self.password.read_text() not in "".join(said)


@pytest.fixture
def operator(tmp_path: Path, secured: Stack) -> Operator:
    return Operator(tmp_path, secured)


async def test_facts_travel_from_the_twin_to_events(operator: Operator, secured: Stack) -> None:
    async with PepayTwin(seed=5, rate=0) as twin:
        operator.write(twin.url)
        async with operator.running("ingest"), operator.running("processors"):
            async with asyncio.timeout(40):
                await twin.audience.attentive.wait()
                await twin.storm(FACTS)
                ids: list[str] = []
                while len(ids) < FACTS:
                    ids = await asyncio.to_thread(events, secured)
    assert len(ids) == len(set(ids)) == FACTS


def events(stack: Stack) -> list[str]:
    return [event["id"] for event in read_events(stack.connection, stack.registry_url)]


def test_the_operators_command_takes_the_same_settings(operator: Operator) -> None:
    operator.write()
    told = operator.run("penstock", "topics", "check", "--partitions", "4")
    assert told.returncode == 0, told.stderr


def test_nobody_gets_in_without_tls_and_a_password(secured: Stack) -> None:
    assert answers(secured.connection)
    assert not answers(Connection(secured.bootstrap_servers))
    assert not answers(replace(secured.connection, password="guessed"))


EVERYBODY = pytest.mark.parametrize("program", ["ingest", "processors", "penstock topics check"])


@EVERYBODY
def test_a_wrong_password_ends_the_program(program: str, operator: Operator) -> None:
    operator.password.write_text("a password of somebody else")
    operator.is_told_once(program, "kafka.password", "penstock")


@EVERYBODY
def test_an_authority_that_did_not_sign_ends_the_program(
    program: str, operator: Operator, tmp_path: Path
) -> None:
    shutil.copy(Identity.renewed(tmp_path).ca, operator.ca)
    operator.is_told_once(program, "kafka.ca", "certificate")


@PROGRAMS
def test_a_password_written_into_the_file_is_refused_and_not_repeated(
    program: str, operator: Operator
) -> None:
    operator.write()
    operator.file.write_text(operator.file.read_text().replace("file:/", "hunter2"))
    ended = operator.run(program)
    assert ended.returncode == 2
    assert "kafka.password" in ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr

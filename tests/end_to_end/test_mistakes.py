"""Whatever an operator gets wrong is one line: what, where, what to do. No traceback."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.checkout import ROOT
from penstock.stack import Stack
from schemas.codec import schema_text
from twins.pepay import PepayTwin

SETTINGS = """
[kafka]
bootstrap_servers = "{servers}"
[registry]
url = "{registry}"
[ingest]
http = "{http}"
[processors]
http = "{http}"
application = "mistakes"
references = {{ id = "r1", key = "env:REFERENCE" }}
[[accounts]]
provider = "pepay"
name = "main"
environment = "sandbox"
url = "{url}"
credentials = {{ api_key = "env:API_KEY" }}
"""


class Operator:
    """Somebody with a settings file and a shell."""

    def __init__(self, directory: Path, stack: Stack) -> None:
        self.file = directory / "penstock.toml"
        self.directory = directory
        self.environment = {"REFERENCE": "a reference key", "API_KEY": "ck_twin"}
        self.told = {
            "servers": stack.bootstrap_servers,
            "registry": stack.registry_url,
            "http": "127.0.0.1:0",
            "url": "ws://127.0.0.1:9/nobody",
        }

    def write(self, text: str = SETTINGS, **changes: str) -> None:
        self.file.write_text(text.format(**{**self.told, **changes}))

    def start(self, program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", program, "--settings", str(self.file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], **self.environment},
        )

    def is_told(self, program: str, *words: str, code: int = 2) -> None:
        """The program ends at once with one line that has all these words."""
        ended = self.start(program)
        (line,) = ended.stderr.splitlines()
        assert ended.returncode == code, ended.stderr
        assert line.startswith(f"penstock-{program}: ")
        assert [word for word in words if word not in line] == [], line


@pytest.fixture
def operator(tmp_path: Path, prepared_stack: Stack) -> Operator:
    return Operator(tmp_path, prepared_stack)


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


BOTH = pytest.mark.parametrize("program", ["ingest", "processors"])


@BOTH
def test_no_settings_file(program: str, operator: Operator) -> None:
    operator.is_told(program, str(operator.file), "No such file", "--settings")


@BOTH
def test_a_settings_file_that_is_not_toml(program: str, operator: Operator) -> None:
    operator.file.write_text("[kafka]\nbootstrap_servers = = 1")
    operator.is_told(program, str(operator.file), "not TOML", "line 2")


@BOTH
def test_a_misspelt_setting(program: str, operator: Operator) -> None:
    operator.write(SETTINGS.replace("http =", "htpp ="))
    operator.is_told(program, f"{program}.htpp", "not permitted")


@BOTH
def test_a_port_that_is_taken(program: str, operator: Operator, taken: str) -> None:
    operator.write(http=taken)
    operator.is_told(program, taken, "in use")


@BOTH
def test_a_secret_that_is_not_there(program: str, operator: Operator) -> None:
    operator.write()
    operator.environment = {}
    operator.is_told(program, {"ingest": "API_KEY", "processors": "REFERENCE"}[program])


def test_a_secret_written_into_the_file_is_refused_and_not_repeated(operator: Operator) -> None:
    operator.write(SETTINGS.replace("env:API_KEY", "ck_live_1234"))
    ended = operator.start("ingest")
    assert "env:NAME or file:/path" in ended.stderr
    assert "ck_live_1234" not in ended.stderr + ended.stdout


def test_a_registry_that_is_not_there(operator: Operator) -> None:
    operator.write(registry="http://127.0.0.1:9/apis/ccompat/v7")
    operator.is_told("processors", "http://127.0.0.1:9/apis/ccompat/v7", "start it, or correct")


def test_a_registry_that_lacks_the_schema_of_this_version(operator: Operator) -> None:
    """A new version is started before its schemas are registered."""
    newer = operator.directory / "schemas"  # beside where it starts, so Python finds it first
    shutil.copytree(ROOT / "schemas", newer, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "witness.avsc").write_text(schema_text("witness").replace("Raw topic.", "Topic."))
    operator.write()
    operator.is_told("processors", "lacks", "witnesses-value", "penstock schemas register")


async def test_a_wrong_api_key_stops_the_feed_and_says_so(operator: Operator) -> None:
    async with PepayTwin(seed=1, rate=0) as twin:
        operator.write(url=twin.url)
        operator.environment["API_KEY"] = "ck_wrong"
        ended = await asyncio.to_thread(operator.start, "ingest")
    assert ended.returncode == 3
    assert "every feed was refused" in ended.stderr.splitlines()[-1]
    assert "ck_wrong" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr

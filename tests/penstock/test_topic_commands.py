"""The commands that read topics, and what they say when there is nothing to read."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from penstock.__main__ import app, main
from penstock.ports import LOOPBACK, free

COMMANDS = ["rejected list", "rejected show", "rejected redrive", "trace", "tail"]
READS = [
    "rejected list",
    "rejected show 0/0",
    "rejected redrive --yes",
    "trace pepay/shop/evt_1",
    "tail events",
    "tail raw --provider pepay",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_an_example(command: str) -> None:
    told = CliRunner().invoke(app, [*command.split(), "--help"])
    assert told.exit_code == 0
    assert "Example: penstock" in told.output


@pytest.fixture(scope="module")
def nowhere() -> dict[str, str]:
    """Give what an environment says of a stack that is away."""
    (port,) = free(1)
    return {
        "PENSTOCK_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{port}",
        "PENSTOCK_REGISTRY_URL": f"http://{LOOPBACK}:{port}",
    }


@pytest.fixture(scope="module")
def alone(nowhere: dict[str, str]) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Give the commands at work, side by side: each waits as long as Kafka may take."""
    running = {
        line: subprocess.Popen(
            [sys.executable, "-m", "penstock", *line.split()],
            env={"PATH": os.environ["PATH"], **nowhere},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in READS
    }
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("line", READS)
def test_kafka_that_is_away_is_one_line(line: str, alone: dict[str, subprocess.Popen[str]]) -> None:
    _, complained = alone[line].communicate(timeout=60)
    assert alone[line].returncode == 1
    (said,) = complained.splitlines()
    assert said.startswith(f"penstock: Kafka at {LOOPBACK}:")
    assert "start it, or correct the address" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rejected list --since yesterday", ("'yesterday'", "2h")),
        ("rejected show 17", ("'17'", "PARTITION/OFFSET")),
        ("tail raw --provider nobody", ("'nobody'", "pepay")),
    ],
)
def test_words_that_mean_nothing_are_one_line(
    line: str,
    words: tuple[str, ...],
    nowhere: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, address in nowhere.items():
        monkeypatch.setenv(name, address)
    monkeypatch.setattr(sys, "argv", ["penstock", *line.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("penstock: ")
    assert [word for word in words if word not in said] == []

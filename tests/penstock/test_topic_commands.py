"""The commands that read topics, and what they say when there is nothing to read."""

import sys

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


def complaint(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return the one line that a command says before it ends with exit code 1."""
    (port,) = free(1)
    monkeypatch.setenv("PENSTOCK_BOOTSTRAP_SERVERS", f"{LOOPBACK}:{port}")
    monkeypatch.setenv("PENSTOCK_REGISTRY_URL", f"http://{LOOPBACK}:{port}")
    monkeypatch.setattr(sys, "argv", ["penstock", *line.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("penstock: ")
    return said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_an_example(command: str) -> None:
    told = CliRunner().invoke(app, [*command.split(), "--help"])
    assert told.exit_code == 0
    assert "Example: penstock" in told.output


@pytest.mark.parametrize("line", READS)
def test_kafka_that_is_away_is_one_line(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = complaint(line, capsys, monkeypatch)
    assert f"Kafka at {LOOPBACK}:" in said
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
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = complaint(line, capsys, monkeypatch)
    assert [word for word in words if word not in said] == []

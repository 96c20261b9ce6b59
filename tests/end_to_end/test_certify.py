"""The command that certifies: every provider through every case, or a line that says why not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ingest.feeds import FEEDS
from penstock.certification import CASES
from tests.penstock.test_command import assert_one_line

Told = subprocess.CompletedProcess[str]
LEAST_CASES = 15
PENSTOCK = [sys.executable, "-m", "penstock", "certify"]


@pytest.fixture(scope="module")
def certified() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Give the command at work for every provider, all side by side."""
    running = {
        provider: subprocess.Popen(
            [*PENSTOCK, provider, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for provider in FEEDS
    }
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("provider", FEEDS)
def test_every_case_of_a_provider_passes(
    certified: dict[str, subprocess.Popen[str]], provider: str
) -> None:
    printed, complained = certified[provider].communicate(timeout=115)
    told = json.loads(printed)
    failed = [(case["name"], case["detail"]) for case in told["cases"] if not case["passed"]]
    assert failed == []
    assert complained == ""
    assert certified[provider].returncode == 0
    assert told["provider"] == provider
    assert [case["id"] for case in told["cases"]] == list(range(1, len(CASES[provider]) + 1))
    assert len(told["cases"]) >= LEAST_CASES


def run(*words: str, **variables: str) -> Told:
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        [*PENSTOCK, *words], env=environment, capture_output=True, text=True, check=False
    )


def test_help_shows_an_example() -> None:
    told = run("--help")
    assert told.returncode == 0
    assert "Example: penstock certify" in told.stdout


def test_unknown_provider_is_one_line_that_names_the_known() -> None:
    assert_one_line(run("nobody"), "nobody", *FEEDS)


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (["--url", "http://127.0.0.1:1/"], {"PENSTOCK_API_KEY": "k"}, ["ws://"]),
        (["--url", "ws://127.0.0.1:1/"], {}, ["PENSTOCK_API_KEY"]),
        (["--url", "ws://127.0.0.1:1/", "--settings", "none.toml"], {}, ["none.toml"]),
    ],
    ids=["scheme", "no key", "no file"],
)
def test_what_an_operator_got_wrong_is_one_line(
    words: list[str], variables: dict[str, str], said: list[str]
) -> None:
    assert_one_line(run("pepay", *words, **variables), *said)

"""The command as an operator meets it: one line when something is wrong, never a traceback."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from penstock.checkout import ROOT, STACKS
from penstock.ports import LOOPBACK, free
from penstock.stack import Stack
from schemas.codec import schema_text
from schemas.registry import SUBJECTS

Told = subprocess.CompletedProcess[str]
Penstock = Callable[..., Told]

PROGRESS = ["penstock: starting Kafka and the registry"]
COMMANDS = [
    [],
    ["stack"],
    ["stack", "up"],
    ["stack", "down"],
    ["stack", "status"],
    ["topics"],
    ["topics", "apply"],
    ["topics", "check"],
    ["schemas"],
    ["schemas", "check"],
    ["schemas", "register"],
    ["schemas", "show"],
    ["schemas", "diff"],
    ["schemas", "reference"],
]


@pytest.fixture
def penstock(tmp_path: Path) -> Penstock:
    """Give the command, run in an empty directory with an empty environment."""

    def run(*words: str, **variables: str) -> Told:
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
        return subprocess.run(
            [sys.executable, "-m", "penstock", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    return run


@pytest.fixture
def name() -> Iterator[str]:
    """Give the name of a stack that nobody else has, and throw away what is left of it."""
    name = f"test-{os.getpid()}"
    yield name
    shutil.rmtree(STACKS / name, ignore_errors=True)


def assert_one_line(told: Told, *words: str) -> None:
    said = [line for line in told.stderr.splitlines() if line not in PROGRESS]
    assert told.returncode == 1
    assert len(said) == 1, told.stderr
    assert said[0].startswith("penstock: ")
    for word in words:
        assert word in said[0]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_those_that_act_an_example(
    penstock: Penstock, command: list[str]
) -> None:
    told = penstock(*command, "--help")
    assert told.returncode == 0
    assert ("Example: penstock" in told.stdout) == (len(command) == 2)


def status_of(penstock: Penstock, name: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = json.loads(penstock("stack", "status", "--json").stdout)
    (told,) = [row for row in rows if row["name"] == name]
    return told


def test_stack_lives_from_up_to_down(penstock: Penstock, name: str) -> None:
    up = penstock("stack", "up", "--name", name)
    assert up.returncode == 0, up.stderr
    told = status_of(penstock, name)
    assert told["running"]
    assert told["bootstrap_servers"] in up.stdout

    assert "running" in penstock("stack", "status").stdout
    again = penstock("stack", "up", "--name", name)
    assert told["bootstrap_servers"] in again.stdout

    psutil.Process(told["registry"]["pid"]).kill()
    mended = penstock("stack", "up", "--name", name)
    assert mended.returncode == 0, mended.stderr
    assert told["bootstrap_servers"] in mended.stdout
    told = status_of(penstock, name)

    applied = penstock("topics", "apply", "--stack", name, "--partitions", "2")
    assert applied.returncode == 0, applied.stderr
    assert penstock("schemas", "register", "--stack", name).returncode == 0

    down = penstock("stack", "down", "--name", name, "--delete")
    assert down.returncode == 0, down.stderr
    assert not psutil.pid_exists(told["brokers"][0]["pid"])
    assert not psutil.pid_exists(told["registry"]["pid"])
    assert not (STACKS / name).exists()


def test_stack_that_the_environment_names_is_not_started(penstock: Penstock) -> None:
    told = penstock(
        "stack",
        "up",
        PENSTOCK_BOOTSTRAP_SERVERS="kafka.example:9092",
        PENSTOCK_REGISTRY_URL="http://registry.example",
    )
    assert told.returncode == 0
    assert "nothing was started" in told.stdout


def test_missing_java_is_one_line(penstock: Penstock, name: str) -> None:
    told = penstock("stack", "up", "--name", name, PATH="/nowhere")
    assert_one_line(told, "Java 17 or later", "STACK=docker")


def test_missing_docker_engine_is_one_line(penstock: Penstock, name: str) -> None:
    told = penstock(
        "stack", "up", "--name", name, STACK="docker", DOCKER_HOST="unix:///nowhere/docker.sock"
    )
    assert_one_line(told, "STACK=docker", "unset STACK")


def test_taken_port_is_one_line(penstock: Penstock, name: str) -> None:
    with socket.socket() as somebody:
        somebody.bind((LOOPBACK, 0))
        somebody.listen()
        port = str(somebody.getsockname()[1])
        told = penstock("stack", "up", "--name", name, "--registry-port", port)
    assert_one_line(told, f"{LOOPBACK}:{port} is taken", "the registry")


def test_stack_that_is_not_there_is_one_line(penstock: Penstock) -> None:
    assert_one_line(penstock("stack", "down", "--name", "nobody"), "nobody", "stack status")
    assert_one_line(penstock("topics", "check", "--stack", "nobody"), "stack up --name nobody")


def test_name_that_leaves_the_directory_is_refused(penstock: Penstock) -> None:
    assert_one_line(penstock("stack", "up", "--name", "../x"), "cannot name a stack")


def test_unreachable_servers_are_one_line(penstock: Penstock) -> None:
    (port,) = free(1)
    registry = f"http://{LOOPBACK}:{port}/apis/ccompat/v7"
    for action in ("check", "register", "show", "diff --against registry"):
        told = penstock("schemas", *action.split(), PENSTOCK_REGISTRY_URL=registry)
        assert_one_line(told, registry, "PENSTOCK_REGISTRY_URL")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[kafka", "not TOML"),
        ("[kafka]\nservers = 'x:1'", "kafka.servers"),
        ("[kafka]\nbootstrap_servers = 9092", "kafka.bootstrap_servers"),
    ],
)
def test_bad_settings_file_is_one_line(
    penstock: Penstock, tmp_path: Path, text: str, word: str
) -> None:
    (tmp_path / "penstock.toml").write_text(text)
    assert_one_line(penstock("topics", "check"), "penstock.toml", word)


def test_settings_file_that_is_not_there_is_one_line(penstock: Penstock) -> None:
    told = penstock("topics", "check", "--settings", "elsewhere.toml")
    assert_one_line(told, "elsewhere.toml")


def test_settings_file_says_where_the_registry_is(
    penstock: Penstock, tmp_path: Path, prepared_stack: Stack
) -> None:
    (tmp_path / "penstock.toml").write_text(
        f'[registry]\nurl = "{prepared_stack.registry_url}"\n[ingest]\nhttp = "127.0.0.1:0"\n'
    )
    told = penstock("schemas", "show")
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("FULL_TRANSITIVE") == len(SUBJECTS)


def test_topics_check_tells_what_differs_and_apply_refuses_it(
    penstock: Penstock, prepared_stack: Stack
) -> None:
    servers = ("--bootstrap-servers", prepared_stack.bootstrap_servers)
    assert penstock("topics", "check", *servers, "--partitions", "4").returncode == 0
    check = penstock("topics", "check", *servers, "--partitions", "5")
    assert check.returncode == 1
    assert "events: has 4 partitions, wanted 5" in check.stdout
    assert_one_line(
        penstock("topics", "apply", *servers, "--partitions", "5"), "nothing was changed"
    )


def test_schema_is_printed_byte_for_byte(penstock: Penstock) -> None:
    assert penstock("schemas", "show", "events-value", "--text").stdout == schema_text("event")


def test_subject_that_is_not_ours_is_one_line(penstock: Penstock) -> None:
    for action in ("show", "diff"):
        assert_one_line(penstock("schemas", action, "event"), "events-value")


@pytest.fixture
def working_tree(tmp_path: Path) -> Path:
    """Give the directory of schemas that the command reads, to be changed."""
    copy = tmp_path / "schemas"  # of the directory where it starts, so Python finds it first
    shutil.copytree(ROOT / "schemas", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def edit(tree: Path, was: str, is_now: str) -> None:
    file = tree / "event.avsc"
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, is_now))


def test_schemas_that_did_not_change_pass_without_a_registry(penstock: Penstock) -> None:
    told = penstock("schemas", "check", "--offline")
    assert told.returncode == 0, told.stderr
    assert "nothing changed" in penstock("schemas", "diff", "events-value").stdout


def test_harmful_change_fails_the_check_and_names_the_field(
    penstock: Penstock, working_tree: Path
) -> None:
    edit(working_tree, '"scale": 18', '"scale": 8')
    told = penstock("schemas", "check", "--offline")
    assert told.returncode == 1
    assert "events-value: Money.amount: was null or bytes as decimal(38, 18)" in told.stdout
    assert "(released v1)" in told.stdout
    found = json.loads(penstock("schemas", "diff", "--json").stdout)
    assert all(one["harm"] for one in found)
    assert {"events-value"} == {one["subject"] for one in found}
    assert {"Money.amount", "Level.price", "Level.quantity"} == {one["at"] for one in found}


def test_harmful_change_is_not_registered_even_where_nothing_was_yet(
    penstock: Penstock, working_tree: Path, stack: Stack
) -> None:
    edit(working_tree, '"scale": 18', '"scale": 8')
    told = penstock("schemas", "register", "--registry-url", stack.registry_url)
    assert_one_line(told, "events-value: Money.amount", "released v1")


def test_harmless_change_passes_and_is_shown(
    penstock: Penstock, working_tree: Path, prepared_stack: Stack
) -> None:
    field = '{"name": "batch", "type": ["null", "string"], "doc": "Batch.", "default": null},'
    edit(working_tree, '  {"name": "mapper"', f'  {field}\n  {{"name": "mapper"')
    registry = ("--registry-url", prepared_stack.registry_url)
    told = penstock("schemas", "check", *registry)
    assert told.returncode == 0, told.stdout + told.stderr
    shown = penstock("schemas", "diff", "--against", "registry", *registry).stdout
    assert "events-value, since registered version 1:\n" in shown
    assert "  Event.batch: was added as null or string, null where a record lacks it" in shown


def test_one_subject_is_shown_with_its_versions_and_every_field(
    penstock: Penstock, prepared_stack: Stack
) -> None:
    registry = ("--registry-url", prepared_stack.registry_url)
    shown = penstock("schemas", "show", "events-value", *registry).stdout
    assert "FULL_TRANSITIVE" in shown
    assert "Money: An exact amount of one currency." in shown
    assert "bytes as decimal(38, 18)" in shown


def test_page_of_the_contract_lists_every_field_as_the_schemas_have_it(penstock: Penstock) -> None:
    _, marker, listed = (ROOT / "docs" / "contract.md").read_text().partition("<!-- make reference")
    assert marker
    assert listed.partition("\n")[2] == penstock("schemas", "reference").stdout

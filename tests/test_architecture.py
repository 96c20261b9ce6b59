"""What import-linter cannot say: names, the environment, files, and what the wheel holds."""

import ast
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest

from ingest.feeds import FEEDS
from penstock.certification import CASES
from processors.mappers import MAPPERS
from twins import TWINS

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("ingest", "processors", "schemas", "twins", "penstock")
MODULES: Final = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}

REGISTRIES: Final = {
    "ingest/feeds/__init__.py",
    "processors/mappers/__init__.py",
    "twins/__init__.py",
    "penstock/certification/__init__.py",
    "penstock/readings/__init__.py",
}
"""Where every provider has its line."""

BANNED: Final = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "handler"}
BANNED_ALONE: Final = {"base", "data", "info"}

MET_ONLY_IN: Final = {
    "aiokafka": {
        "ingest/aiokafka_private.py",
        "ingest/batches.py",
        "ingest/key_log.py",
        "ingest/open_entities.py",
        "ingest/lease.py",
        "ingest/outlet.py",
        "ingest/raw_log.py",
        "processors/aiokafka_private.py",
        "processors/app.py",
        "processors/assignor.py",
        "processors/key_log.py",
        "processors/late_keys.py",
        "processors/outbox.py",
        "processors/restore.py",
        "processors/task.py",
    },
    "confluent_kafka": {"penstock/"},
    "faust": {"processors/__main__.py", "processors/app.py"},
    "httpx": {"penstock/", "schemas/registry.py"},
    "rocksdict": {"processors/state.py", "processors/store.py"},
    "engineio": {"twins/"},
    "socketio": {"twins/"},
    "websockets": {"ingest/wire.py"},
}
"""Library → the only modules, or the only package, of ours that import it."""

AIOKAFKA_PUBLIC: Final = {
    "aiokafka",
    "aiokafka.abc",
    "aiokafka.admin",
    "aiokafka.errors",
    "aiokafka.structs",
    # The documented way to write an assignor.
    "aiokafka.cluster",
    "aiokafka.coordinator.assignors.abstract",
    "aiokafka.coordinator.protocol",
}

MAY_READ: Final = {
    "ingest/settings.py",
    "ingest/credentials.py",
    # What waits on disk while Kafka is away.
    "ingest/spool.py",
    "processors/settings.py",
    "processors/credentials.py",
    # What a task keeps on its own disk.
    "processors/attempts.py",
    "processors/claim.py",
    "processors/store.py",
}
READS: Final = {"environ", "getenv", "open", "read_text", "read_bytes"}


def imported(tree: ast.Module) -> Iterator[str]:
    """Return the full name of every module that a module imports from."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module


def words(tree: ast.Module) -> Iterator[str]:
    """Return every name and string in a module's code; what docstrings say is prose."""
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                yield text
            case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name):
                yield name
            case ast.ImportFrom(module=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


def is_own_file(path: str, provider: str) -> bool:
    return any(part.startswith(provider) for part in Path(path).parts)


def test_one_provider_has_one_line_in_every_registry() -> None:
    assert set(FEEDS) == set(MAPPERS) == set(TWINS) == set(CASES)


@pytest.mark.parametrize("path", MODULES)
def test_no_provider_is_named_outside_its_own_files_and_the_registries(path: str) -> None:
    if path in REGISTRIES:
        return
    said = [word.lower() for word in words(MODULES[path])]
    named = [
        provider
        for provider in FEEDS
        if not is_own_file(path, provider) and any(provider in word for word in said)
    ]
    assert named == []


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.startswith(("ingest/", "processors/"))]
)
def test_environment_and_files_are_read_in_settings_and_credentials_alone(path: str) -> None:
    calls = [node.func for node in ast.walk(MODULES[path]) if isinstance(node, ast.Call)]
    read = {node.id for node in calls if isinstance(node, ast.Name) and node.id in READS}
    read |= {
        node.attr
        for node in ast.walk(MODULES[path])
        if isinstance(node, ast.Attribute)
        and node.attr in READS
        # There a mapper opens a frame.
        and not (node.attr == "open" and path == "processors/pipeline.py")
    }
    assert path in MAY_READ or read == set()


@pytest.mark.parametrize(("library", "places"), MET_ONLY_IN.items())
def test_library_is_met_where_the_design_says_alone(library: str, places: set[str]) -> None:
    met = {
        path
        for path, tree in MODULES.items()
        if any(module.partition(".")[0] == library for module in imported(tree))
    }
    assert {path for path in met if not path.startswith(tuple(places))} == set()


@pytest.mark.parametrize("path", [path for path in MODULES if "aiokafka_private" not in path])
def test_private_parts_of_aiokafka_are_in_one_module(path: str) -> None:
    met = {module for module in imported(MODULES[path]) if module.startswith("aiokafka")}
    assert met <= AIOKAFKA_PUBLIC


@pytest.mark.parametrize("path", MODULES)
def test_module_is_named_after_what_is_in_it(path: str) -> None:
    name = Path(path).stem
    assert BANNED.isdisjoint(name.split("_"))
    assert name not in BANNED_ALONE


@pytest.mark.parametrize("path", MODULES)
def test_module_says_in_one_sentence_what_it_is(path: str) -> None:
    assert ast.get_docstring(MODULES[path])


@pytest.mark.parametrize("package", PACKAGES)
def test_no_dependency_claims_our_import_names(package: str) -> None:
    assert set(packages_distributions().get(package, [])) <= {"penstock"}


def test_wheel_holds_every_module_and_schema(tmp_path: Path) -> None:
    """Build it as a packager does, without a network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PIP_NO_INDEX": "1"},
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for pattern in ("*.py", "*.avsc", "py.typed")
        for path in (ROOT / package).rglob(pattern)
    }
    assert wanted - held == set()
    assert {name for name in held if not name.startswith(PACKAGES)} == set()


def test_lock_file_names_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "find-links" not in lock
    pinned = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in line and line.endswith("\\") for line in pinned)


def test_released_schemas_are_json_that_anybody_can_read() -> None:
    for path in (ROOT / "schemas").glob("*.avsc"):
        assert json.loads(path.read_text("ascii"))["namespace"] == "penstock"

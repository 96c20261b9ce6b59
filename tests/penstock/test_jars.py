"""Java, Maven, the network and the disk: what is missing is told, and nothing half stays."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.checkout import POM
from penstock.errors import OperatorError
from penstock.jars import fetched, java, require_room

FETCHES = """
for word in "$@"; do
  case "$word" in -Dstack.directory=*) place="${word#*=}" ;; esac
done
mkdir -p "$place/kafka/lib" "$place/registry"
: > "$place/registry/x-runner.jar"
echo run >> """
FAILS = """
echo "[INFO] Building"
echo "[ERROR] repo.example: no route"
echo "[ERROR] and more"
exit 1
"""

Program = Callable[[str, str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Give a maker of programs; no others are found but those of the shell."""
    place = tmp_path / "bin"
    place.mkdir()
    for name in ("sh", "mkdir"):
        (place / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(place))

    def make(name: str, script: str) -> None:
        (place / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / name).chmod(0o755)

    return make


@pytest.mark.usefixtures("program")
def test_missing_java_is_told_with_both_ways_out() -> None:
    with pytest.raises(OperatorError, match=r"Java 17 or later .* none was found .* STACK=docker"):
        java()


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_392"])
def test_java_that_is_too_old_is_told(program: Program, version: str) -> None:
    program("java", f"echo 'openjdk version \"{version}\" 2024-01-16' >&2")
    with pytest.raises(OperatorError, match=r"is Java (11|8):"):
        java()


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.1", "25-ea"])
def test_java_that_is_new_enough_is_used(program: Program, version: str) -> None:
    program("java", f"echo 'openjdk version \"{version}\" 2024-01-16' >&2")
    assert java().endswith("/bin/java")


@pytest.mark.usefixtures("program")
def test_missing_maven_is_told_with_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"no mvn was found on PATH: .* STACK=docker"):
        fetched(lambda _: None, tmp_path / "cache")


def test_failed_download_is_told_by_mavens_own_word_and_leaves_nothing(
    program: Program, tmp_path: Path
) -> None:
    program("mvn", FAILS)
    cache = tmp_path / "cache"
    with pytest.raises(OperatorError, match=r"repo\.example: no route: check the network"):
        fetched(lambda _: None, cache)
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_jars_are_fetched_once_however_many_want_them(program: Program, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    program("mvn", f"{FETCHES} {runs}")
    with ThreadPoolExecutor(4) as everybody:
        found = list(everybody.map(lambda _: fetched(lambda _: None, tmp_path / "cache"), range(4)))
    assert runs.read_text() == "run\n"
    assert {jars.registry.is_file() for jars in found} == {True}


def test_another_pom_is_fetched_anew(program: Program, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    program("mvn", f"{FETCHES} {runs}")
    fetched(lambda _: None, tmp_path / "cache")
    changed = tmp_path / "pom.xml"
    changed.write_text(POM.read_text().replace("<!--", "<!-- another "))
    fetched(lambda _: None, tmp_path / "cache", changed)
    assert runs.read_text() == "run\nrun\n"


def test_progress_is_told(program: Program, tmp_path: Path) -> None:
    lines = "\\n".join(["Downloaded from central: x.jar"] * 50)
    program("mvn", f"printf '{lines}\\n'; {FETCHES} {tmp_path / 'runs'}")
    said: list[str] = []
    fetched(said.append, tmp_path / "cache")
    assert said[1:] == ["25 files fetched", "50 files fetched"]


def test_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=rf"{tmp_path}: .* MiB of free disk are needed"):
        require_room(tmp_path, 2**60)

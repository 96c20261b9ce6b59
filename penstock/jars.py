"""Kafka's and the registry's programs: fetched once through Maven, then kept.

https://maven.apache.org/plugins/maven-dependency-plugin/
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.checkout import CACHE, POM
from penstock.errors import OperatorError

_OLDEST_JAVA: Final = 17
_JARS_BYTES: Final = 600 * 2**20
"""What is unpacked (190 MB), and as much again in Maven's own repository."""
_A_PROGRESS_LINE: Final = 25
"""Files between two lines of progress."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jars:
    """Programs of one pair of versions."""

    directory: Path

    @property
    def kafka(self) -> str:
        """Return the class path of Kafka's broker and tools."""
        return str(self.directory / "kafka" / "lib" / "*")

    @property
    def registry(self) -> Path:
        """Return the registry's runnable jar."""
        (jar,) = (self.directory / "registry").glob("*-runner.jar")
        return jar


def java() -> str:
    """Return the Java program; ``OperatorError`` if there is none of 17 or later."""
    program = shutil.which("java")
    if program is None:
        raise OperatorError(_no_java("none was found on PATH"))
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    if version is None:
        raise OperatorError(_no_java(f"{program} does not tell its version"))
    if int(version[1]) < _OLDEST_JAVA:
        raise OperatorError(_no_java(f"{program} is Java {version[1]}"))
    return program


def _no_java(found: str) -> str:
    return (
        f"Java {_OLDEST_JAVA} or later is needed to run Kafka, and {found}: install one "
        "(openjdk-17-jre-headless or the like), or set STACK=docker"
    )


def require_room(directory: Path, needed: int) -> None:
    """Raise ``OperatorError`` if the disk of a directory has fewer free bytes than needed."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise OperatorError(
            f"{directory}: {needed >> 20} MiB of free disk are needed, "
            f"{free >> 20} MiB are there: make room"
        )


def fetched(say: Say, cache: Path = CACHE, pom: Path = POM) -> Jars:
    """Return the jars, fetching them if this cache lacks them.

    Whole or not at all: they are fetched beside their place and renamed into it, by one
    process at a time. ``say`` gets lines of progress.
    """
    if not pom.is_file():
        raise OperatorError(f"{pom} is missing: run the local stack from a checkout")
    place = cache / _name(pom.read_text())
    if not place.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / "lock", say):
            if not place.is_dir():
                _fetch(pom, place, say)
    return Jars(place)


def _name(pom: str) -> str:
    """Return a directory name that changes with every change of the pom."""
    versions = dict(re.findall(r"<(kafka|apicurio)\.version>([^<]+)<", pom))
    digest = hashlib.sha256(pom.encode()).hexdigest()[:8]
    return f"kafka-{versions['kafka']}-apicurio-{versions['apicurio']}-{digest}"


@contextmanager
def _alone(lock: Path, say: Say) -> Iterator[None]:
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is fetching Kafka and the registry: waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _fetch(pom: Path, place: Path, say: Say) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise OperatorError(
            "Maven is needed once, to fetch Kafka and the registry, and no mvn was found on "
            "PATH: install it (apt install maven or the like), or set STACK=docker"
        )
    require_room(place.parent, _JARS_BYTES)
    say("fetching Kafka and the registry, once, through Maven (190 MB)")
    with tempfile.TemporaryDirectory(dir=place.parent) as unfinished:
        _run_maven([maven, "-B", "-Dstyle.color=never", "-f", str(pom)], unfinished, say)
        whole = Path(unfinished) / "whole"
        whole.rename(place)


def _run_maven(command: list[str], directory: str, say: Say) -> None:
    command = [*command, f"-Dstack.directory={directory}/whole", "package"]
    downloaded = 0
    complaints: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as maven:
        for line in maven.stdout or ():
            if "Downloaded from" in line:
                downloaded += 1
                if downloaded % _A_PROGRESS_LINE == 0:
                    say(f"{downloaded} files fetched")
            elif line.startswith("[ERROR]"):
                complaints.append(line.removeprefix("[ERROR]").strip())
    if maven.returncode != 0:
        raise OperatorError(
            "Maven could not fetch Kafka and the registry: "
            f"{complaints[0] if complaints else f'exit code {maven.returncode}'}: check the "
            "network and Maven's settings, then try again"
        )

"""The example consumers of ``docs/consumers``, built once and run as their readers run them."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.checkout import CACHE, ROOT

SOURCES: Final = ROOT / "docs" / "consumers"
MADE: Final = ("node_modules", "target")


@dataclass(frozen=True, slots=True)
class Consumer:
    """One language: what it needs on PATH, how it is built and how it is run."""

    tools: tuple[str, ...]
    build: tuple[str, ...]
    run: tuple[str, ...]

    def lacks(self) -> list[str]:
        return [tool for tool in self.tools if shutil.which(tool) is None]


CONSUMERS: Final = {
    "python": Consumer((), (), (sys.executable, "events.py")),
    "node": Consumer(("node", "npm"), ("npm", "ci", "--ignore-scripts"), ("node", "events.js")),
    "java": Consumer(
        ("javac", "mvn"),
        ("mvn", "-B", "-q", "package"),
        ("java", "-Xmx256m", "-cp", "target/classes:target/lib/*", "Events"),
    ),
    "go": Consumer(("go",), ("go", "build", "-o", "target/events", "."), ("target/events",)),
}


def built(language: str) -> Path:
    """Return a directory where the consumer can be run; it changes with every source."""
    sources = SOURCES / language
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.is_file() and not {*path.relative_to(sources).parts}.intersection(MADE):
            digest.update(path.name.encode() + path.read_bytes())
    place = CACHE / f"consumer-{language}-{digest.hexdigest()[:8]}"
    if not place.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
            whole = Path(unfinished) / "whole"
            shutil.copytree(sources, whole, ignore=shutil.ignore_patterns(*MADE))
            build(language, whole)
            whole.rename(place)
    return place


def build(language: str, directory: Path) -> None:
    command = CONSUMERS[language].build
    if command:
        made = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        assert made.returncode == 0, f"{' '.join(command)}: {made.stdout}{made.stderr}"


def lines(language: str, *words: str) -> list[str]:
    """Return what a consumer prints until it ends."""
    told = subprocess.run(
        [*CONSUMERS[language].run, *words],
        cwd=built(language),
        capture_output=True,
        check=False,
        timeout=90,
    )
    assert told.returncode == 0, told.stderr.decode()
    # Not splitlines, which ends a line at U+2028 too.
    return told.stdout.decode().removesuffix("\n").split("\n")

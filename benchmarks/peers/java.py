"""The Kafka Streams peers of `kafka_streams/`: built once through Maven, then started by name.

A further program is a public class with a ``main`` in ``kafka_streams/src/main/java/bench/``
that reads its options and runs with the help of ``Peer`` there, as ``Reference`` does; then
``command("Frames", …)`` starts it. Schemas that lie in this directory, ``<name>.avsc``, are in
the jar (``Peer.schema("<name>")``). Whatever changes under ``kafka_streams/`` or in a schema
is built anew at the next ``built()``.

A program runs until it is sent SIGTERM. ``python benchmarks/peers/java.py`` only builds.
"""

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from penstock.checkout import CACHE, ROOT
from penstock.errors import OperatorError
from penstock.jars import Say, java

_HERE = Path(__file__).resolve().parent
_PROJECT = _HERE / "kafka_streams"
_EVENT = ROOT / "schemas" / "event.avsc"
_LAST_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one Kafka Streams program is set. See ``Peer.java`` for what all of them share."""

    bootstrap: str
    application: str
    """Consumer group, and prefix of the changelog topic."""
    inputs: Sequence[str]
    output: str
    state: Path
    """Directory of its RocksDB."""
    commit_ms: int = 100
    """A transaction is committed as often: what latency is made of."""
    linger_ms: int = 5
    threads: int = 1


def command(main_class: str, jars: Path, options: Options) -> list[str]:
    """Return the command that runs a class of the package ``bench``; ``jars`` is ``built()``."""
    return [
        java(),
        "-cp",
        f"{jars}/classes:{jars}/lib/*",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        f"bench.{main_class}",
        *_words(options),
    ]


def _words(options: Options) -> Iterable[str]:
    yield from ("--bootstrap", options.bootstrap, "--application", options.application)
    yield from ("--inputs", ",".join(options.inputs), "--output", options.output)
    yield from ("--state", str(options.state), "--commit-ms", str(options.commit_ms))
    yield from ("--linger-ms", str(options.linger_ms), "--threads", str(options.threads))


def built(say: Say = print) -> Path:
    """Return the directory of classes and jars, built if its sources changed."""
    place = CACHE / f"kafka-streams-peers-{_digest()}"
    if not (place / "whole").is_file():
        say("building the Kafka Streams peers through Maven")
        _build(place)
        (place / "whole").touch()
    return place


def _digest() -> str:
    sources = [*_PROJECT.rglob("*.java"), _PROJECT / "pom.xml", *_HERE.glob("*.avsc"), _EVENT]
    told = hashlib.sha256()
    for source in sorted(sources):
        told.update(str(source.relative_to(ROOT)).encode() + b"\0" + source.read_bytes())
    return told.hexdigest()[:8]


def _build(place: Path) -> None:
    options = ["-B", "-q", "-Dstyle.color=never", f"-Dpeers.directory={place}"]
    command = ["mvn", *options, "-f", str(_PROJECT / "pom.xml"), "package"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise OperatorError(
            "Maven is needed to build the Kafka Streams peers, and no mvn was found on PATH: "
            "install it (apt install maven or the like)"
        ) from error
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[:_LAST_LINES])
        raise OperatorError(f"Maven could not build {_PROJECT}:\n{said}")


if __name__ == "__main__":
    print(built())

"""The reference work, ours against its peers, on one real Kafka, in turn.

``python benchmarks/reference.py [--runs 3] [--only ours --only streams] [--quick]``
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import programs
from benchmarks.bench_venv import bench_python
from benchmarks.drain import Drained, Program, cpu_of, drained, empty, table
from benchmarks.part import Chart, Tell
from benchmarks.peers import java
from benchmarks.peers.outcome import Outcome, outcome
from penstock.cluster import Cluster
from penstock.preparation import prepare
from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from schemas.topics import Topic

_PEERS = Path(__file__).resolve().parent / "peers"


@dataclass(frozen=True, slots=True)
class Seat:
    """What one run of a peer is given."""

    bootstrap: str
    group: str
    inputs: Sequence[str]
    output: str
    state: Path
    python: str
    jars: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    name: str
    command: Callable[[Seat], list[str]]
    warm: float
    """Share of its backlog that passes before anything is counted."""
    is_slow: bool = False
    """Whether it gets the short backlog: the long one would take it minutes."""
    tells_once: bool = True
    output: str | None = None
    """The topic that it writes to; None: one of its own for each run."""


def ours(bootstrap: str, group: str, inputs: Sequence[str], state: Path) -> list[str]:
    """Return the command that runs ours on the reference work."""
    words = ["--bootstrap", bootstrap, "--group", group, "--state", str(state)]
    return [sys.executable, str(_PEERS / "ours.py"), *words, "--inputs", ",".join(inputs)]


def _ours(seat: Seat) -> list[str]:
    return ours(seat.bootstrap, seat.group, seat.inputs, seat.state)


def _streams(seat: Seat) -> list[str]:
    options = java.Options(
        bootstrap=seat.bootstrap,
        application=seat.group,
        inputs=seat.inputs,
        output=seat.output,
        state=seat.state,
    )
    return java.command("Reference", seat.jars, options)


def _python(script: str, *more: str) -> Callable[[Seat], list[str]]:
    def command(seat: Seat) -> list[str]:
        words = ["--bootstrap", seat.bootstrap, "--group", seat.group, "--output", seat.output]
        words += ["--inputs", ",".join(seat.inputs), "--state", str(seat.state)]
        return [seat.python, str(_PEERS / script), *words, *more]

    return command


PEERS: Mapping[str, Peer] = {
    "ours": Peer(
        name="ours, exactly once, durable `state`", command=_ours, warm=0.1, output=topics.EVENTS
    ),
    "streams": Peer(
        # 250,000: they cost twice as much, because the JIT is at work.
        name="Kafka Streams 4.1, exactly_once_v2, RocksDB",
        command=_streams,
        warm=0.56,
    ),
    "aiokafka": Peer(
        name="plain aiokafka, transactions, no dedupe",
        command=_python("plain_aiokafka.py"),
        warm=0.1,
        tells_once=False,
    ),
    "aiokafka-hand": Peer(
        name="the same, Avro written by hand",
        command=_python("plain_aiokafka.py", "--by-hand"),
        warm=0.1,
        tells_once=False,
    ),
    "quixstreams": Peer(
        name="quixstreams, exactly once, RocksDB and changelog",
        command=_python("quix.py"),
        warm=0.1,
        is_slow=True,
    ),
    "faust": Peer(
        name="Faust agent with a table, at least once",
        command=_python("faust_agent.py"),
        warm=0.1,
        is_slow=True,
        tells_once=False,
    ),
}


class Size(NamedTuple):
    long: int
    short: int
    runs: int


FULL = Size(long=400_000, short=40_000, runs=3)
QUICK = Size(long=30_000, short=20_000, runs=1)


@dataclass(frozen=True, slots=True)
class Results:
    size: Size
    runs: Mapping[str, list[Drained]]
    """Key in ``PEERS`` → its runs."""


def measure(smoke: bool, tell: Tell) -> Results:  # noqa: FBT001 - as run.py calls every part
    return measured(QUICK if smoke else FULL, tell)


def measured(size: Size, tell: Tell, only: Sequence[str] = ()) -> Results:
    """Run every peer in turn. Raises ``SystemExit`` where one tells anything else."""
    chosen = {key: peer for key, peer in PEERS.items() if not only or key in only}
    runs: dict[str, list[Drained]] = {key: [] for key in chosen}
    python, jars = bench_python(), java.built()
    steps = len(chosen) * size.runs + 1
    with TemporaryDirectory() as directory, programs.stack(Path(directory)) as stack:
        tell(0, "writing the backlogs")
        backlogs = {
            is_slow: _fed(stack, python, "short" if is_slow else "long", count)
            for is_slow, count in ((False, size.long), (True, size.short))
        }
        for number in range(size.runs):
            for place, (key, peer) in enumerate(chosen.items(), 1):
                tell((number * len(chosen) + place) / steps, f"{peer.name}, run {number + 1}")
                backlog = backlogs[peer.is_slow]
                seat = Seat(
                    bootstrap=stack.bootstrap_servers,
                    group=f"{key}-{number}",
                    inputs=backlog.inputs,
                    output=peer.output or f"{key}-{number}",
                    state=Path(directory, f"{key}-{number}"),
                    python=python,
                    jars=jars,
                )
                runs[key].append(_run(stack, peer, seat, backlog))
    return Results(size, runs)


# ---- one run --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Backlog:
    inputs: Sequence[str]
    count: int
    told: Outcome


def _fed(stack: Stack, python: str, name: str, count: int) -> _Backlog:
    providers = [f"{name}-1", f"{name}-2"]
    prepare(stack, providers)
    inputs = [topics.raw(provider) for provider in providers]
    command = [python, str(_PEERS / "feeder.py"), "--bootstrap", stack.bootstrap_servers]
    command += ["--topics", ",".join(inputs), "--count", str(count)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return _Backlog(inputs, count, Outcome(*json.loads(told.stdout)))


def _run(stack: Stack, peer: Peer, seat: Seat, backlog: _Backlog) -> Drained:
    seat.state.mkdir()
    with _outputs(stack, seat.output):
        program = Program(
            seat.group,
            seat.group,
            peer.command(seat),
            seat.state.with_suffix(".log"),
            environment={"PYTHONUNBUFFERED": "1"},
        )
        warm = int(backlog.count * peer.warm)
        figures = drained(stack.connection, program, backlog.inputs, warm)
        _check(peer, stack, seat.output, backlog.told)
    return figures


@contextmanager
def _outputs(stack: Stack, name: str) -> Iterator[None]:
    """Make a topic to write to; leave nothing of what was written."""
    Cluster(stack.connection).apply([Topic(name, stack.partitions, 1)])
    try:
        yield
    finally:
        empty(stack, (name, topics.STATE))


def _check(peer: Peer, stack: Stack, topic: str, told: Outcome) -> None:
    """Raise ``SystemExit`` unless a topic has every fact, byte for byte, and none beside."""
    pairs = ((m.key() or b"", m.value() or b"") for m in whole(stack.connection, topic))
    found = outcome(pairs)
    if (found.facts, found.digest) != (told.facts, told.digest):
        raise SystemExit(
            f"{peer.name}: expected {told.facts:,} facts of the reference work on its topic, "
            f"found {found.facts:,}, and not the same: not the same work"
        )
    if peer.tells_once and found.records != told.facts:
        raise SystemExit(
            f"{peer.name}: told {found.records - told.facts:,} facts twice: not the same work"
        )


# ---- what it shows --------------------------------------------------------------------

_OURS, _STREAMS, _QUIX, _FAUST = "ours", "streams", "quixstreams", "faust"
_ALLOWED = {_STREAMS: 0.6, _QUIX: 0.2}


def report(results: Results) -> str:
    size = results.size
    named = {PEERS[key].name: runs for key, runs in results.runs.items()}
    return (
        "### The reference work, against its peers\n\n"
        f"{table('min / median / max', named)}\n\n"
        f"{_ratios(results)}"
        f"{size.long:,} events of 600 B of JSON on two topics of four partitions, one in ten told "
        "before, each to become an Avro record of 21 fields; quixstreams and Faust have "
        f"{size.short:,}. {size.runs} runs each, in turn, on one broker. CPU is the whole "
        "process's, after a warm-up: a tenth of the events; for Kafka Streams the first "
        f"{int(size.long * PEERS[_STREAMS].warm):,}, for its JIT. After each run the output topic "
        "was read back `read_committed`: all of them hold the same set of keys and bytes.\n"
    )


def _ratios(results: Results) -> str:
    if results.size.long < FULL.long:
        return "A smoke run: the JIT is still at work, and nothing of this compares.\n\n"
    told = ""
    for key, allowed in _ALLOWED.items():
        if _OURS in results.runs and key in results.runs:
            mine, theirs = (cpu_of(results.runs[name]).median for name in (_OURS, key))
            told += (
                f"Ours takes {mine / theirs:.2f} of the CPU of {PEERS[key].name.split(',')[0]} "
                f"(target: {allowed}).\n"
            )
    return told + "\n" if told else ""


def charts(results: Results) -> list[Chart]:
    """Return one panel, without Faust: beside it the others would look alike."""
    told = {key: cpu_of(runs) for key, runs in results.runs.items()}
    bars = {PEERS[key].name: figures for key, figures in told.items() if key != _FAUST}
    title = "The reference work: CPU per event, min / median / max"
    if _FAUST in told:
        title += f" (not shown: Faust, {told[_FAUST].median:,.0f} µs)"
    return [Chart(title, "µs", bars)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="of each peer")
    parser.add_argument("--events", type=int, help="of the long backlog; the short has half")
    parser.add_argument("--only", action="append", choices=PEERS, default=[])
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    asked = parser.parse_args()
    size = QUICK if asked.quick else FULL
    if asked.events:
        size = size._replace(long=asked.events, short=asked.events // 2)
    size = size._replace(runs=asked.runs or size.runs)
    print(report(measured(size, lambda _, what: print(what, file=sys.stderr), asked.only)))


if __name__ == "__main__":
    main()

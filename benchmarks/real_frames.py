"""Real frames of the providers, ours against its peers, on one real Kafka, in turn.

Everything is on: headers read, envelopes opened, tokens verified, evidence hashed, mapped,
judged against what is remembered, encoded as Avro, told once in a transaction. After each run
what it told is read back and held against ours, byte for byte.

``python benchmarks/real_frames.py [--quick] [--runs 3] [--only ours --only streams]``
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count as numbers
from os import getloadavg
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from confluent_kafka import Producer
from msgspec import structs

from benchmarks import programs
from benchmarks.bench_venv import bench_python
from benchmarks.drain import Drained, Program, cpu_of, drained, empty, table
from benchmarks.frames import Recording, record
from benchmarks.part import Chart, Tell
from benchmarks.peers import java
from benchmarks.same_events import (
    Telling,
    ends,
    require_same_events,
    require_same_open,
    telling,
    whole_event,
)
from benchmarks.stages import raws
from ingest.feeds import FEEDS
from penstock.checkout import ROOT
from penstock.cluster import Cluster
from penstock.preparation import prepare
from penstock.stack import Stack
from schemas import topics
from schemas.codec import raw_headers
from schemas.registry import Registry, schema_ids
from schemas.topics import Topic

_PEERS = Path(__file__).resolve().parent / "peers"
_PARTITIONS = 4
_LIMIT = 180.0
_REFERENCE = "benchmark" * 4


@dataclass(frozen=True, slots=True)
class Seat:
    """What one run of a peer is given."""

    stack: Stack
    group: str
    inputs: Sequence[str]
    events: str
    open: str
    directory: Path
    schema_id: int
    settings: Callable[[str, Path], str]
    """Application and directory of its state → the settings of our own program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    name: str
    command: Callable[[Seat], list[str]]
    warm: float
    """Share of its backlog that passes before anything is counted."""
    is_slow: bool = False
    """Whether it gets the short backlog: the long one would take it minutes."""
    judges: bool = True
    """Whether it remembers: else it tells the same ids, each as if it were the first."""
    tells_once: bool = True
    tells_open: bool = False
    is_ours: bool = False


def _ours(*words: str) -> Callable[[Seat], list[str]]:
    def command(seat: Seat) -> list[str]:
        settings = seat.directory / "benchmark.toml"
        settings.write_text(seat.settings(seat.group, seat.directory / "state"), "utf-8")
        return [sys.executable, *words, "--settings", str(settings)]

    return command


_WITHOUT_C: Final = (
    "import runpy, sys; sys.modules['schemas.avro_native'] = None; "
    "runpy.run_module('processors', run_name='__main__', alter_sys=True)"
)
"""What cannot be imported was not built."""


def _streams(seat: Seat) -> list[str]:
    options = java.Options(
        bootstrap=seat.stack.bootstrap_servers,
        application=seat.group,
        inputs=seat.inputs,
        output=seat.events,
        state=seat.directory / "state",
    )
    more = ["--open", seat.open, "--schema-id", str(seat.schema_id)]
    return [*java.command("Frames", java.built(), options), *more]


def _python(script: str) -> Callable[[Seat], list[str]]:
    def command(seat: Seat) -> list[str]:
        words = ["--bootstrap", seat.stack.bootstrap_servers, "--group", seat.group]
        words += ["--inputs", ",".join(seat.inputs), "--output", seat.events]
        words += ["--state", str(seat.directory / "state"), "--schema-id", str(seat.schema_id)]
        return [bench_python(), str(_PEERS / script), *words]

    return command


PEERS: Mapping[str, Peer] = {
    "ours": Peer(
        name="ours, exactly once, durable `state`",
        command=_ours("-m", "processors"),
        warm=0.1,
        tells_open=True,
        is_ours=True,
    ),
    "python": Peer(
        name="ours without C: Avro written in Python",
        command=_ours("-c", _WITHOUT_C),
        warm=0.1,
        tells_open=True,
        is_ours=True,
    ),
    "streams": Peer(
        name="Kafka Streams 4.1, exactly_once_v2, RocksDB",
        command=_streams,
        warm=0.7,  # The first 250,000: the JIT is at work.
        tells_open=True,
    ),
    "aiokafka": Peer(
        name="plain aiokafka, transactions, no dedupe, our mappers",
        command=_python("frames_aiokafka.py"),
        warm=0.1,
        judges=False,
        tells_once=False,
    ),
    "quixstreams": Peer(
        name="quixstreams, exactly once, RocksDB and changelog, our mappers",
        command=_python("frames_quix.py"),
        warm=0.1,
        is_slow=True,
    ),
    "faust": Peer(
        name="Faust agent with tables, at least once, our mappers",
        command=_python("frames_faust.py"),
        warm=0.1,
        is_slow=True,
        tells_once=False,
    ),
}


class Size(NamedTuple):
    frames: int
    """Of each provider, recorded once."""
    rounds: int
    """How often all of them are told, each time to other accounts: other facts."""
    short: int
    """Frames of each provider and account in the short backlog."""
    runs: int

    @property
    def long(self) -> int:
        return self.frames * len(FEEDS) * _PARTITIONS * self.rounds


FULL = Size(frames=9_000, rounds=2, short=1_000, runs=3)
QUICK = Size(frames=1_000, rounds=1, short=500, runs=1)


@dataclass(frozen=True, slots=True)
class Results:
    size: Size
    runs: Mapping[str, list[Drained]]
    """Key in ``PEERS`` → its runs."""
    told: int
    """Events that ours told of the long backlog."""
    load: float
    """Load average of a minute, before the first run."""


def measure(smoke: bool, tell: Tell) -> Results:  # noqa: FBT001 - as run.py calls every part
    return measured(QUICK if smoke else FULL, tell)


def measured(size: Size, tell: Tell, only: Sequence[str] = ()) -> Results:
    """Run every peer in turn. Raises ``SystemExit`` where one tells anything else than ours."""
    chosen = [key for key in PEERS if not only or key in {"ours", *only}]
    runs: dict[str, list[Drained]] = {key: [] for key in chosen}
    tell(0, "recording frames from the twins")
    recordings = [record(name, size.frames) for name in FEEDS]
    steps = len(chosen) * size.runs + 1
    load = getloadavg()[0]
    with TemporaryDirectory() as directory, programs.stack(Path(directory)) as stack:
        bench = _Bench(stack, Path(directory), recordings, size)
        bench.fill()
        for number in range(size.runs):
            for place, key in enumerate(chosen, 1):
                share = (number * len(chosen) + place) / steps
                tell(share, PEERS[key].name)
                runs[key].append(bench.run(key, number))
        return Results(size, runs, bench.told, load)


class _Bench:
    def __init__(
        self, stack: Stack, directory: Path, recordings: Sequence[Recording], size: Size
    ) -> None:
        self._stack, self._directory, self._size = stack, directory, size
        self._recordings = recordings
        self._raws = [list(raws(recording)) for recording in recordings]
        """Made once: what was received twice was received at one time."""
        self._accounts = _accounts(size.rounds)
        self._ours: Telling | None = None
        self._inputs = {
            False: [topics.raw(recording.provider) for recording in recordings],
            True: [f"short.{recording.provider}" for recording in recordings],
        }
        providers = [recording.provider for recording in recordings]
        prepare(stack, providers)
        Cluster(stack.connection).apply(
            [Topic(name, stack.partitions, 1) for name in self._inputs[True]]
        )
        self._schema_id = schema_ids(Registry(stack.registry_url))[topics.EVENTS]

    @property
    def told(self) -> int:
        return 0 if self._ours is None else len(self._ours.events)

    # ---- the backlogs -----------------------------------------------------------------

    def fill(self) -> None:
        """Write both backlogs: the short one is how the long one begins, offsets and all."""
        self._write(self._accounts, self._inputs[False], self._size.frames)
        self._write(self._accounts[:_PARTITIONS], self._inputs[True], self._size.short)

    def _write(self, accounts: Sequence[str], inputs: Sequence[str], count: int) -> None:
        servers = {"bootstrap.servers": self._stack.bootstrap_servers, "linger.ms": 50}
        producer = Producer(servers)
        for account in accounts:
            at = topics.partition_of(account, _PARTITIONS)
            for topic, told in zip(inputs, self._raws, strict=True):
                for raw in told[:count]:
                    headers = raw_headers(structs.replace(raw, account=account))
                    producer.produce(topic, raw.value, account, at, headers=list(headers))
                    producer.poll(0)
                producer.flush()

    # ---- one run ----------------------------------------------------------------------

    def run(self, key: str, number: int) -> Drained:
        """Let a peer drain its backlog, and hold what it told against ours."""
        peer, seat, kafka = PEERS[key], self._seat(key, number), self._stack.connection
        told = seat.events, seat.open
        if peer.is_ours:  # Before it: where a peer differs, what ours told is read again.
            empty(self._stack, [seat.events, topics.STATE])
            begun = ends(kafka, told)
        else:
            Cluster(kafka).apply([Topic(name, _PARTITIONS, 1) for name in told])
            begun = {}
        warm = int(self._count(peer) * peer.warm)
        figures = drained(kafka, self._program(peer, seat), seat.inputs, warm, limit=_LIMIT)
        self._check(peer, telling(kafka, *told, begun))
        if not peer.is_ours:
            empty(self._stack, [seat.events])
        return figures

    def _seat(self, key: str, number: int) -> Seat:
        group, is_ours = f"{key}-{number}", PEERS[key].is_ours
        directory = self._directory / group
        directory.mkdir()
        return Seat(
            stack=self._stack,
            group=group,
            inputs=self._inputs[PEERS[key].is_slow],
            events=topics.EVENTS if is_ours else f"events.{group}",
            open=topics.OPEN if is_ours else f"open.{group}",
            directory=directory,
            schema_id=self._schema_id,
            settings=self._settings,
        )

    def _count(self, peer: Peer) -> int:
        size = self._size
        return size.short * len(FEEDS) * _PARTITIONS if peer.is_slow else size.long

    def _program(self, peer: Peer, seat: Seat) -> Program:
        (token,) = (recording.token for recording in self._recordings if recording.token)
        secrets = {"TOKEN": token, "REFERENCE": _REFERENCE}
        log = seat.directory / "log"
        environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **secrets}
        return Program(seat.group, seat.group, peer.command(seat), log, environment)

    def _settings(self, application: str, state: Path) -> str:
        accounts = [
            f'[[accounts]]\nprovider = "{recording.provider}"\nname = "{name}"\n'
            'environment = "sandbox"\n' + ('keys = { k1 = "env:TOKEN" }\n' * bool(recording.token))
            for recording in self._recordings
            for name in self._accounts
        ]
        return (
            f'[kafka]\nbootstrap_servers = "{self._stack.bootstrap_servers}"\n'
            f'[registry]\nurl = "{self._stack.registry_url}"\n'
            f'[processors]\napplication = "{application}"\nstate_directory = "{state}"\n'
            'references = { id = "r1", key = "env:REFERENCE" }\n' + "".join(accounts)
        )

    def _check(self, peer: Peer, found: Telling) -> None:
        """Raise ``SystemExit`` unless it told what ours did, in its first run."""
        if self._ours is None:
            self._ours = found
        ours = self._ours.within(self._size.short) if peer.is_slow else self._ours
        require_same_events(peer, ours, found, partial(whole_event, self._stack.connection))
        if peer.tells_open:
            require_same_open(peer, ours, found)


def _accounts(rounds: int) -> list[str]:
    """Return names: the first of each partition in turn, then the second of each."""
    by_partition: list[list[str]] = [[] for _ in range(_PARTITIONS)]
    for name in (f"account-{number}" for number in numbers()):
        own = by_partition[topics.partition_of(name, _PARTITIONS)]
        if len(own) < rounds:
            own.append(name)
        if all(len(names) == rounds for names in by_partition):
            return [name for together in zip(*by_partition, strict=True) for name in together]
    raise AssertionError


# ---- what it shows --------------------------------------------------------------------

_OURS, _STREAMS = "ours", "streams"


def report(results: Results) -> str:
    size = results.size
    named = {PEERS[key].name: runs for key, runs in results.runs.items()}
    return (
        "### Real frames of the five providers, against its peers\n\n"
        f"{table('min / median / max', named)}\n\n"
        f"{_ratio(results)}"
        f"{size.long:,} frames of the providers' twins in equal parts, one in ten told before, "
        f"on five topics of {_PARTITIONS} partitions, which make {results.told:,} events; "
        "quixstreams and Faust have "
        f"{size.short * len(FEEDS) * _PARTITIONS:,}. {size.runs} runs each, in turn, on one "
        f"broker; load average {results.load:.1f} before the first. All of them read the headers "
        "of raw, open the envelopes, verify Transak's tokens, hash the frame, map, and write "
        "Avro with its headers. Kafka Streams does so in Java of its own; the others call our "
        "mappers, judge and encoder, and differ in plumbing and state. CPU is the whole "
        "process's, after a warm-up: a tenth of the frames; for Kafka Streams the first "
        f"{int(size.long * PEERS[_STREAMS].warm):,}, for its JIT. After each run its topic was "
        "read back `read_committed`: the same ids as ours and, of all that remember, the same "
        "Avro bytes but for `published_at`, the same keys and headers; of Kafka Streams also "
        "the same entities on `open`. The Python peers leave `open` out, and all peers "
        "`coverage`."
    )


def _ratio(results: Results) -> str:
    if _STREAMS not in results.runs or results.size == QUICK:  # Its JIT is still at work.
        return ""
    ours, theirs = (cpu_of(results.runs[key]).median for key in (_OURS, _STREAMS))
    return f"Ours takes {ours / theirs:.2f} of the CPU of Kafka Streams (target: 1).\n\n"


def charts(results: Results) -> list[Chart]:
    bars = {PEERS[key].name: cpu_of(runs) for key, runs in results.runs.items()}
    return [Chart("Real frames: CPU per frame", "µs", bars)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, help="of each provider, recorded once")
    parser.add_argument("--rounds", type=int, help="how often they are told, to other accounts")
    parser.add_argument("--runs", type=int, help="of each peer")
    parser.add_argument("--only", action="append", choices=PEERS, default=[])
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    asked = parser.parse_args()
    size = QUICK if asked.quick else FULL
    told = {name: getattr(asked, name) for name in ("frames", "rounds", "runs")}
    size = size._replace(**{name: number for name, number in told.items() if number})
    print(report(measured(size, lambda _, what: print(what, file=sys.stderr), asked.only)))


if __name__ == "__main__":
    main()

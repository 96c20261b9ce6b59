"""`python benchmarks/state.py`: ten million remembered ids over twelve tasks.

Prints a Markdown table beside the limits that the project set itself. The topic is a real
one on a local Kafka; what fills it is another process, and so is each restart, since memory
that was once used would be counted for ever. CPU per event is that of one whole
transaction but Kafka: map, judge, encode, pack, remember. Takes some four minutes.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from rich.console import Console

from benchmarks import programs
from benchmarks.frames import Recording, record
from benchmarks.stages import raws
from penstock.cluster import Cluster
from processors.__main__ import tune_garbage_collection
from processors.batch import Batch
from processors.mappers import MAPPERS
from processors.pipeline import process
from processors.restore import cluster_id, restore
from processors.state import Place, State, open_state
from processors.store import Buffers
from schemas.codec import pack_state
from schemas.connection import Connection
from schemas.records import EntitySeen, FactSeen, Position, Raw, StateRecord
from schemas.topics import STATE, all_topics

TASKS = 12
_PER_RECORD = 1_000
_FACTS_OF_AN_ENTITY = 4
_NOW = 1_700_000_000
_TRANSACTION = 500
_FRAMES = 6_000
_PASSES = 61
"""Over the frames, each as another account's; the first one warms up."""
_IDLE = 0.05
"""Seconds of CPU in one."""
_LIMITS = {
    "empty disk, ready after s": 60.0,
    "same disk, ready after s": 5.0,
    "killed, same disk, ready after s": 5.0,
    "RSS MB after a rebuild": 350.0,
    "RSS MB while events flow": 350.0,
    "CPU per event at all ids / at 1 %": 1.3,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=10_000_000)
    parser.add_argument("--part", choices=["fill", "open", "events"], help=argparse.SUPPRESS)
    parser.add_argument("--servers", help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kill", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    match asked.part:
        case "fill":
            asyncio.run(_fill(asked.servers, asked.ids))
        case "open":
            _tell(asyncio.run(_open(asked.servers, asked.directory)))
        case "events":
            recording = record("pepay", _FRAMES)
            flow = _events(recording, asked.servers, asked.directory, kill=asked.kill)
            _tell(asyncio.run(flow))
        case _:
            _print(_measured(asked.ids), asked.ids)


def _measured(ids: int) -> Mapping[str, float]:
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        programs.stack(Path(directory), TASKS) as stack,
    ):
        Cluster(stack.connection).apply(all_topics([], partitions=TASKS))
        few, many = Path(directory) / "few", Path(directory) / "many"

        def part(name: str, at: Path, *more: str) -> dict[str, float]:
            with console.status(f"{name} {at.name} {' '.join(more)}"):
                return _part(name, stack.bootstrap_servers, at, *more)

        part("fill", few, "--ids", str(ids // 100))
        part("open", few)
        base = part("events", few)
        part("fill", many, "--ids", str(ids - ids // 100))
        rebuilt = part("open", many)
        again = part("open", many)
        flowing = part("events", many)
        part("events", many, "--kill")
        killed = part("open", many)
        size = sum(file.stat().st_size for file in many.rglob("*") if file.is_file())
    return {
        "empty disk, ready after s": rebuilt["seconds"],
        "empty disk, CPU s of the process": rebuilt["cpu_s"],
        "same disk, ready after s": again["seconds"],
        "killed, same disk, ready after s": killed["seconds"],
        "RSS MB after a rebuild": rebuilt["rss_mb"],
        "RSS MB while events flow": flowing["rss_mb"],
        "CPU µs per event at 1 %": base["cpu_us"],
        "CPU µs per event at all ids": flowing["cpu_us"],
        "CPU per event at all ids / at 1 %": flowing["cpu_us"] / base["cpu_us"],
        "disk MB": size / 2**20,
    }


def _part(name: str, servers: str, directory: Path, *more: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", name, "--servers", servers]
    command += ["--directory", str(directory), *more]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode not in {0, -9}:
        sys.exit(f"{name} failed")
    lines = done.stdout.splitlines()  # those before the last are of the program's log
    told: dict[str, float] = json.loads(lines[-1]) if lines and not done.returncode else {}
    return told


def _tell(found: Mapping[str, float]) -> None:
    print(json.dumps(found))


def _print(found: Mapping[str, float], ids: int) -> None:
    print(f"\n| {ids:,} ids, {TASKS} tasks | measured | limit |\n|---|---:|---:|")
    for name, figure in found.items():
        limit = _LIMITS.get(name)
        print(f"| {name} | {figure:,.1f} | {'' if limit is None else f'{limit:g}'} |")


# ---- each in a process of its own -------------------------------------------------------


async def _fill(servers: str, ids: int) -> None:
    """Write what as many facts would leave in the topic, entities and all."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=2**20, linger_ms=20)
    await producer.start()
    draw = Random(ids)  # noqa: S311 - repeatable on purpose
    for number in range(ids // _PER_RECORD):
        value = pack_state(_learnt(draw, number))
        await producer.send(STATE, value, partition=number % TASKS)
    await producer.stop()


def _learnt(draw: Random, number: int) -> StateRecord:
    names = draw.randbytes(16 * _PER_RECORD)
    keys = [names[at : at + 16] for at in range(0, len(names), 16)]
    fact = FactSeen(names[:8], 1, True, 1, _NOW, number)  # noqa: FBT003
    entity = EntitySeen(4, (_NOW, 0), 3, True, _NOW, bytes(8), {"completed": names[:8]})  # noqa: FBT003
    return StateRecord(
        {"raw.benchmark": number},
        dict.fromkeys(keys, fact),
        dict.fromkeys(keys[::_FACTS_OF_AN_ENTITY], entity),
        {},
    )


async def _restored(servers: str, directory: Path) -> list[State]:
    cluster, buffers = await cluster_id(Connection(servers)), Buffers()
    places = [
        Place(directory=directory, cluster=cluster, application="benchmark", partition=number)
        for number in range(TASKS)
    ]
    states = [open_state(place, buffers) for place in places]
    turns = asyncio.Semaphore(2)  # as the processors do

    async def in_turn(state: State, number: int) -> None:
        async with turns:
            await restore(state, TopicPartition(STATE, number), Connection(servers))

    await asyncio.gather(*(in_turn(state, number) for number, state in enumerate(states)))
    return states


async def _open(servers: str, directory: Path) -> dict[str, float]:
    begun = time.monotonic()
    states = await _restored(servers, directory)
    taken = time.monotonic() - begun
    found = {"seconds": taken, "cpu_s": process_time(), "rss_mb": _rss_mb()}
    for state in states:
        state.close()
    return found


async def _events(
    recording: Recording, servers: str, directory: Path, *, kill: bool
) -> dict[str, float]:
    """Put real frames through all tasks in turn."""
    states = await _restored(servers, directory)
    producer = AIOKafkaProducer(bootstrap_servers=servers, max_request_size=2**22)
    await producer.start()
    tune_garbage_collection()
    _settle()
    spent = events = 0.0
    for number in range(1 if kill else _PASSES):
        # Another account's facts are other facts.
        told = [
            msgspec.structs.replace(raw, account=f"account-{number}") for raw in raws(recording)
        ]
        for turn, begun in enumerate(range(0, len(told), _TRANSACTION)):
            state = states[turn % TASKS]
            before = process_time()
            learnt = _judged(state, recording, told[begun : begun + _TRANSACTION], begun)
            between = process_time()
            for value in learnt:
                written = await producer.send_and_wait(STATE, value, partition=turn % TASKS)
            after = process_time()
            state.apply(learnt, written.offset + 1)
            if number:
                spent += process_time() - after + between - before
                events += _TRANSACTION
    if kill:
        os.kill(os.getpid(), signal.SIGKILL)
    await producer.stop()
    for state in states:
        state.close()
    return {"cpu_us": spent * 1e6 / max(1, events), "rss_mb": _rss_mb()}


def _settle() -> None:
    """Wait until RocksDB has compacted what the rebuild left: that is not these events'."""
    spent, before = 1.0, process_time()
    while spent > _IDLE:
        time.sleep(1)
        spent, before = process_time() - before, process_time()


def _judged(state: State, recording: Recording, some: list[Raw], begun: int) -> list[bytes]:
    """Do all that a task does with its records but talk to Kafka."""
    mapper, topic = MAPPERS[recording.provider], f"raw.{recording.provider}"
    batch = Batch(state, time.time_ns() // 1000)
    for offset, raw in enumerate(some, begun):
        process(raw, Position(topic, 0, offset), mapper, recording.keys, batch)
    return [pack_state(record) for record in state.learnt(batch, {topic: begun})]


def _rss_mb() -> float:
    """The most that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

"""The processor on a real Kafka: a backlog of real frames, drained by one process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import NamedTuple

import httpx
from confluent_kafka import Producer
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.frames import Recording, record
from benchmarks.part import Tell, spread
from benchmarks.stages import raws
from ingest.feeds import FEEDS
from penstock.ports import free
from penstock.preparation import prepare
from penstock.stack import Stack, local_stack
from schemas import topics
from schemas.codec import raw_headers

_ACCOUNTS = tuple(f"account-{number}" for number in range(16))
"""Enough of them that every partition, and so every task, has work."""
_FRAMES, _FEW, _RUNS = 20_000, 4_000, 3
_LIMIT = 180.0
_WARM = 0.1
"""Share of the backlog that is not measured."""


@dataclass(frozen=True, slots=True)
class Drained:
    """One run, after the warm-up."""

    events_per_second: float
    cpu_us: float
    """CPU µs of the whole process per event in."""
    rss_mb: float


def measure(smoke: bool, tell: Tell) -> list[Drained]:  # noqa: FBT001 - as run.py calls every part
    """Drain a backlog of all providers' frames, several times."""
    runs = 1 if smoke else _RUNS
    tell(0, "recording frames from the twins")
    recordings = [record(name, _FEW if smoke else _FRAMES) for name in FEEDS]
    drained = []
    for number in range(runs):
        tell((number + 0.3) / (runs + 0.3), f"run {number + 1}")
        drained.append(drain(recordings))
    return drained


def report(runs: list[Drained]) -> str:
    """Return a section of Markdown."""
    figures = (
        ("CPU µs per event", spread([run.cpu_us for run in runs])),
        ("events/s", spread([run.events_per_second for run in runs])),
        ("RSS, MB", spread([run.rss_mb for run in runs])),
    )
    return "\n".join(
        [
            "### The processor, as it is deployed",
            "",
            "| | min / median / max |",
            "|---|---:|",
            *(f"| {name} | {told} |" for name, told in figures),
            "",
            (
                f"`python -m processors` on a backlog of real frames, as many of each provider; "
                f"{len(runs)} runs, a tenth of each to warm up."
            ),
        ]
    )


def drain(recordings: list[Recording]) -> Drained:
    """Write the frames to raw, then measure one processor that reads them."""
    with TemporaryDirectory() as directory, local_stack(Path(directory, "stack")) as stack:
        prepare(stack, [recording.provider for recording in recordings])
        count = _fill(stack, recordings)
        with _processor(stack, Path(directory), recordings) as address:
            return _measured(address, count)


def _fill(stack: Stack, recordings: list[Recording]) -> int:
    producer = Producer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "linger.ms": 50,
            "queue.buffering.max.messages": 10_000_000,  # a slow broker is waited for
            "queue.buffering.max.kbytes": 2_000_000,
        }
    )
    queues = [raws(recording) for recording in recordings]
    count = 0
    for together in zip(*queues, strict=True):
        account = _ACCOUNTS[count // 2 % len(_ACCOUNTS)]
        at = topics.partition_of(account, stack.partitions)
        for raw in together:
            headers = raw_headers(structs.replace(raw, account=account))
            producer.produce(topics.raw(raw.provider), raw.value, account, at, headers=headers)
            count += 1
        producer.poll(0)
    producer.flush()
    return count


@contextmanager
def _processor(stack: Stack, directory: Path, recordings: list[Recording]) -> Iterator[str]:
    (port,) = free(1)
    address = f"127.0.0.1:{port}"
    settings = directory / "benchmark.toml"
    settings.write_text(_settings(stack, address, recordings))
    secrets = {f"TOKEN_{r.provider}": r.token for r in recordings if r.token}
    process = Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "processors", "--settings", str(settings)],
        env={**os.environ, **secrets, "REFERENCE": "benchmark" * 4},
    )
    try:
        yield address
    finally:
        process.kill()
        process.wait()


def _settings(stack: Stack, address: str, recordings: list[Recording]) -> str:
    accounts = [
        f'[[accounts]]\nprovider = "{r.provider}"\nname = "{name}"\nenvironment = "sandbox"\n'
        + (f'keys = {{ k1 = "env:TOKEN_{r.provider}" }}\n' if r.token else "")
        for r in recordings
        for name in _ACCOUNTS
    ]
    return (
        f'[kafka]\nbootstrap_servers = "{stack.bootstrap_servers}"\n'
        f'[registry]\nurl = "{stack.registry_url}"\n'
        f'[processors]\nhttp = "{address}"\n'
        f'references = {{ id = "r1", key = "env:REFERENCE" }}\n' + "".join(accounts)
    )


def _measured(address: str, count: int) -> Drained:
    limit = monotonic() + _LIMIT
    begun: tuple[float, Figures] | None = None
    while monotonic() < limit:
        sleep(0.02)
        now = _figures(address)
        if begun is None and now.done >= count * _WARM:
            begun = (monotonic(), now)
        if begun and now.done >= count:
            if now.rejected:
                raise SystemExit(f"{now.rejected:.0f} frames were rejected: not the same work")
            started, before = begun
            events = now.done - before.done
            return Drained(
                events / (monotonic() - started),
                (now.cpu - before.cpu) / events * 1e6,
                now.rss / 1e6,
            )
    raise SystemExit(f"the processor did not read {count} records in {_LIMIT:.0f} s")


class Figures(NamedTuple):
    """What the process says of itself: events in, rejected, CPU seconds, bytes."""

    done: float
    rejected: float
    cpu: float
    rss: float


def _figures(address: str) -> Figures:
    try:
        text = httpx.get(f"http://{address}/metrics", timeout=5).text
    except httpx.TransportError:
        return Figures(0, 0, 0, 0)
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]

    def total(name: str) -> float:
        return sum(sample.value for sample in samples if sample.name == name)

    rejected = total("penstock_rejected_total")
    return Figures(
        total("penstock_events_total") + total("penstock_duplicates_total") + rejected,
        rejected,
        total("process_cpu_seconds_total"),
        total("process_resident_memory_bytes"),
    )

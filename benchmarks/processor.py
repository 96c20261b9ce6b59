"""The processor on a real Kafka: a backlog of real frames, drained by one process."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
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
_LANGUAGES = {
    "C": ["-m", "processors"],
    "Python": [
        "-c",
        (
            "import runpy, sys; sys.modules['schemas.avro_native'] = None; "
            "runpy.run_module('processors', run_name='__main__', alter_sys=True)"
        ),
    ],
}
"""What writes Avro → how Python is started: where the C extension cannot be imported, none is."""
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


def measure(smoke: bool, tell: Tell) -> dict[str, list[Drained]]:  # noqa: FBT001 - as every part
    """Drain a backlog of all providers' frames, several times with each Avro writer in turn."""
    runs = 1 if smoke else _RUNS
    tell(0, "recording frames from the twins")
    recordings = [record(name, _FEW if smoke else _FRAMES) for name in FEEDS]
    drained: dict[str, list[Drained]] = {language: [] for language in _LANGUAGES}
    for number in range(runs):
        for place, language in enumerate(_LANGUAGES):
            share = (number * len(_LANGUAGES) + place + 0.3) / (runs * len(_LANGUAGES) + 0.3)
            tell(share, f"run {number + 1}, Avro in {language}")
            drained[language].append(drain(recordings, language))
    return drained


def report(drained: Mapping[str, Sequence[Drained]]) -> str:
    """Return a section of Markdown."""
    rows = (
        f"| {language} | {spread([run.cpu_us for run in runs])} "
        f"| {spread([run.events_per_second for run in runs])} "
        f"| {spread([run.rss_mb for run in runs])} |"
        for language, runs in drained.items()
    )
    return "\n".join(
        [
            "### The processor, as it is deployed",
            "",
            "| Avro written in | CPU µs per event | events/s | RSS, MB |",
            "|---|---:|---:|---:|",
            *rows,
            "",
            (
                f"`python -m processors` on a backlog of real frames, as many of each provider; "
                f"min / median / max of {len(next(iter(drained.values())))} runs each, in turn, a "
                "tenth of each run to warm up. An event is one that was told, or told again."
            ),
        ]
    )


def drain(recordings: list[Recording], language: str = "C") -> Drained:
    """Write the frames to raw, then measure one processor that reads them."""
    with TemporaryDirectory() as directory, local_stack(Path(directory, "stack")) as stack:
        prepare(stack, [recording.provider for recording in recordings])
        count = _fill(stack, recordings)
        with _processor(stack, Path(directory), recordings, language) as address:
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
def _processor(
    stack: Stack, directory: Path, recordings: list[Recording], language: str
) -> Iterator[str]:
    (port,) = free(1)
    address = f"127.0.0.1:{port}"
    settings = directory / "benchmark.toml"
    settings.write_text(_settings(stack, address, recordings))
    secrets = {f"TOKEN_{r.provider}": r.token for r in recordings if r.token}
    process = Popen(  # noqa: S603 - ourselves
        [sys.executable, *_LANGUAGES[language], "--settings", str(settings)],
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

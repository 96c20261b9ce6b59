"""CPU per event of each stage of the processor, without Kafka.

Each figure is the best of several passes over the same frames, in CPU time: what the
stage costs when nothing else disturbs it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time, time_ns

from benchmarks.frames import Recording, record
from benchmarks.part import Tell
from ingest.feeds import FEEDS
from processors.__main__ import tune_garbage_collection
from processors.batch import Batch
from processors.mapper import Mapper
from processors.mappers import MAPPERS
from processors.pipeline import process
from processors.state import Place, State, open_state, records_of
from processors.store import Buffers
from schemas.codec import (
    cloud_event_headers,
    encode_event,
    pack_state,
    raw_headers,
    raw_record,
)
from schemas.records import Kind, Position, Raw, Via

_TRANSACTION = 2_000
_FRAMES, _FEW = 10_000, 1_000

Stages = Mapping[str, Mapping[str, float]]
"""Provider → stage → CPU µs per frame."""


def measure(smoke: bool, tell: Tell) -> Stages:  # noqa: FBT001 - as run.py calls every part
    """Measure every stage of every provider, in this process."""
    tune_garbage_collection()
    found = {}
    for number, provider in enumerate(FEEDS):
        tell(number / len(FEEDS), provider)
        found[provider] = stages(record(provider, _FEW if smoke else _FRAMES))
    return found


def report(found: Stages) -> str:
    """Return a section of Markdown."""
    rows = [
        f"| {stage} | {' | '.join(f'{told[stage]:.1f}' for told in found.values())} |"
        for stage in next(iter(found.values()))
    ]
    return "\n".join(
        [
            "### The processor's stages, without Kafka",
            "",
            f"| CPU µs per frame | {' | '.join(found)} |",
            f"|---|{'---:|' * len(found)}",
            *rows,
            "",
            (
                "Frames of each twin, one in ten told before; the best of five passes. `whole` "
                "is all of it in transactions, on RocksDB, but for what talks to Kafka."
            ),
        ]
    )


Stage = Callable[[], AbstractContextManager[Callable[[], object]]]
"""Makes ready what a pass needs anew, which is not measured, and gives what a pass does."""


def ready(does: Callable[[], object]) -> Stage:
    """Return the stage that does this, and needs nothing anew."""
    return lambda: nullcontext(does)


def raws(recording: Recording) -> Iterator[Raw]:
    """Yield the frames as ingest writes them."""
    now = time_ns() // 1000
    for sequence, frame in enumerate(recording.frames):
        yield Raw(
            provider=recording.provider,
            account="main",
            environment="sandbox",
            via=Via.SOCKET,
            route="benchmark",
            kind=Kind.FRAME,
            connection="benchmark",
            sequence=sequence,
            received_at=now,
            value=frame,
        )


def event_ids(recording: Recording) -> list[list[str]]:
    """Return what events each frame leads to: their ids without provider and account.

    A frame that was told before leads to none.
    """
    mapper = MAPPERS[recording.provider]
    ids: list[list[str]] = [[] for _ in recording.frames]
    for event, _ in _Whole(recording, mapper).one_transaction(list(raws(recording))).events:
        ids[event.evidence.offset].append(event.id.split("/", 2)[2])
    return ids


def stages(recording: Recording) -> dict[str, float]:
    """Return stage → CPU µs per frame; ``whole`` is all of it, in transactions."""
    count = len(recording.frames)
    return {name: best(stage) * 1e6 / count for name, stage in work(recording).items()}


def work(recording: Recording) -> dict[str, Stage]:
    """Return stage → what does it once for every frame."""
    mapper = MAPPERS[recording.provider]
    told = list(raws(recording))
    headers = [(tuple(raw_headers(raw)), raw.value) for raw in told]
    parts = [part for raw in told for part in mapper.open(raw, recording.keys)]
    whole = _Whole(recording, mapper)
    batch = whole.one_transaction(told)
    events = [event for event, _ in batch.events]

    def states() -> None:
        for part in parts:
            route = mapper.routes[part.kind]
            list(route.states(route.decoder.decode(part.body), part, recording.keys))

    def opened() -> None:
        for raw in told:
            list(mapper.open(raw, recording.keys))

    each: dict[str, Callable[[], object]] = {
        "read headers": lambda: [raw_record(*pair) for pair in headers],
        "open, verify": opened,
        "decode, map": states,
        "evidence hash": lambda: [sha256(raw.value).hexdigest() for raw in told],
        "encode Avro": lambda: [encode_event(event) for event in events],
        "event headers": lambda: [cloud_event_headers(event) for event in events],
        "pack state": lambda: [pack_state(record) for record in records_of(batch, {}, {})],
    }
    return {
        **{name: ready(stage) for name, stage in each.items()},
        "whole": lambda: whole.in_transactions(headers),
    }


class _Whole:
    def __init__(self, recording: Recording, mapper: Mapper) -> None:
        self._keys, self._mapper = recording.keys, mapper
        self._topic = f"raw.{recording.provider}"

    def one_transaction(self, told: list[Raw]) -> Batch:
        with _empty_state() as state:
            batch = Batch(state, time_ns() // 1000)
            for offset, raw in enumerate(told):
                process(raw, Position(self._topic, 0, offset), self._mapper, self._keys, batch)
        return batch

    @contextmanager
    def in_transactions(
        self, headers: list[tuple[tuple[tuple[str, bytes], ...], bytes]]
    ) -> Iterator[Callable[[], None]]:
        """Give what does all that a task does but talk to Kafka."""
        with _empty_state() as state:

            def transact() -> None:
                for begun in range(0, len(headers), _TRANSACTION):
                    self._transact(headers[begun : begun + _TRANSACTION], begun, state)

            yield transact

    def _transact(
        self,
        headers: list[tuple[tuple[tuple[str, bytes], ...], bytes]],
        begun: int,
        state: State,
    ) -> None:
        batch = Batch(state, time_ns() // 1000)
        for offset, pair in enumerate(headers, begun):
            raw = raw_record(*pair)
            process(raw, Position(self._topic, 0, offset), self._mapper, self._keys, batch)
        for event, _ in batch.events:
            cloud_event_headers(event)
            _ = event.key
        learnt = [pack_state(record) for record in state.learnt(batch, {self._topic: begun})]
        state.apply(learnt, begun)


@contextmanager
def _empty_state() -> Iterator[State]:
    with TemporaryDirectory() as directory:
        place = Place(
            directory=Path(directory), cluster="none", application="benchmark", partition=0
        )
        state = open_state(place, Buffers())
        yield state
        state.close()


def best(stage: Stage, passes: int = 5) -> float:
    """Return seconds of CPU of the best pass."""
    return min(once(stage) for _ in range(passes))


def once(stage: Stage) -> float:
    """Return seconds of CPU of one pass."""
    with stage() as run:
        begun = process_time()
        run()
        return process_time() - begun

"""What a task remembers, on its disk: a checkpoint of its partition of ``state``.

Only committed transactions get in: ``apply`` is called when the commit has returned. The
topic alone is the truth; a checkpoint that cannot be trusted is rebuilt from it.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from zlib import crc32

import structlog
from rocksdict import WriteBatch

from processors.ages import Ages
from processors.batch import Batch
from processors.claim import Claim, claim
from processors.errors import OperatorError
from processors.store import Buffers, Store, Untrusted
from schemas.codec import (
    PackedState,
    pack_channel,
    split_state,
    tells_fact,
    touched_at,
    unpack_channel,
    unpack_entity,
    unpack_fact,
)
from schemas.records import ChannelSeen, EntitySeen, FactSeen, StateRecord
from schemas.topics import HORIZON_DAYS

_log = structlog.get_logger()

FORMAT: Final = 1
"""Of the directory. Another number is rebuilt, never converted."""
_PER_RECORD: Final = 5_000
"""Facts and entities in one ``state`` record: some 700 KB at most."""
_SWEPT: Final = 200
"""Entities of a past age that one transaction looks at."""
_UNFLUSHED: Final = 5_000
"""Records after which memory is flushed: as many may have to be replayed after a kill."""
_DAY: Final = 86_400

_PROGRESS: Final = b"progress"
_SWEPT_BELOW: Final = b"swept"
_POSITION: Final = b"position/"
_CHANNEL: Final = b"channel/"
_TALLY: Final = struct.Struct(">qIq")
_I64: Final = struct.Struct(">q")

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose memory it is, and where."""

    directory: Path
    cluster: str
    application: str
    partition: int
    horizon: int = HORIZON_DAYS * _DAY
    """Seconds that a fact is remembered at least, on the clock of ``received_at``."""
    observed: int = 2 * _DAY
    """Seconds that an observation is remembered at least."""

    @property
    def identity(self) -> bytes:
        """What the checkpoint must say of itself."""
        told = [FORMAT, self.cluster, self.application, self.partition, self.horizon, self.observed]
        return json.dumps(told).encode()


class Tally(NamedTuple):
    """How far the topic is in the checkpoint."""

    offset: int
    """The next offset of ``state`` to read."""
    last: int
    """CRC-32 of the value of the record before that."""
    clock: int
    """Newest ``received_at`` seen, in seconds: what judges age in place of any wall clock."""


_NOTHING: Final = Tally(0, 0, 0)


class State:
    """The memory of one task. See ``Memory`` in ``processors.batch``."""

    def __init__(self, place: Place, held: Claim, buffers: Buffers) -> None:
        """Call ``open_state``: this one raises ``Untrusted``."""
        self._place = place
        self._claim = held
        self._buffers = buffers
        self._open()

    def _open(self) -> None:
        place = self._place
        store = self._store = Store(self._claim.path, place.identity, self._buffers)
        self._facts = Ages(store, "facts", place.horizon, kept=1)
        self._observations = Ages(store, "observations", place.observed, kept=1)
        # Narrower ages than those of facts: an open entity of the last one must be written
        # again before the topic's retention takes the record that told it.
        self._entities = Ages(store, "entities", place.horizon // 2, kept=2)
        try:
            self._load(store)
        except OperatorError:
            self._let_go()
            raise

    def _load(self, store: Store) -> None:
        tally = store.get(_PROGRESS)
        self.tally = Tally(*_TALLY.unpack(tally)) if tally else _NOTHING
        self.positions = {
            topic: int(_I64.unpack(offset)[0]) for topic, offset in self._listed(_POSITION)
        }
        """Input topic → the next offset to read."""
        self._channels = {name: unpack_channel(packed) for name, packed in self._listed(_CHANNEL)}
        swept = store.get(_SWEPT_BELOW)
        self._swept_below = int(_I64.unpack(swept)[0]) if swept else 0
        """The number of the first age of entities that may hold open ones all its own."""
        self._sweep_from = b""
        self._unflushed = 0

    def _listed(self, prefix: bytes) -> Iterator[tuple[str, bytes]]:
        for key, value in self._store.range(prefix):
            if not key.startswith(prefix):
                return
            yield key.removeprefix(prefix).decode(), value

    # ---- remembering ------------------------------------------------------------------

    def fact(self, key: bytes) -> FactSeen | None:
        packed = self._facts.get(key)
        return None if packed is None else unpack_fact(packed)

    def observation(self, key: bytes) -> FactSeen | None:
        packed = self._observations.get(key)
        return None if packed is None else unpack_fact(packed)

    def entity(self, key: bytes) -> EntitySeen | None:
        packed = self._entities.get(key)
        return None if packed is None else unpack_entity(packed)

    def channel(self, name: str) -> ChannelSeen | None:
        return self._channels.get(name)

    def __len__(self) -> int:
        """About how many facts and observations are remembered."""
        return len(self._facts) + len(self._observations)

    # ---- learning ---------------------------------------------------------------------

    def learnt(self, batch: Batch, read: Mapping[str, int]) -> list[StateRecord]:
        """Return what a transaction must write to ``state``, in records that the broker takes.

        Beside what it learnt: every position, so that none is lost by retention, and open
        entities that would otherwise leave the topic. ``apply`` must follow its commit.
        """
        return list(records_of(batch, {**self.positions, **read}, dict(self._carried())))

    def _carried(self) -> Iterator[tuple[bytes, EntitySeen]]:
        """Yield open entities of past ages that no later one knows, a few at a time."""
        number = next((n for n in self._entities.past() if n >= self._swept_below), None)
        if number is None:
            return
        some = list(islice(self._entities.range(number, self._sweep_from), _SWEPT))
        for key, packed in some:
            entity = unpack_entity(packed)
            if not entity.is_final and self._entities.is_newest(number, key):
                yield key, entity
        if len(some) == _SWEPT:
            self._sweep_from = some[-1][0] + b"\x00"
        else:
            self._sweep_from, self._swept_below = b"", number + 1

    def apply(self, packed: Sequence[bytes], next_offset: int) -> None:
        """Take in records of the topic, up to ``next_offset``, all or none.

        Raises ``ValueError`` if one cannot be read: then nothing has changed. Raises
        ``OperatorError`` if the disk fails: then nothing here may be used any more.
        """
        batch = WriteBatch(raw_mode=True)
        clock = self.tally.clock
        for record in [split_state(value) for value in packed]:
            clock = max([clock, *(touched_at(entity) for _, entity in record.entities)])
            self._put(batch, record, clock)
        self.tally = Tally(next_offset, crc32(packed[-1]), clock)
        batch.put(_PROGRESS, _TALLY.pack(*self.tally))
        batch.put(_SWEPT_BELOW, _I64.pack(self._swept_below))
        self._store.write(batch)
        self._unflushed += len(packed)
        if self._unflushed > _UNFLUSHED:
            self.flush()
        self._facts.forget()
        self._observations.forget()
        self._entities.forget(self._swept_below)

    def _put(self, batch: WriteBatch, record: PackedState, clock: int) -> None:
        put = batch.put
        if record.facts:
            facts = self._facts.current(clock).handle
            observations = self._observations.current(clock).handle
            for key, fact in record.facts:
                put(key, fact, facts if tells_fact(fact) else observations)
        if record.entities:
            entities = self._entities.current(clock).handle
            for key, entity in record.entities:
                put(key, entity, entities)
        self.positions.update(record.positions)
        for topic, offset in record.positions.items():
            put(_POSITION + topic.encode(), _I64.pack(offset))
        self._channels.update(record.channels)
        for name, channel in record.channels.items():
            put(_CHANNEL + name.encode(), pack_channel(channel))

    # ---- the directory ----------------------------------------------------------------

    def flush(self) -> None:
        """Put on disk what is in memory: nothing of it is replayed after a kill."""
        self._store.flush()
        self._unflushed = 0

    def start_over(self, reason: str) -> None:
        """Forget everything, because the topic does not bear it out."""
        _log_rebuild(self._place, self._claim.path, reason)
        self._let_go()
        self._claim.empty()
        self._open()

    def close(self) -> None:
        """Let the directory go, for this process or another one."""
        self._let_go()
        self._claim.release()

    def _let_go(self) -> None:
        for ages in (self._facts, self._observations, self._entities):
            ages.close()
        self._store.close()


def open_state(place: Place, buffers: Buffers) -> State:
    """Open a task's memory as its disk has it; empty where that cannot be trusted.

    Raises ``OperatorError`` where the disk is full or not to be written.
    """
    held = claim(place.directory / place.application / str(place.partition))
    try:
        return State(place, held, buffers)
    except Untrusted as error:
        _log_rebuild(place, held.path, str(error))
        held.empty()
        return State(place, held, buffers)


def _log_rebuild(place: Place, path: Path, reason: str) -> None:
    _log.warning(
        "state is rebuilt from the topic",
        partition=place.partition,
        directory=str(path),
        why=reason,
    )


def records_of(
    batch: Batch, positions: Mapping[str, int], carried: Mapping[bytes, EntitySeen]
) -> Iterator[StateRecord]:
    """Yield what a transaction adds, in records that the broker takes.

    The positions are in the last one, so that whoever reads them has read all.
    """
    facts, entities = _chunks(batch.facts), _chunks({**carried, **batch.entities})
    last = max(len(facts), len(entities)) - 1
    for number, (some_facts, some_entities) in enumerate(zip_longest(facts, entities)):
        yield StateRecord(
            positions=positions if number == last else {},
            facts=some_facts or {},
            entities=some_entities or {},
            channels=batch.channels if number == last else {},
        )


def _chunks(whole: Mapping[K, V]) -> list[Mapping[K, V]]:
    if len(whole) <= _PER_RECORD:
        return [whole]
    items = iter(whole.items())
    return [dict(chunk) for chunk in iter(lambda: list(islice(items, _PER_RECORD)), [])]

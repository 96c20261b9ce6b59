"""What a task remembers on its disk, and when that must not be believed."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from processors.batch import Batch
from processors.errors import OperatorError
from processors.state import Place, State, Tally, open_state, records_of
from processors.store import Buffers
from schemas.codec import pack_state
from schemas.records import ChannelSeen, EntitySeen, FactSeen, StateRecord
from tests.processors.memory import Remembered

FACT = FactSeen(b"stakes00", 1, True, 1, 1_700_000_000, 7)
READING = structs.replace(FACT, is_fact=False)
ENTITY = EntitySeen(1, None, 0, True, 1_700_000_000, bytes(8), {})
CHANNEL = ChannelSeen(1, "c1", "")
BUFFERS = Buffers()
HORIZON, OBSERVED = 1_000, 10


def key(n: int) -> bytes:
    return n.to_bytes(16, "big")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(
        directory=tmp_path / "state",
        cluster="c",
        application="app",
        partition=3,
        horizon=HORIZON,
        observed=OBSERVED,
    )


@contextmanager
def opened(place: Place) -> Iterator[State]:
    state = open_state(place, BUFFERS)
    try:
        yield state
    finally:
        state.close()


def directory(place: Place) -> Path:
    return place.directory / place.application / str(place.partition)


def learnt(facts: int, entities: int) -> Batch:
    batch = Batch(Remembered(), 0)
    batch.facts = {key(n): FACT for n in range(facts)}
    batch.entities = {key(n): ENTITY for n in range(entities)}
    batch.channels = {"acme/main/orders": CHANNEL}
    return batch


def commit(state: State, batch: Batch | None = None, offset: int | None = None) -> None:
    """Do what a task does when its transaction is committed."""
    records = state.learnt(batch or learnt(0, 0), {"raw.acme": state.tally.offset + 1})
    state.apply([pack_state(record) for record in records], offset or state.tally.offset + 2)


def tell(  # noqa: PLR0913 - what a raw record may tell
    state: State,
    *,
    at: int,
    fact: int | None = None,
    reading: int | None = None,
    entity: int | None = None,
    is_final: bool = True,
) -> None:
    """Commit what one raw record received at ``at`` seconds tells."""
    batch = Batch(Remembered(), 0)
    if fact is not None:
        batch.facts[key(fact)] = structs.replace(FACT, received_at=at)
    if reading is not None:
        batch.facts[key(reading)] = structs.replace(READING, received_at=at)
    about = 0 if entity is None else entity
    batch.entities[key(about)] = structs.replace(ENTITY, touched_at=at, is_final=is_final)
    commit(state, batch)


# ---- records --------------------------------------------------------------------------


def test_a_large_transaction_is_split_and_the_positions_come_last() -> None:
    records = list(records_of(learnt(12_000, 3), {"raw.acme": 5}, {}))
    assert [len(record.facts) for record in records] == [5_000, 5_000, 2_000]
    assert [bool(record.positions) for record in records] == [False, False, True]
    assert [bool(record.channels) for record in records] == [False, False, True]
    assert max(len(pack_state(record)) for record in records) < 2**20


def test_an_empty_transaction_still_says_how_far_it_read() -> None:
    (record,) = records_of(Batch(Remembered(), 0), {"raw.acme": 5}, {})
    assert record.positions == {"raw.acme": 5}


def test_every_transaction_repeats_the_positions_of_quiet_inputs(place: Place) -> None:
    with opened(place) as state:
        state.apply([pack_state(StateRecord({"raw.quiet": 9}, {}, {}, {}))], 1)
        (record,) = state.learnt(learnt(1, 1), {"raw.acme": 5})
    assert record.positions == {"raw.quiet": 9, "raw.acme": 5}


def test_what_many_tasks_remember_stays_in_memory_while_it_is_little(place: Place) -> None:
    places = [replace(place, partition=partition) for partition in range(48)]
    with ExitStack() as ends:
        for state in [ends.enter_context(opened(each)) for each in places]:
            for number in range(5):
                tell(state, at=number, fact=number, reading=number)
        files = [len(list(directory(each).glob("*.sst"))) for each in places]
    assert files == [1] * 48  # whose it is; each further one would be a flush


# ---- remembering ----------------------------------------------------------------------


def test_all_of_it_is_there_again_after_a_restart(place: Place) -> None:
    batch = learnt(7_000, 2)
    batch.facts[key(9_000)] = READING
    with opened(place) as state:
        commit(state, batch, offset=12)
    with opened(place) as state:
        assert len(state) == 7_001
        assert state.fact(key(0)) == FACT
        assert state.observation(key(9_000)) == READING
        assert state.entity(key(1)) == ENTITY
        assert state.channel("acme/main/orders") == CHANNEL
        assert state.positions == {"raw.acme": 1}
        assert state.tally.offset == 12


def test_what_was_never_told_is_not_remembered(place: Place) -> None:
    with opened(place) as state:
        commit(state, learnt(10, 10))
        assert state.fact(key(10)) is None
        assert state.observation(key(0)) is None
        assert state.entity(key(10)) is None
        assert state.channel("acme/main/trades") is None


def test_a_torn_record_leaves_nothing_behind(place: Place) -> None:
    (record,) = records_of(learnt(3, 0), {"raw.acme": 5}, {})
    packed = pack_state(record)
    with opened(place) as state:
        with pytest.raises(ValueError, match="state record"):
            state.apply([packed, packed[:-1]], 9)
        assert state.fact(key(0)) is None
        assert state.tally.offset == 0
        assert state.positions == {}


# ---- forgetting -----------------------------------------------------------------------


def test_a_fact_is_remembered_for_the_horizon_and_not_for_ever(place: Place) -> None:
    with opened(place) as state:
        tell(state, at=999, fact=1)
        tell(state, at=999 + HORIZON, fact=2)
        assert state.fact(key(1)) is not None
        tell(state, at=999 + 2 * HORIZON, fact=3)
        assert state.fact(key(1)) is None
        assert state.fact(key(3)) is not None


def test_an_observation_goes_sooner_than_a_fact(place: Place) -> None:
    with opened(place) as state:
        tell(state, at=100, fact=1, reading=2)
        tell(state, at=100 + OBSERVED, reading=3)
        assert state.observation(key(2)) is not None
        tell(state, at=100 + 2 * OBSERVED, reading=4)
        assert state.observation(key(2)) is None
        assert state.fact(key(1)) is not None


def test_age_is_judged_by_what_was_received_and_never_runs_backwards(place: Place) -> None:
    with opened(place) as state:
        tell(state, at=50_000, fact=1)
        tell(state, at=100, fact=2)
        assert state.fact(key(1)) is not None
        assert state.fact(key(2)) is not None
        assert state.tally.clock == 50_000


def test_a_final_entity_goes_after_the_horizon(place: Place) -> None:
    with opened(place) as state:
        tell(state, at=499, entity=1)
        tell(state, at=499 + HORIZON, entity=2)
        assert state.entity(key(1)) is not None
        for at in range(2 * HORIZON, 4 * HORIZON, 250):
            tell(state, at=at, entity=3)
        assert state.entity(key(1)) is None


def test_an_open_entity_never_goes(place: Place) -> None:
    seen = structs.replace(ENTITY, touched_at=100, is_final=False)
    with opened(place) as state:
        tell(state, at=100, entity=1, is_final=False)
        for at in range(200, 20 * HORIZON, 100):
            tell(state, at=at, entity=2)
    with opened(place) as state:
        assert state.entity(key(1)) == seen


def test_an_open_entity_is_written_again_before_the_topic_loses_it(place: Place) -> None:
    written: list[int] = []
    with opened(place) as state:
        tell(state, at=0, entity=1, is_final=False)
        for at in range(50, 5 * HORIZON, 50):
            batch = learnt(0, 0)
            batch.entities = {key(2): structs.replace(ENTITY, touched_at=at)}
            records = state.learnt(batch, {})
            written += [at for record in records if key(1) in record.entities]
            state.apply([pack_state(record) for record in records], at)
    pauses = [later - earlier for earlier, later in zip([0, *written], written, strict=False)]
    assert pauses
    assert max(pauses) < HORIZON


def test_an_entity_that_became_final_is_not_written_again(place: Place) -> None:
    with opened(place) as state:
        tell(state, at=0, entity=1, is_final=False)
        tell(state, at=600, entity=1, is_final=True)
        for at in range(650, 5 * HORIZON, 50):
            batch = learnt(0, 0)
            batch.entities = {key(2): structs.replace(ENTITY, touched_at=at)}
            records = state.learnt(batch, {})
            assert all(set(record.entities) == {key(2)} for record in records)
            state.apply([pack_state(record) for record in records], at)


def test_writing_again_is_a_little_in_each_transaction_and_all_in_the_end(place: Place) -> None:
    with opened(place) as state:
        batch = learnt(0, 0)
        batch.entities = {
            key(n): structs.replace(ENTITY, touched_at=0, is_final=False) for n in range(1, 1_001)
        }
        commit(state, batch)
        sizes = []
        tell(state, at=600, entity=5_000)
        while (record := state.learnt(learnt(0, 0), {})[0]).entities:
            sizes.append(len(record.entities))
            state.apply([pack_state(record)], state.tally.offset + 2)
        assert max(sizes) <= 200
        assert sum(sizes) > 800
        for at in range(650, 5 * HORIZON, 50):
            tell(state, at=at, entity=5_000)
        assert all(state.entity(key(n)) is not None for n in range(1, 1_001))


# ---- not to be trusted ----------------------------------------------------------------


def filled(place: Place) -> Path:
    """Leave a checkpoint with two flushed files of facts, and return its directory."""
    with opened(place) as state:
        for begun in (0, 20_000):
            batch = learnt(0, 5)
            batch.facts = {key(n): FACT for n in range(begun, begun + 20_000)}
            commit(state, batch)
            state.flush()
    return directory(place)


def largest(where: Path, pattern: str) -> Path:
    return max(where.glob(pattern), key=lambda file: file.stat().st_size)


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a table is deleted": lambda at: largest(at, "*.sst").unlink(),
    "a table is cut short": lambda at: truncate(largest(at, "*.sst")),
    "a table is empty": lambda at: os.truncate(largest(at, "*.sst"), 0),
    "CURRENT is deleted": lambda at: (at / "CURRENT").unlink(),
    "CURRENT is nonsense": lambda at: damage(at / "CURRENT") or None,
    "the manifest is deleted": lambda at: largest(at, "MANIFEST-*").unlink(),
    "the manifest is damaged": lambda at: damage(largest(at, "MANIFEST-*")),
    "there is only rubbish": lambda at: (
        [file.unlink() for file in at.iterdir()] and (at / "x").write_text("x") and None
    ),
}


@pytest.mark.parametrize("done", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_begun_anew(place: Place, done: Callable[[Path], None]) -> None:
    done(filled(place))
    with opened(place) as state:
        assert state.tally == Tally(0, 0, 0)
        assert state.fact(key(1)) is None
        commit(state, learnt(5, 0))
    with opened(place) as state:
        assert state.fact(key(1)) == FACT


@pytest.mark.parametrize(
    "other",
    [{"cluster": "d"}, {"application": "other"}, {"partition": 4}, {"horizon": 2_000}],
    ids=str,
)
def test_somebody_elses_checkpoint_is_begun_anew(place: Place, other: dict[str, object]) -> None:
    left = filled(place)
    ours = replace(place, directory=place.directory / "ours", **other)  # type: ignore[arg-type]
    shutil.copytree(left, directory(ours))
    with opened(ours) as state:
        assert state.tally.offset == 0
        assert state.fact(key(1)) is None


def test_a_table_of_another_store_is_not_read_as_ours(place: Place) -> None:
    theirs = largest(filled(replace(place, partition=4)), "*.sst")
    ours = largest(filled(place), "*.sst")
    shutil.copy(theirs, ours)
    with opened(place) as state:
        assert state.tally.offset == 0


def test_a_flipped_bit_ends_the_process_and_the_next_start_begins_anew(place: Place) -> None:
    damage(largest(filled(place), "*.sst"))
    state = open_state(place, BUFFERS)
    with pytest.raises(OperatorError, match="a start rebuilds"):
        _ = [state.fact(key(n)) for n in range(40_000)]
    state.close()
    with opened(place) as state:
        assert state.tally.offset == 0


def test_an_older_copy_is_believed_as_far_as_it_goes(place: Place, tmp_path: Path) -> None:
    shutil.copytree(filled(place), tmp_path / "copy")
    with opened(place) as state:
        before = state.tally
        commit(state, learnt(0, 9))
    shutil.rmtree(directory(place))
    shutil.copytree(tmp_path / "copy", directory(place))
    with opened(place) as state:
        assert state.tally == before
        assert state.entity(key(8)) is None


def test_starting_over_leaves_an_empty_memory(place: Place) -> None:
    with opened(place) as state:
        commit(state, learnt(9, 9))
        state.start_over("of a test")
        assert state.tally.offset == 0
        assert state.positions == {}
        assert state.fact(key(1)) is None
        assert state.channel("acme/main/orders") is None


# ---- the disk -------------------------------------------------------------------------


def test_a_directory_that_cannot_be_made_is_one_line(place: Place) -> None:
    place.directory.parent.mkdir(parents=True, exist_ok=True)
    place.directory.write_text("a file")
    with pytest.raises(OperatorError, match=r"state_directory"):
        open_state(place, BUFFERS)


def test_a_directory_that_another_process_holds_is_left_alone(place: Place) -> None:
    with opened(place) as frozen:
        commit(frozen, learnt(5, 0))
        with opened(place) as state:
            assert state.tally.offset == 0
        assert frozen.fact(key(1)) == FACT
    with opened(place) as state:
        assert state.fact(key(1)) == FACT


WRITER = """
import random, resource, signal, sys
from pathlib import Path
from processors.errors import OperatorError
from processors.state import Place, open_state
from processors.store import Buffers
from schemas.codec import pack_state
from schemas.records import EntitySeen, FactSeen, StateRecord

directory, seed, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
draw = random.Random(seed)
place = Place(directory=directory, cluster="c", application="app", partition=3)
try:
    state = open_state(place, Buffers())
    while True:
        n = state.tally.offset
        facts = {
            (n * 1000 + i).to_bytes(16, "big"):
            FactSeen(bytes(8), 1, i % 2 == 0, 1, n, n) for i in range(1000)
        }
        entity = EntitySeen(n + 1, None, 0, True, n, bytes(8), {})
        record = StateRecord({"raw.acme": n + 1}, facts, {bytes(16): entity}, {})
        state.apply([pack_state(record)], n + 1)
        if draw.random() < 0.02:
            state.flush()
        print(n + 1, flush=True)
except OperatorError as error:
    print("OperatorError", error, flush=True)
"""


def writing(place: Place, seed: int, limit: int = 0) -> subprocess.Popen[str]:
    """Start a process that commits a thousand facts with each offset."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place.directory), str(seed), str(limit)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_store_is_as_some_transaction_left_it(tmp_path: Path, seed: int) -> None:
    place = Place(directory=tmp_path, cluster="c", application="app", partition=3)
    draw, reached = random.Random(seed), 0
    for _ in range(2):
        with writing(place, seed) as writer:
            assert writer.stdout is not None
            for _ in range(draw.randint(1, 150)):
                reached = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
        with opened(place) as state:
            end = state.tally.offset
            assert end <= reached + 1_000  # it may have gone on a little
            for n in range(max(0, end - 20), end):
                assert state.fact(key(n * 1_000)) is not None
                assert state.fact(key(n * 1_000 + 998)) is not None
                assert state.observation(key(n * 1_000 + 1)) is not None
            if end:
                last = state.entity(bytes(16))
                assert last is not None
                assert last.sequence == end
                assert state.positions == {"raw.acme": end}


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    place = Place(directory=tmp_path, cluster="c", application="app", partition=3)
    with writing(place, seed=1, limit=2**20) as writer:
        assert writer.stdout is not None
        *_, last = writer.stdout
    assert writer.returncode == 0
    assert "make room for it" in last
    with opened(place) as state:
        end = state.tally.offset
        assert end > 0
        assert state.fact(key((end - 1) * 1_000)) is not None

"""One account's way to raw, with a broker that is slow, away, or refuses; the disk is real."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from ingest import lane as lanes
from ingest.lane import Full, Lane, Spooled
from ingest.metrics import Metrics
from ingest.outlet import Away
from ingest.settings import SpoolSection
from ingest.spool import Spool
from schemas.records import Kind, Raw
from tests.ingest.test_spool import full_disk, raw, rest, segments


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {
        "SLOW_AFTER": 0.05,
        "_LOOK_EVERY": 0.01,
        "_TRY_AGAIN": 0.01,
        "_SEND_WITHIN": 0.01,
    }.items():
        monkeypatch.setattr(lanes, name, seconds)


@dataclass
class Broker:
    """Stands for Kafka: takes what it is sent, and acknowledges when it likes."""

    is_away: bool = False
    hangs: bool = False
    together: bool = False
    """Whether all that waits is one batch, with one future."""
    taken: list[Raw] = field(default_factory=list)
    waiting: list[tuple[Raw, asyncio.Future[object]]] = field(default_factory=list)

    async def send(self, raw: Raw) -> asyncio.Future[object]:
        return self.take(raw)

    def take(self, raw: Raw) -> asyncio.Future[object]:
        if self.is_away:
            raise Away
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.together and self.waiting:
            future = self.waiting[0][1]
        self.waiting.append((raw, future))
        if not self.hangs:
            self.answers()
        return future

    def answers(self) -> None:
        """Acknowledge everything, and go on to do so."""
        self.hangs = self.is_away = False
        told = [(raw, future) for raw, future in self.waiting if not future.done()]
        self.taken += [raw for raw, _ in told]
        for future in {future for _, future in told}:
            future.set_result(None)
        self.waiting.clear()

    def breaks(self) -> None:
        """Refuse everything, and be away."""
        self.is_away = True
        for future in {future for _, future in self.waiting}:
            future.set_exception(OSError("broken"))
        self.waiting.clear()

    @property
    def numbers(self) -> list[int]:
        return [raw.sequence for raw in self.taken]


@asynccontextmanager
async def lane(
    directory: Path, broker: Broker, max_bytes: int = 2**20, *, persistent: bool = False
) -> AsyncIterator[Lane]:
    """Give a lane that is looked after; as after a kill, nothing is put in order at the end."""
    settings = SpoolSection(max_bytes=max_bytes, persistent=persistent)
    spool = Spool(directory, fsync=True, segment_bytes=500)
    made = Lane("acme/main", spool, broker, Metrics().of("acme", "main"), settings)  # type: ignore[arg-type]  # stands for Kafka
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait({running})
        await made.close()
    assert running.cancelled()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - of a disk, or of a lane between two of its steps
            await asyncio.sleep(0.001)


async def until_full(made: Lane, size: int = 20) -> tuple[int, Full]:
    """Append records until one finds no room; return its number and what it was told."""
    for number in count():
        try:
            await made.append(raw(number, size))
        except Full as full:
            return number, full
        await asyncio.sleep(0.001)
    raise AssertionError("count() does not end")


async def test_a_healthy_broker_leaves_the_disk_alone(tmp_path: Path) -> None:
    broker = Broker()
    async with lane(tmp_path, broker) as made:
        for number in range(10):
            await (await made.append(raw(number)))
        assert made.is_empty
    assert broker.numbers == [*range(10)]
    assert segments(tmp_path) == []


async def test_what_leaves_together_shares_a_ticket_that_is_done_when_raw_has_it(
    tmp_path: Path,
) -> None:
    broker = Broker(hangs=True, together=True)
    async with lane(tmp_path, broker) as made:
        ticket, *others = [await made.append(raw(number)) for number in range(3)]
        assert all(other is ticket for other in others)
        assert not ticket.done()
        broker.answers()
        await ticket
        assert await made.append(raw(3)) is not ticket
        await made.until_empty()
    assert broker.numbers == [*range(4)]


async def test_a_shared_ticket_is_done_when_the_disk_has_the_last_of_them(tmp_path: Path) -> None:
    async with lane(tmp_path, Broker(hangs=True, together=True), persistent=True) as made:
        for number in range(3):
            ticket = await made.append(raw(number))
        await ticket
    assert rest(Spool(tmp_path, fsync=True)) == [raw(number) for number in range(3)]


async def test_while_the_broker_is_away_records_wait_on_disk_and_leave_in_order(
    tmp_path: Path,
) -> None:
    broker = Broker(is_away=True)
    async with lane(tmp_path, broker) as made:
        for number in range(100):
            await made.append(raw(number))
        await made.until_saved()
        assert len(segments(tmp_path)) > 3
        broker.answers()
        for number in range(100, 200):
            await made.append(raw(number))
        await made.until_empty()
        await (await made.append(raw(200)))
    assert broker.numbers == [*range(201)]
    assert segments(tmp_path) == []


@pytest.mark.parametrize("together", [False, True])
async def test_a_slow_broker_is_told_nothing_twice(tmp_path: Path, *, together: bool) -> None:
    broker = Broker(hangs=True, together=together)
    async with lane(tmp_path, broker) as made:
        for number in range(5):
            await made.append(raw(number))
        await until(lambda: bool(segments(tmp_path)))
        for number in range(5, 10):
            await made.append(raw(number))
        await made.until_saved()
        broker.answers()
        await made.until_empty()
    assert broker.numbers == [*range(10)]


@pytest.mark.parametrize("together", [False, True])
async def test_what_a_broken_producer_had_is_sent_again_in_order(
    tmp_path: Path, *, together: bool
) -> None:
    broker = Broker(hangs=True, together=together)
    async with lane(tmp_path, broker) as made:
        for number in range(5):
            await made.append(raw(number))
        broker.breaks()
        for number in range(5, 10):
            await made.append(raw(number))
        await made.until_saved()
        broker.answers()
        await made.until_empty()
    assert broker.numbers == [*range(10)]


async def test_the_next_process_sends_what_the_killed_one_left_before_anything_new(
    tmp_path: Path,
) -> None:
    broker = Broker(is_away=True)
    async with lane(tmp_path, broker) as made:
        for number in range(50):
            await made.append(raw(number))
        await made.until_saved()
    broker.answers()
    async with lane(tmp_path, broker) as made:
        await made.append(raw(50))
        await made.until_empty()
    assert broker.numbers == [*range(51)]


async def test_a_kill_in_mid_drain_tells_twice_what_was_not_acknowledged_and_loses_nothing(
    tmp_path: Path,
) -> None:
    broker = Broker(is_away=True)
    async with lane(tmp_path, broker) as made:
        for number in range(50):
            await made.append(raw(number))
        await made.until_saved()
        broker.is_away, broker.hangs = False, True
        await until(lambda: len(broker.waiting) == 50)
        for told, future in broker.waiting[:20]:
            broker.taken.append(told)
            future.set_result(None)
        await until(lambda: len(segments(tmp_path)) < 12)
    broker.waiting.clear()
    broker.answers()
    async with lane(tmp_path, broker) as made:
        await made.until_empty()
    assert broker.numbers == [*range(50)]


@pytest.mark.parametrize("persistent", [True, False])
async def test_a_ticket_is_done_where_the_disk_outlives_the_pod_and_else_says_spooled(
    tmp_path: Path, *, persistent: bool
) -> None:
    async with lane(tmp_path, Broker(is_away=True), persistent=persistent) as made:
        ticket = await made.append(raw(1))
        if persistent:
            await ticket
        else:
            with pytest.raises(Spooled):
                await ticket
    assert rest(Spool(tmp_path, fsync=True)) == [raw(1)]


async def test_a_full_spool_stops_frames_takes_marks_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    broker = Broker(is_away=True)
    closed = Raw(
        **{**{name: getattr(raw(-1), name) for name in Raw.__struct_fields__}, "kind": Kind.CLOSED}
    )
    async with lane(tmp_path, broker, max_bytes=2**20) as made:
        number, full = await until_full(made, size=20_000)
        assert full.cause == "spool_full"
        assert 40 < number < 60
        await made.append(closed)
        room = asyncio.ensure_future(made.room())
        await made.until_saved()
        assert not room.done()
        broker.answers()
        await room
        await made.append(raw(number, size=20_000))
        await made.until_empty()
    assert broker.numbers == [*range(number), -1, number]


@pytest.mark.usefixtures("capsys")  # Else pytest has a file for what we print.
async def test_a_full_disk_stops_frames_and_loses_none_that_was_taken(tmp_path: Path) -> None:
    broker = Broker(is_away=True)
    async with lane(tmp_path, broker) as made:
        with full_disk(0):
            number, full = await until_full(made)
        assert full.cause == "spool_full"
        await made.room()
        await made.append(raw(number))
        broker.answers()
        await made.until_empty()
    assert broker.numbers == [*range(number + 1)]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.usefixtures("capsys")  # Else pytest has a file for what we print.
async def test_a_broken_producer_s_records_are_sent_again_though_the_disk_stays_full(
    tmp_path: Path, *, together: bool
) -> None:
    broker = Broker(hangs=True, together=together)
    async with lane(tmp_path, broker) as made:
        with full_disk(0):
            for number in range(3):
                ticket = await made.append(raw(number))
            broker.breaks()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ticket), 0.1)
            broker.answers()
            await asyncio.wait_for(ticket, 10)
            assert broker.numbers == [*range(3)]
            await made.until_empty()


@pytest.mark.usefixtures("capsys")  # Else pytest has a file for what we print.
async def test_a_disk_that_stays_full_does_not_keep_records_from_a_broker_that_is_back(
    tmp_path: Path,
) -> None:
    broker = Broker(is_away=True)
    async with lane(tmp_path, broker) as made:
        with full_disk(0):
            ticket = await made.append(raw(0))
            broker.answers()
            await ticket
            await made.until_empty()
            await (await made.append(raw(1)))
    assert broker.numbers == [0, 1]


async def test_steady_traffic_does_not_keep_a_lane_from_going_straight_again(
    tmp_path: Path,
) -> None:
    broker = Broker(is_away=True)

    async def talk(made: Lane) -> None:
        for number in range(100_000):
            await made.append(raw(number))
            await asyncio.sleep(0)

    async with lane(tmp_path, broker) as made:
        talking = asyncio.create_task(talk(made))
        await until(lambda: bool(segments(tmp_path)))
        broker.answers()
        await until(lambda: not segments(tmp_path))
        talking.cancel()
        await asyncio.wait({talking})
    assert broker.numbers == sorted(set(broker.numbers))

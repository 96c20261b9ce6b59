"""The one loop, against a wire that follows a script."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ingest import connection
from ingest.connection import Dial, follow
from ingest.dialects.plain import Plain
from ingest.dialects.pusher import Pusher
from ingest.feed import (
    Address,
    Beat,
    Close,
    Dialect,
    Disconnected,
    End,
    FeedError,
    Frame,
    Keep,
    Refusal,
    Refused,
    Silent,
)
from ingest.patience import Patience
from ingest.wire import Wire
from schemas.records import Closed, Kind, Micros

NEVER = Beat(every=1000, reply_within=1000)
SOON = Beat(every=0.01, reply_within=0.01)


@dataclass
class ScriptedWire:
    """A provider that says its lines, then falls silent."""

    lines: list[Frame | Close]
    pongs: bool = False
    said: list[Frame] = field(default_factory=list)
    pings: int = 0
    spoken: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, frame: Frame) -> None:
        self.said.append(frame)

    async def ping(self) -> asyncio.Future[None]:
        self.pings += 1
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.pongs:
            pong.set_result(None)
        return pong

    async def recv(self) -> list[Frame | Close]:
        if self.lines:
            return [self.lines.pop(0)]
        self.spoken.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@dataclass
class Memory:
    """A journal that remembers, and may be slow."""

    delay: float = 0.0
    records: list[tuple[Kind, Frame | Closed | None, Micros]] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    marked: Callable[[Kind], None] = lambda _kind: None

    async def keep(self, frame: Keep, received_at: Micros) -> None:
        await asyncio.sleep(self.delay)
        self.records.append((Kind.FRAME, frame.frame, received_at))

    async def mark(self, kind: Kind, received_at: Micros, why: Closed | None = None) -> None:
        self.records.append((kind, why, received_at))
        self.marked(kind)

    def report(self, text: str) -> None:
        self.reports.append(text)

    @property
    def kinds(self) -> list[Kind]:
        return [kind for kind, *_ in self.records]

    @property
    def frames(self) -> list[Frame | Closed | None]:
        return [value for kind, value, _ in self.records if kind is Kind.FRAME]


def dialling(wire: Wire | Refusal) -> Dial:
    @asynccontextmanager
    async def dial(_address: Address) -> AsyncIterator[Wire | Refusal]:
        yield wire

    return dial


async def followed(wire: Wire | Refusal, dialect: Dialect, journal: Memory) -> FeedError:
    with pytest.raises(FeedError) as raised:
        await follow(
            Address("ws://nowhere"),
            dialect,
            dial=dialling(wire),
            journal=journal,
            patience=Patience(),
        )
    return raised.value


def plain(beat: Beat = NEVER) -> Plain:
    return Plain(beat=beat)


async def test_keeps_frames_in_order_between_its_marks() -> None:
    journal = Memory()
    wire = ScriptedWire(["a", b"\x00", "", Close(1001, "bye")])
    await followed(wire, plain(), journal)
    assert [record[:2] for record in journal.records] == [
        (Kind.OPENED, None),
        (Kind.FRAME, "a"),
        (Kind.FRAME, b"\x00"),
        (Kind.FRAME, ""),
        (Kind.CLOSED, Closed("disconnected", "closed with 1001 bye")),
    ]
    times = [received_at for *_, received_at in journal.records]
    assert times == sorted(times)


async def test_what_came_at_once_is_kept_in_order_up_to_the_end() -> None:
    class Burst(ScriptedWire):
        async def recv(self) -> list[Frame | Close]:
            here, self.lines = self.lines, []
            return here or await super().recv()

    journal = Memory()
    await followed(Burst(["a", "b", "c", Close(1001), "never read"]), plain(), journal)
    assert journal.frames == ["a", "b", "c"]
    assert journal.kinds[-1] is Kind.CLOSED


async def test_opened_is_marked_once_everything_is_confirmed() -> None:
    journal = Memory()
    lines: list[Frame | Close] = [
        '{"event":"pusher:connection_established","data":"{}"}',
        '{"event":"early","data":"{}"}',
        '{"event":"pusher_internal:subscription_succeeded","channel":"a"}',
        '{"event":"ORDER_CREATED","data":"{}"}',
        Close(4001),
    ]
    end = await followed(ScriptedWire(lines), Pusher(("a",), quiet=1000), journal)
    assert isinstance(end, Refused)
    assert journal.kinds == [Kind.FRAME, Kind.OPENED, Kind.FRAME, Kind.CLOSED]
    assert journal.records[-1][1] == Closed("refused", "closed with 4001")


async def test_a_connection_that_never_was_live_leaves_no_mark() -> None:
    journal = Memory()
    await followed(ScriptedWire([Close(4001)]), Pusher(("a",), quiet=1000), journal)
    assert journal.records == []


async def test_a_refused_upgrade_means_what_the_dialect_says() -> None:
    journal = Memory()
    end = await followed(Refusal(404), plain(), journal)
    assert (type(end), journal.records) == (Refused, [])


async def test_a_silent_connection_is_a_dead_one() -> None:
    wire, journal = ScriptedWire(["a"]), Memory()
    end = await followed(wire, plain(SOON), journal)
    assert isinstance(end, Silent)
    assert wire.pings == 1
    assert journal.kinds == [Kind.OPENED, Kind.FRAME, Kind.CLOSED]


async def test_a_question_in_words_is_asked_in_words() -> None:
    wire = ScriptedWire([])
    await followed(wire, plain(Beat(0.01, 0.01, "are you there?")), Memory())
    assert (wire.said, wire.pings) == (["are you there?"], 0)


class Chatterbox(ScriptedWire):
    """A provider that is never short of something to say."""

    async def recv(self) -> list[Frame | Close]:
        return ["and another thing"]


async def test_one_who_talks_all_the_time_is_asked_as_often_and_must_answer() -> None:
    wire = Chatterbox([])
    end = await followed(wire, plain(Beat(0.01, 0.01, "2", steady=True)), Memory())
    assert isinstance(end, Silent)
    assert wire.said == ["2"]


async def test_a_slow_broker_is_not_a_silent_provider() -> None:
    wire, journal = ScriptedWire(["a", "b", "c"]), Memory(delay=5 * SOON.every)
    await followed(wire, plain(SOON), journal)
    assert journal.frames == ["a", "b", "c"]
    assert wire.pings == 1  # Asked when we listened again, and not before.


async def test_a_quiet_feed_proves_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ALIVE_EVERY", 0.02)
    patience, wire = Patience(), ScriptedWire([], pongs=True)
    journal = Memory(marked=lambda kind: patience.stop() if kind is Kind.ALIVE else None)
    await asyncio.wait_for(
        follow(
            Address("ws://nowhere"),
            plain(SOON),
            dial=dialling(wire),
            journal=journal,
            patience=patience,
        ),
        10,
    )
    assert journal.kinds == [Kind.OPENED, Kind.ALIVE, Kind.CLOSED]
    opened, alive, closed = (received_at for *_, received_at in journal.records)
    assert opened < alive <= closed


async def test_a_dead_feed_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ALIVE_EVERY", 0.005)
    journal = Memory()
    await followed(ScriptedWire([]), plain(SOON), journal)
    assert Kind.ALIVE not in journal.kinds


async def test_a_stop_ends_the_wait_and_is_marked() -> None:
    patience, journal = Patience(), Memory()
    wire = ScriptedWire(["a"])
    following = asyncio.ensure_future(
        follow(
            Address("ws://nowhere"),
            plain(),
            dial=dialling(wire),
            journal=journal,
            patience=patience,
        )
    )
    await asyncio.wait_for(wire.spoken.wait(), 10)
    patience.stop()
    await asyncio.wait_for(following, 10)
    assert journal.records[-1][:2] == (Kind.CLOSED, Closed("stopped"))


async def test_what_had_arrived_before_a_stop_is_kept() -> None:
    patience, wire = Patience(), ScriptedWire(["a", "b"])
    journal = Memory(marked=lambda _kind: patience.stop())
    await asyncio.wait_for(
        follow(
            Address("ws://nowhere"),
            plain(),
            dial=dialling(wire),
            journal=journal,
            patience=patience,
        ),
        10,
    )
    assert journal.kinds == [Kind.OPENED, Kind.FRAME, Kind.FRAME, Kind.CLOSED]


async def test_a_stop_ends_a_dial_that_hangs() -> None:
    dialled = asyncio.Event()

    @asynccontextmanager
    async def dial(_address: Address) -> AsyncIterator[Wire | Refusal]:
        dialled.set()
        await asyncio.Event().wait()
        yield Refusal(500)

    patience, journal = Patience(), Memory()
    address = Address("ws://nowhere")
    following = asyncio.ensure_future(
        follow(address, plain(), dial=dial, journal=journal, patience=patience)
    )
    await asyncio.wait_for(dialled.wait(), 10)
    patience.stop()
    await asyncio.wait_for(following, 10)
    assert journal.records == []


async def test_what_a_dialect_ends_is_kept_first() -> None:
    def reads(frame: Frame) -> Iterable[Keep | End]:
        return (Keep(frame), End(Disconnected("they said so")))

    journal = Memory()
    end = await followed(ScriptedWire(["last words"]), Plain(beat=NEVER, reads=reads), journal)
    assert str(end) == "they said so"
    assert journal.frames == ["last words"]


async def test_reports_reach_the_operator_and_not_raw() -> None:
    journal = Memory()
    error = '{"event":"pusher:error","data":{"message":"slow down","code":4301}}'
    await followed(ScriptedWire([error, Close(1006)]), Pusher(("a",), quiet=1000), journal)
    assert (len(journal.reports), journal.records) == (1, [])


async def test_what_is_awaited_and_does_not_come_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ingest.dialects.pusher.PATIENCE", 0.01)
    wire = ScriptedWire(['{"event":"pusher:connection_established","data":"{}"}'])
    end = await followed(wire, Pusher(("a",), quiet=1000), Memory())
    assert str(end) == "1 of 1 channels unconfirmed"
    assert len(wire.said) == 2

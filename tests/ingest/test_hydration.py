"""The gate: frames wait for REST, in their order, and never longer than they may."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from ingest import hydration
from ingest.feed import Done, Keep, Rest
from ingest.feeds.satoriex.rest import REST as SATORIEX
from ingest.hydration import Marked, gated
from schemas.records import Closed, Kind, Micros, Recovered


@dataclass
class Paper:
    """A journal that remembers what was written, and says when."""

    lines: list[str] = field(default_factory=list)
    written: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, frame: Keep, received_at: Micros) -> None:
        await asyncio.sleep(0)
        self._write(f"{frame.frame!s} at {received_at}")

    async def mark(self, kind: Kind, received_at: Micros, why: Closed | None = None) -> None:
        self._write(kind)

    async def recovered(self, told: Recovered) -> None:
        self._write(f"recovered up to {told.up_to}")

    def report(self, text: str) -> None:
        self._write(text)

    def _write(self, line: str) -> None:
        self.lines.append(line)
        self.written.set()

    async def until(self, *lines: str) -> None:
        async with asyncio.timeout(5):
            while self.lines != list(lines):
                self.written.clear()
                await self.written.wait()


def rest(*, holds: float, hydrates: bool = True) -> Rest:
    """What a gate looks at; nothing is asked here."""
    return replace(SATORIEX, holds=holds, hydrates=hydrates)


def up_to(cursor: str, *, complete: bool = True) -> Recovered:
    return Recovered(
        from_="a", up_to=cursor, from_at=1, up_to_at=2, by="backfill", count=1, complete=complete
    )


@dataclass
class Rounds:
    """Rounds of REST that end when a test says so."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)
    ended: list[asyncio.Future[Done]] = field(default_factory=list)
    bearer: Marked | None = None
    rest: Rest = field(default_factory=lambda: rest(holds=10.0))

    def begin(self) -> asyncio.Future[Done]:
        return self._round("now")

    def following(self) -> asyncio.Future[Done]:
        return self._round("the next")

    def _round(self, which: str) -> asyncio.Future[Done]:
        self.asked.append(which)
        self.ended.append(asyncio.get_running_loop().create_future())
        self.begun.set()
        return self.ended[-1]

    async def end(self, *, whole: bool, recovered: Recovered | None = None) -> None:
        async with asyncio.timeout(5):
            await self.begun.wait()
        self.begun.clear()
        self.ended[-1].set_result(Done(whole, recovered))


async def test_frames_wait_until_rest_has_told_the_state() -> None:
    paper, rounds = Paper(), Rounds()
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 1)
        await journal.keep(Keep("a"), 2)
        await journal.keep(Keep("b"), 3)
        assert paper.lines == ["opened"]
        await rounds.end(whole=True)
        await paper.until("opened", "hydrated", "a at 2", "b at 3")
        await journal.keep(Keep("c"), 4)
    assert paper.lines[4:] == ["c at 4"]
    assert rounds.asked == ["now"]


async def test_a_round_that_told_not_all_lets_go_and_the_next_one_hydrates() -> None:
    paper, rounds = Paper(), Rounds()
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 1)
        await journal.keep(Keep("a"), 2)
        await rounds.end(whole=False)
        await paper.until("opened", "a at 2")
        await rounds.end(whole=True)
        await paper.until("opened", "a at 2", "hydrated")
    assert rounds.asked == ["now", "the next"]


async def test_frames_flow_when_rest_takes_too_long() -> None:
    paper, rounds = Paper(), Rounds(rest=rest(holds=0.05))
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 1)
        await journal.keep(Keep("a"), 2)
        await paper.until("opened", "a at 2")
        await rounds.end(whole=True)
        await paper.until("opened", "a at 2", "hydrated")


async def test_what_was_missed_comes_before_the_frames_that_waited_and_then_a_mark() -> None:
    paper, rounds = Paper(), Rounds(rest=rest(holds=10.0, hydrates=False))
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 1)
        await journal.keep(Keep("a"), 2)
        assert rounds.bearer is None
        await rounds.end(whole=True, recovered=up_to("b"))
        await paper.until("opened", "a at 2", "recovered up to b")
        await journal.keep(Keep("c"), 4)
        assert rounds.bearer is paper
    assert rounds.bearer is None
    assert paper.lines[3:] == ["c at 4"]


async def test_what_could_not_be_read_back_is_said_once_for_each_connection() -> None:
    paper, rounds = Paper(), Rounds(rest=rest(holds=10.0, hydrates=False))
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 1)
        await rounds.end(whole=False, recovered=up_to("b", complete=False))
        await rounds.end(whole=False, recovered=up_to("b", complete=False))
        await rounds.end(whole=True, recovered=up_to("c"))
        await paper.until("opened", "recovered up to b", "recovered up to c")
    assert rounds.asked == ["now", "the next", "the next"]


async def test_a_sign_of_life_does_not_overtake_the_frames_that_wait() -> None:
    paper, rounds = Paper(), Rounds()
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 1)
        await journal.mark(Kind.ALIVE, 2)
        await journal.keep(Keep("a"), 3)
        await journal.mark(Kind.ALIVE, 4)
        await journal.keep(Keep("b"), 5)
        assert paper.lines == ["opened", "alive"]
        await rounds.end(whole=True)
        await paper.until("opened", "alive", "hydrated", "a at 3", "alive", "b at 5")


async def test_frames_flow_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hydration, "HOLD_BYTES", 10)
    paper, rounds = Paper(), Rounds()
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 1)
        await journal.keep(Keep("12345"), 2)
        await journal.keep(Keep("12345"), 3)
        assert paper.lines == ["opened"]
        await journal.keep(Keep("1"), 4)
        assert paper.lines == ["opened", "12345 at 2", "12345 at 3", "1 at 4"]


async def test_what_waits_is_kept_before_the_connection_is_closed() -> None:
    paper, rounds = Paper(), Rounds()
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 1)
        await journal.keep(Keep("a"), 2)
        await journal.mark(Kind.CLOSED, 3, Closed("stopped"))
    assert paper.lines == ["opened", "a at 2", "closed"]


async def test_order_holds_while_the_gate_opens() -> None:
    paper, rounds = Paper(), Rounds()
    async with gated(paper, rounds) as journal:
        await journal.mark(Kind.OPENED, 0)
        for number in range(50):
            await journal.keep(Keep("x"), number)
        await rounds.end(whole=True)
        for number in range(50, 100):
            await journal.keep(Keep("x"), number)
        await journal.mark(Kind.CLOSED, 100)
    kept = [line for line in paper.lines if line.startswith("x")]
    assert kept == [f"x at {number}" for number in range(100)]


async def test_an_error_of_raw_is_not_swallowed() -> None:
    class Torn(Paper):
        async def mark(self, kind: Kind, received_at: Micros, why: Closed | None = None) -> None:
            if kind is Kind.HYDRATED:
                raise OSError("raw is gone")

    rounds = Rounds()

    async def follow() -> None:
        async with gated(Torn(), rounds) as journal:
            await journal.mark(Kind.OPENED, 0)
            await rounds.end(whole=True)
            while True:
                await journal.keep(Keep("a"), 1)
                await asyncio.sleep(0)

    with pytest.raises(OSError, match="raw is gone"):
        await asyncio.wait_for(follow(), 5)

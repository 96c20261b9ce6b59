"""What a demo does, and when: it follows from the wish, and all of it falls within its time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.chaos_plan import Act, Timed
from penstock.demo_plan import is_over, planned
from penstock.demo_wish import Wish

PROVIDERS = ("one", "two", "three", "four", "five")


def wish(seconds: float | None = 60.0, **asked: Any) -> Wish:
    return Wish(directory=Path(), providers=PROVIDERS, seconds=seconds, rate=60.0, **asked)


def plan(seconds: float | None = 60.0, **asked: Any) -> tuple[Timed, ...]:
    return planned(wish(seconds, **asked))


def test_nothing_is_done_unasked() -> None:
    assert plan() == ()


def test_everything_is_done_in_order_and_within_the_time() -> None:
    acts = plan(kill_processor=True, kill_ingest=True, disconnects=True, outage=15.0)
    assert [timed.at for timed in acts] == sorted(timed.at for timed in acts)
    assert all(0 < timed.at < 60 for timed in acts)
    done = {timed.act for timed in acts}
    assert done == {Act.KILL_WORKER, Act.KILL_INGEST, Act.DISCONNECT, Act.KILL_BROKER}


def test_each_provider_s_ingest_is_killed_and_one_more_while_the_broker_is_away() -> None:
    killed = [timed.pick for timed in plan(kill_ingest=True) if timed.act is Act.KILL_INGEST]
    assert [int(pick * len(PROVIDERS)) for pick in killed] == [0, 1, 2, 3, 4]
    acts = plan(kill_ingest=True, outage=15.0)
    (away,) = (timed for timed in acts if timed.act is Act.KILL_BROKER)
    assert away.lasts == 15
    during = [one for one in acts if away.at < one.at < away.at + away.lasts]
    assert [timed.act for timed in during] == [Act.KILL_INGEST]


def test_without_an_end_it_is_all_done_in_the_first_minute() -> None:
    asked = {"kill_ingest": True, "disconnects": True, "outage": 15.0}
    assert plan(None, **asked) == plan(60.0, **asked)


def test_a_demo_ends_when_its_time_is_up() -> None:
    assert not is_over(wish(), [], 60.0)
    assert is_over(wish(), [], 60.1)
    assert not is_over(wish(None), [], 10**9)


def test_what_was_asked_for_is_done_though_nobody_looked_when_it_was_due() -> None:
    (kill,) = plan(kill_processor=True)
    assert not is_over(wish(), [kill], 75.0)
    assert is_over(wish(), [replace(kill, at=61.0)], 75.0), "it was never to be within the time"

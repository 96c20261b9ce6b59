import pytest

from ingest.backoff import Backoff, Budget
from ingest.feed import After, AtOnce, BackOff, Doubling

ALMOST_ONE = 1 - 2**-53


def test_pauses_grow_to_a_cap_with_full_jitter() -> None:
    backoff = Backoff()
    longest = [backoff.pause(BackOff(), ALMOST_ONE) for _ in range(8)]
    assert longest == pytest.approx([2, 4, 8, 16, 32, 60, 60, 60])
    assert backoff.pause(BackOff(), 0) == 0


def test_a_thousand_failures_are_as_bad_as_ten() -> None:
    assert Backoff(failures=5000).pause(BackOff(), 0.5) == 30


def test_a_kept_frame_and_nothing_else_begins_anew() -> None:
    backoff = Backoff(failures=6)
    backoff.kept()
    assert backoff.pause(BackOff(), ALMOST_ONE) == pytest.approx(2)


def test_at_once_has_a_jitter_and_backs_off_the_second_time() -> None:
    backoff = Backoff()
    assert backoff.pause(AtOnce(), 0) == 0.25
    assert backoff.pause(AtOnce(), ALMOST_ONE) == pytest.approx(4)
    backoff.kept()
    assert backoff.pause(AtOnce(), ALMOST_ONE) == pytest.approx(1.25)


def test_a_least_pause_holds_under_any_jitter() -> None:
    assert Backoff().pause(BackOff(least=1), 0) == 1


def test_what_the_provider_asked_for_is_never_shortened() -> None:
    assert Backoff().pause(After(60), 0) == 60
    assert Backoff().pause(After(60), ALMOST_ONE) == pytest.approx(66)


def test_a_doubling_pause_begins_anew_once_something_was_kept() -> None:
    backoff, policy = Backoff(), Doubling(first=30, most=300)
    backoff.pause(AtOnce(), 0)
    assert [backoff.pause(policy, 0) for _ in range(6)] == [30, 60, 120, 240, 300, 300]
    backoff.kept()
    assert backoff.pause(policy, ALMOST_ONE) == pytest.approx(33)


def test_a_host_is_dialled_in_a_burst_and_then_at_a_rate() -> None:
    budget = Budget(burst=3, every=2)
    assert [budget.reserve(100) for _ in range(5)] == [0, 0, 0, 2, 4]


def test_the_budget_comes_back_with_time_and_is_never_more_than_a_burst() -> None:
    budget = Budget(burst=2, every=1)
    assert [budget.reserve(0) for _ in range(3)] == [0, 0, 1]
    assert [budget.reserve(1000) for _ in range(3)] == [0, 0, 1]

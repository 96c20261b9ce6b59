import pytest

from ingest.feed import Await, Beat, Silent
from ingest.pulse import Pulse

BEAT = Beat(every=10, reply_within=30, text="ping")


def test_asks_after_a_silence_and_gives_up_where_nobody_answers() -> None:
    pulse = Pulse(quiet_since=0, beat=BEAT)
    assert (pulse.asks(9.9), pulse.wake_at()) == (None, 10)
    assert (pulse.asks(10), pulse.wake_at()) == (BEAT, 40)
    assert pulse.asks(39.9) is None
    with pytest.raises(Silent, match="no sign of life for 40 s"):
        pulse.asks(40)


def test_any_message_is_a_sign_of_life() -> None:
    pulse = Pulse(quiet_since=0, beat=BEAT)
    assert pulse.asks(10) == BEAT
    pulse.heard(39)
    assert (pulse.asks(48.9), pulse.wake_at()) == (None, 49)
    assert pulse.asks(49) == BEAT


def test_without_a_beat_nothing_is_asked_and_nobody_is_dead() -> None:
    pulse = Pulse(quiet_since=0)
    assert pulse.asks(1e9) is None


def test_what_is_awaited_is_overdue_once() -> None:
    pulse = Pulse(quiet_since=0, beat=BEAT)
    pulse.awaiting(Await(5), 1)
    assert (pulse.is_overdue(5.9), pulse.wake_at()) == (False, 6)
    assert (pulse.is_overdue(6), pulse.is_overdue(7)) == (True, False)


def test_what_came_is_not_overdue() -> None:
    pulse = Pulse(quiet_since=0)
    pulse.awaiting(Await(5), 0)
    pulse.awaiting(None, 4)
    assert not pulse.is_overdue(100)


def test_time_in_which_we_did_not_listen_is_not_their_silence() -> None:
    pulse = Pulse(quiet_since=0, beat=BEAT)
    pulse.awaiting(Await(20), 0)
    assert pulse.asks(10) == BEAT
    pulse.excuse(100)
    assert pulse.asks(139.9) is None
    assert (pulse.is_overdue(119.9), pulse.is_overdue(120)) == (False, True)
    with pytest.raises(Silent):
        pulse.asks(140)


STEADY = Beat(every=10, reply_within=5, text="2", steady=True)


def steady() -> Pulse:
    pulse = Pulse(quiet_since=0)
    pulse.begin(STEADY, 0)
    return pulse


def test_a_steady_beat_asks_on_time_whatever_is_heard() -> None:
    pulse = steady()
    pulse.heard(9)
    assert (pulse.asks(9.9), pulse.wake_at()) == (None, 10)
    assert (pulse.asks(10), pulse.wake_at()) == (STEADY, 15)
    pulse.answered()
    pulse.heard(11)
    assert (pulse.asks(19.9), pulse.asks(20)) == (None, STEADY)


def test_a_steady_beat_takes_its_answer_alone_for_one() -> None:
    pulse = steady()
    assert pulse.asks(10) == STEADY
    pulse.heard(14.9)
    with pytest.raises(Silent, match="no sign of life for 5 s"):
        pulse.asks(15)


def test_our_own_slowness_delays_the_limit_of_a_steady_beat_and_not_the_beat() -> None:
    pulse = steady()
    pulse.excuse(30)
    assert pulse.asks(30) == STEADY
    pulse.excuse(100)
    assert pulse.asks(134.9) is None
    with pytest.raises(Silent):
        pulse.asks(135)

"""Engine.IO 4 dialect: text in, effects out, no socket in sight."""

import json
from collections.abc import Iterable
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dialects.endings import dial_again
from ingest.dialects.engineio4 import Engineio4
from ingest.feed import (
    AtOnce,
    Await,
    BackOff,
    Beat,
    Close,
    Disconnected,
    Doubling,
    Effect,
    End,
    FeedError,
    Frame,
    Keep,
    Live,
    Refusal,
    Refused,
    Report,
    Send,
    Silent,
    Unauthorized,
    Unwelcome,
)

OPEN = {"sid": "s", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000}
JOINED = '40{"sid":"s"}'
TRADE = '42["trade",{"trade":{"id":"1"}}]'
LATER = Doubling(30, 300)


def unwelcome(said: str) -> FeedError:
    return Unwelcome(said, LATER)


def opening(**fields: Any) -> str:
    return "0" + json.dumps({**OPEN, **fields})


def greeted(dialect: Engineio4 | None = None, **fields: Any) -> tuple[Engineio4, list[Effect]]:
    dialect = dialect or Engineio4()
    assert list(dialect.opened()) == [Await(10)]
    return dialect, list(dialect.received(opening(**fields)))


def live(**fields: Any) -> Engineio4:
    dialect, _ = greeted(**fields)
    assert Live() in dialect.received(JOINED)
    return dialect


def on_probation() -> Engineio4:
    dialect, _ = greeted(Engineio4(probation=1.5, rejects=unwelcome))
    assert list(dialect.received(JOINED)) == [Await(1.5)]
    return dialect


def end(effects: Iterable[Effect]) -> FeedError:
    (only,) = effects
    assert isinstance(only, End)
    return only.error


# ---- opening and joining ----------------------------------------------------------------


def test_joins_after_the_open_packet_and_not_before() -> None:
    _, effects = greeted()
    assert effects == [Beat(10, 45), Send("40"), Await(10)]


def test_joins_the_namespace_that_it_is_given() -> None:
    dialect, effects = greeted(Engineio4(namespace="/admin"))
    assert effects[1] == Send("40/admin,")
    assert list(dialect.received('40{"sid":"of another"}')) == []
    assert list(dialect.received('40/admin,{"sid":"s"}')) == [Live(), Await(45)]


def test_is_live_once_the_join_is_answered() -> None:
    dialect, _ = greeted()
    assert list(dialect.received(JOINED)) == [Live(), Await(45)]
    assert list(dialect.received(JOINED)) == []


def test_no_open_packet_and_no_answer_to_the_join_are_ends() -> None:
    assert type(end(Engineio4().overdue())) is Disconnected
    dialect, _ = greeted()
    assert type(end(dialect.overdue())) is Disconnected


@pytest.mark.parametrize(
    "frame",
    [
        *("0", "0{", "0[]", "0null", "0{}", '0{"pingInterval":25000}', "0" + "[" * 100_000),
        *(opening(pingInterval="soon"), opening(pingInterval=-1), opening(pingTimeout=-0.5)),
        opening(pingTimeout=None),
    ],
)
def test_an_open_packet_that_cannot_be_read_ends_the_connection(frame: str) -> None:
    error = end(Engineio4().received(frame))
    assert isinstance(error, Disconnected)
    assert error.pause == BackOff()


def test_what_comes_before_the_open_packet_is_kept_and_opens_nothing() -> None:
    dialect = Engineio4()
    assert list(dialect.received("hello")) == [Keep("hello", useful=False)]
    assert list(dialect.received(JOINED)) == []
    assert Send("40") in dialect.received(opening())


# ---- life -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "probe", "ü", '{"a":1}'])
def test_a_ping_is_answered_at_once_with_its_own_text(text: str) -> None:
    assert list(live().received(f"2{text}")) == [Send(f"3{text}"), Await(45)]


def test_a_ping_is_answered_while_joining_as_well() -> None:
    dialect, _ = greeted()
    assert list(dialect.received("2")) == [Send("3")]


@pytest.mark.parametrize(
    ("interval", "timeout", "silence", "proof"),
    [
        (25000, 20000, 45, 45),
        (300, 200, 0.5, 0.5),
        (25000, 86_400_000, 86_425, 60),
        (0, 500, 0.5, 0.5),
        (0, 0, inf, 60),
    ],
)
def test_silence_is_the_servers_interval_and_timeout_without_a_ping(
    interval: int, timeout: int, silence: float, proof: float
) -> None:
    dialect, effects = greeted(pingInterval=interval, pingTimeout=timeout)
    assert effects[0] == Beat(10, proof)
    assert list(dialect.received(JOINED)) == [Live(), Await(silence)]
    assert Await(silence) in dialect.received("2")
    assert list(dialect.received(TRADE)) == [Keep(TRADE)]
    assert isinstance(end(dialect.overdue()), Silent)


def test_nothing_larger_than_the_server_takes_is_sent() -> None:
    dialect = live(maxPayload=10)
    assert Send("3234567890") in dialect.received("2234567890")
    assert list(dialect.received("22345678901")) == [Await(45)]
    assert list(dialect.received(f'42{"1" * 20}["x"]')) == [Keep(f'42{"1" * 20}["x"]')]


@pytest.mark.parametrize("frame", ["3", "3probe", "5", "6"])
def test_what_means_nothing_to_us_is_passed_over(frame: str) -> None:
    assert list(live().received(frame)) == []


# ---- events -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        TRADE,
        '42/merchant,["trade",{}]',
        '42["",null]',
        '42["a name, with [everything]/in it",1,2,3]',
        '42["trade"]',
        f'42["big","{"x" * 1_000_000}"]',
    ],
)
def test_an_event_is_kept_byte_for_byte(frame: str) -> None:
    assert list(live().received(frame)) == [Keep(frame)]


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ('4213["trade",{}]', "4313[]"),
        ('42/merchant,7["trade",{}]', "43/merchant,7[]"),
        ('420["trade"]', "430[]"),
    ],
)
def test_an_event_that_asks_for_an_answer_gets_one_after_it_is_kept(
    frame: str, answer: str
) -> None:
    assert list(live().received(frame)) == [Keep(frame), Send(answer)]


def test_attachments_are_kept_in_order_and_the_answer_waits_for_the_last() -> None:
    dialect = live()
    head = '452-/m,7["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    assert list(dialect.received(head)) == [Keep(head)]
    assert list(dialect.received(b"\x00")) == [Keep(b"\x00")]
    assert list(dialect.received("2")) == [Send("3"), Await(45)]
    assert list(dialect.received(b'42["x"]')) == [Keep(b'42["x"]'), Send("43/m,7[]")]
    assert list(dialect.received(b"more")) == [Keep(b"more", useful=False)]


def test_an_event_in_place_of_an_attachment_is_kept_and_the_first_stays_unanswered() -> None:
    dialect = live()
    list(dialect.received('451-7["baz",{"_placeholder":true,"num":0}]'))
    assert list(dialect.received(TRADE)) == [Keep(TRADE)]
    assert list(dialect.received(b"late")) == [Keep(b"late", useful=False)]


def test_a_binary_event_without_attachments_is_answered_at_once() -> None:
    frame = '450-7["baz"]'
    assert list(live().received(frame)) == [Keep(frame), Send("437[]")]


@pytest.mark.parametrize(
    "frame",
    [
        *('42{"a":1}', "42[]", "42[7]", '42/public["x"]', '42["x"', '42["x",NaN]', '42"x"'),
        *("4", "47", "42", "4x", "9", "", "7{}", "1x", "5x", "6x", "<<< no frame >>>", "0{}"),
        *('51-["x"]', '45["x"]', "43[]", '4313["nobody asked"]', '461-13["x"]', "4" + "[" * 10**5),
        *(b"\x00\xff", b'42["trade",{}]'),
    ],
)
def test_what_the_protocol_does_not_allow_is_kept_and_proves_nothing(frame: Frame) -> None:
    dialect = live()
    assert list(dialect.received(frame)) == [Keep(frame, useful=False)]
    assert list(dialect.received(TRADE)) == [Keep(TRADE)]


@given(st.text() | st.binary() | st.text('0123456789/,-[]{}"?ab ', max_size=12))
def test_no_frame_does_worse_than_ending_the_connection(frame: Frame) -> None:
    for dialect in (Engineio4(), greeted()[0], on_probation(), live()):
        for effect in dialect.received(frame):
            assert not isinstance(effect, Keep) or effect.frame == frame


# ---- ends -------------------------------------------------------------------------------

GOODBYES: list[str | Close] = ["41", '41{"message":"bye"}', "1", Close(1000), Close(1005)]


def said(dialect: Engineio4, goodbye: str | Close) -> FeedError:
    if isinstance(goodbye, Close):
        return dialect.closed(goodbye)
    return end(dialect.received(goodbye))


@pytest.mark.parametrize("goodbye", GOODBYES)
def test_an_end_without_a_reason_is_answered_by_dialling_at_once(goodbye: str | Close) -> None:
    error = said(live(), goodbye)
    assert type(error) is Disconnected
    assert error.pause == AtOnce()


@pytest.mark.parametrize("goodbye", GOODBYES)
def test_the_same_end_on_probation_means_that_we_are_not_wanted(goodbye: str | Close) -> None:
    error = said(on_probation(), goodbye)
    assert isinstance(error, Unwelcome)
    assert error.later == LATER


@pytest.mark.parametrize("goodbye", GOODBYES)
def test_before_the_join_is_answered_it_only_means_to_wait(goodbye: str | Close) -> None:
    error = said(greeted(Engineio4(probation=1.5, rejects=unwelcome))[0], goodbye)
    assert type(error) is Disconnected
    assert error.pause == BackOff()


def test_probation_ends_with_time() -> None:
    dialect = on_probation()
    assert list(dialect.received("2")) == [Send("3")]
    assert list(dialect.overdue()) == [Live(), Await(45)]
    assert type(said(dialect, "41")) is Disconnected


def test_probation_ends_with_the_first_event() -> None:
    dialect = on_probation()
    assert list(dialect.received(TRADE)) == [Live(), Await(45), Keep(TRADE)]
    assert type(said(dialect, "41")) is Disconnected


def test_garbage_does_not_end_probation() -> None:
    dialect = on_probation()
    assert list(dialect.received("42[]")) == [Keep("42[]", useful=False)]
    assert isinstance(said(dialect, "41"), Unwelcome)


@pytest.mark.parametrize("frame", ['44{"message":"Not authorized"}', '44"Not authorized"', "44"])
def test_a_refused_join_is_a_refusal_in_the_servers_words(frame: str) -> None:
    dialect, _ = greeted(Engineio4(rejects=unwelcome))
    error = end(dialect.received(frame))
    assert isinstance(error, Unwelcome)
    assert str(error) == f"join refused {frame[2:]}".rstrip()
    assert isinstance(end(greeted()[0].received(frame)), Unauthorized)


@pytest.mark.parametrize("frame", ["41/admin,", '44/nope,{"message":"Invalid namespace"}'])
def test_the_end_of_another_namespace_is_reported_and_not_ours(frame: str) -> None:
    (report,) = live().received(frame)
    assert isinstance(report, Report)


@pytest.mark.parametrize(
    ("code", "pause"), [(1001, AtOnce()), (1006, AtOnce()), (1012, AtOnce()), (1011, BackOff())]
)
def test_a_close_with_a_reason_means_what_the_reason_says(code: int, pause: object) -> None:
    for dialect in (live(), on_probation()):
        error = dialect.closed(Close(code))
        assert isinstance(error, Disconnected)
        assert error.pause == pause


def test_a_provider_may_say_otherwise() -> None:
    dialect = Engineio4(closes={1006: dial_again(BackOff())}, refusals={403: unwelcome})
    error = dialect.closed(Close(1006))
    assert isinstance(error, Disconnected)
    assert error.pause == BackOff()
    assert isinstance(dialect.refused(Refusal(403)), Unwelcome)
    assert isinstance(dialect.refused(Refusal(400)), Refused)

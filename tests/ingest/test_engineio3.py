"""Engine.IO 3 dialect: text in, effects out, no socket in sight."""

import json
from typing import Any

import pytest

from ingest.dialects.endings import dial_again
from ingest.dialects.engineio3 import EngineIo3, emit
from ingest.feed import (
    After,
    Answered,
    AtOnce,
    Await,
    BackOff,
    Beat,
    Close,
    Disconnected,
    Effect,
    End,
    FeedError,
    Keep,
    Live,
    Refusal,
    Refused,
    Report,
    Send,
    Silent,
    Unauthorized,
)

# As Paymium sends it: 24 h is no limit that anybody could wait for.
OPEN = '0{"sid":"x","upgrades":[],"pingInterval":10000,"pingTimeout":86400000}'
CHANNEL = '42/user,["channel","9f86d0"]'
STREAM = '42/public,["stream",{"asks":[]}]'


def opened(**timers: Any) -> str:
    return f"0{json.dumps({'sid': 'x', 'upgrades': [], **timers})}"


def joining(dialect: EngineIo3) -> EngineIo3:
    list(dialect.opened())
    list(dialect.received(OPEN))
    return dialect


def public(quiet: float | None = None) -> EngineIo3:
    """A dialect that has joined /public."""
    dialect = joining(EngineIo3("/public", quiet=quiet))
    list(dialect.received("40/public"))
    return dialect


def user() -> EngineIo3:
    """A dialect that has joined /user and asked for its channel."""
    dialect = joining(EngineIo3("/user", (CHANNEL,)))
    list(dialect.received("40/user"))
    list(dialect.received("3"))
    return dialect


def end(effects: Any) -> FeedError:
    (ended,) = effects
    assert isinstance(ended, End)
    return ended.error


# ---- opening and joining ----------------------------------------------------------------


def test_waits_for_the_open_packet_then_pings_and_joins() -> None:
    dialect = EngineIo3("/public")
    assert list(dialect.opened()) == [Await(10)]
    assert list(dialect.received(OPEN)) == [
        Beat(10, 10, "2", steady=True),
        Send("40/public"),
        Await(10),
    ]


@pytest.mark.parametrize(
    ("frame", "every", "reply_within"),
    [
        (opened(pingInterval=25000, pingTimeout=5000), 25, 5),
        (opened(pingInterval=10000, pingTimeout=86400000), 10, 10),
        (opened(pingInterval=300, pingTimeout=200), 0.3, 0.2),
        (opened(pingInterval=1, pingTimeout=1), 0.1, 0.001),
        (opened(pingInterval=3_600_000, pingTimeout=-1), 25, 10),
        (opened(pingInterval=-5, pingTimeout=0), 25, 10),
        (opened(pingInterval="soon", pingTimeout=None), 25, 10),
        (opened(), 25, 10),
        ("0", 25, 10),
        ("0[]", 25, 10),
        ('0{"pingInterval":10', 25, 10),
        ('0{"pingInterval":1e999}', 25, 10),
        pytest.param("0" + "[" * 100_000, 25, 10, id="deep"),
    ],
)
def test_pings_as_often_as_the_server_says_and_within_reason(
    frame: str, every: float, reply_within: float
) -> None:
    beat, *_ = EngineIo3("/public").received(frame)
    assert beat == Beat(every, reply_within, "2", steady=True)


def test_the_unasked_join_of_the_default_namespace_is_not_ours() -> None:
    dialect = joining(EngineIo3("/public"))
    assert list(dialect.received("40")) == []
    assert list(dialect.received("40/user")) == []
    assert list(dialect.received("40/public")) == [Live()]


@pytest.mark.parametrize("echo", ["40/public", "40/public,", "40/public?x=1"])
def test_is_live_once_the_join_is_echoed_in_any_form(echo: str) -> None:
    dialect = joining(EngineIo3("/public"))
    assert list(dialect.received(echo)) == [Live()]
    assert list(dialect.received(echo)) == []


def asking() -> EngineIo3:
    """A dialect that has asked for its channel, which nobody acknowledges."""
    dialect = joining(EngineIo3("/user", (CHANNEL,)))
    assert list(dialect.received("40/user")) == [Send(CHANNEL), Send("2"), Await(10)]
    assert list(dialect.received("40/user,")) == []
    return dialect


def test_is_live_once_a_pong_shows_that_its_channels_were_read() -> None:
    dialect = asking()
    assert list(dialect.received("3")) == [Answered(), Live()]
    assert list(dialect.received("3")) == [Answered()]


def test_is_live_once_its_channel_tells_something() -> None:
    told = '42/user,["stream",{}]'
    assert list(asking().received(told)) == [Live(), Keep(told)]


def test_dials_again_if_nothing_shows_that_its_channels_were_read() -> None:
    assert isinstance(end(asking().overdue()), Disconnected)


def test_an_emitted_event_is_as_published_and_quoted_where_it_must_be() -> None:
    assert emit("/user", "channel", "9f86d0") == CHANNEL
    assert emit("/user", "channel", 'a"b') == '42/user,["channel","a\\"b"]'


def test_neither_a_missing_open_packet_nor_a_missing_echo_is_waited_for_longer() -> None:
    dialect = EngineIo3("/public")
    assert str(end(dialect.overdue())) == "no open packet"
    assert str(end(joining(dialect).overdue())) == "no echo of the join of /public"


def test_a_wrong_namespace_is_our_fault() -> None:
    error = end(joining(EngineIo3("/nope")).received('44/nope,"Invalid namespace"'))
    assert isinstance(error, Refused)
    assert str(error) == '/nope answers "Invalid namespace"'


@pytest.mark.parametrize("frame", ['44/nope,"Invalid namespace"', '44"no"', '44/public,"later"'])
def test_an_error_that_refuses_nothing_of_ours_is_reported(frame: str) -> None:
    (report,) = public().received(frame)
    assert isinstance(report, Report)


# ---- heartbeat --------------------------------------------------------------------------


def test_a_pong_answers_and_is_not_kept() -> None:
    assert list(public().received("3")) == [Answered()]


def test_a_ping_of_the_servers_is_answered_with_its_own_text() -> None:
    assert list(public().received("2")) == [Send("3")]
    assert list(public().received("2probe")) == [Send("3probe"), Keep("2probe", useful=False)]


def test_silence_of_the_namespace_is_death_where_the_feed_says_so() -> None:
    dialect = joining(EngineIo3("/public", quiet=25))
    assert list(dialect.received("40/public")) == [Live(), Await(25)]
    assert list(dialect.received(STREAM)) == [Keep(STREAM), Await(25)]
    assert list(dialect.received("3")) == [Answered()]
    error = end(dialect.overdue())
    assert isinstance(error, Silent)
    assert str(error) == "nothing on /public for 25 s"


# ---- what is kept -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        STREAM,
        '42/public,["stream"]',
        '42/public,["announcement",[]]',
        '42/public,["stream",{"asks":[{"amount":"0.05',
    ],
)
def test_an_event_is_kept_byte_for_byte(frame: str) -> None:
    assert list(public().received(frame)) == [Keep(frame)]


@pytest.mark.parametrize(
    "frame",
    [
        # Malformed packets.
        '42{"a":1}',
        "42[]",
        "42[7]",
        '42/public["stream",{}]',
        "42/public,",
        "42",
        "4",
        "47",
        "40\n",
        "41/public,x",
        "44/public,no",
        '45["x"]',
        '45-["x"]',
        # Packets that are not for us, or not of this generation.
        '42["trade",{"a":1}]',
        '42/user,["channel","abc"]',
        '4213["foo"]',
        '43/admin,13["bar"]',
        '451-["baz",{"_placeholder":true,"num":0}]',
        '452-/admin,7["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"\x04\x00\xff",
        "b4AQIDBA==",
        # No packets at all.
        "",
        "not a packet",
        "<html>",
        "1001",
        "6 of one",
        "5",
        "0",
        OPEN,
        "7",
        "\x00",
        "٤٢",
        pytest.param("4" + "[" * 100_000, id="deep"),
    ],
)
def test_whatever_is_not_understood_is_kept_and_ends_nothing(frame: str | bytes) -> None:
    assert list(public().received(frame)) == [Keep(frame, useful=False)]


def test_a_numbered_event_is_kept() -> None:
    frame = '42/public,13["stream",{}]'
    assert list(public().received(frame)) == [Keep(frame, useful=False)]


def test_noop_says_nothing() -> None:
    assert list(public().received("6")) == []


@pytest.mark.parametrize("dialect", [EngineIo3("/public"), joining(EngineIo3("/public"))])
def test_what_comes_too_early_is_kept(dialect: EngineIo3) -> None:
    assert list(dialect.received(STREAM)) == [Keep(STREAM)]


# ---- ends -------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", ["41", "41/public", "41/public,", "1"])
def test_the_server_ending_it_means_dial_again_at_once(frame: str) -> None:
    error = end(public().received(frame))
    assert isinstance(error, Disconnected)
    assert error.pause == AtOnce()


def test_the_end_of_somebody_elses_namespace_is_not_ours() -> None:
    assert list(public().received("41/user")) == []


@pytest.mark.parametrize(
    "dialect",
    [joining(EngineIo3("/public")), asking()],
    ids=["after the join", "after the channel"],
)
def test_a_normal_close_right_after_we_spoke_says_that_we_were_misread(
    dialect: EngineIo3,
) -> None:
    assert isinstance(dialect.closed(Close(1000)), Refused)


def heard(dialect: EngineIo3) -> EngineIo3:
    list(dialect.received("3"))
    return dialect


@pytest.mark.parametrize(
    "dialect",
    [EngineIo3("/public"), public(), heard(user())],
    ids=["before we spoke", "after the echo", "after a pong"],
)
def test_a_normal_close_at_any_other_time_is_one(dialect: EngineIo3) -> None:
    error = dialect.closed(Close(1000))
    assert isinstance(error, Disconnected)
    assert error.pause == BackOff()


@pytest.mark.parametrize(
    ("close", "pause"),
    [(1001, AtOnce()), (1006, AtOnce()), (1012, AtOnce()), (1011, BackOff())],
)
def test_other_closes_mean_what_they_mean_everywhere(close: int, pause: AtOnce | BackOff) -> None:
    error = user().closed(Close(close))
    assert isinstance(error, Disconnected)
    assert error.pause == pause


def test_a_refused_upgrade_means_what_the_feed_or_else_http_says() -> None:
    dialect = EngineIo3("/public", refusals={403: dial_again(After(60))})
    error = dialect.refused(Refusal(403))
    assert isinstance(error, Disconnected)
    assert error.pause == After(60)
    assert isinstance(dialect.refused(Refusal(400)), Refused)
    assert isinstance(dialect.refused(Refusal(401)), Unauthorized)


def test_a_secret_that_is_said_is_not_shown() -> None:
    assert "9f86d0" not in repr(user())


def effects_of(dialect: EngineIo3, *frames: str) -> list[Effect]:
    return [effect for frame in frames for effect in dialect.received(frame)]


def test_a_whole_conversation() -> None:
    dialect = EngineIo3("/user", (CHANNEL,))
    told = '42/user,["stream",{"balance_eur":"410.04"}]'
    assert effects_of(dialect, OPEN, "40", "40/user,", "3", told) == [
        Beat(10, 10, "2", steady=True),
        Send("40/user"),
        Await(10),
        Send(CHANNEL),
        Send("2"),
        Await(10),
        Answered(),
        Live(),
        Keep(told),
    ]

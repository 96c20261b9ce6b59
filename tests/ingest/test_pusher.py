"""Pusher dialect: text in, effects out, no socket in sight."""

import json

import pytest

from ingest.dialects.pusher import Pusher, unfit_channel
from ingest.feed import (
    Await,
    Beat,
    Disconnected,
    Effect,
    End,
    Keep,
    Live,
    Refusal,
    Refused,
    Report,
    Send,
    Unauthorized,
)

PING = '{"event":"pusher:ping","data":{}}'
PONG = '{"event":"pusher:pong","data":{}}'


def told(event: str, data: object = "{}", **more: str) -> str:
    return json.dumps({"event": event, "data": data, **more})


def subscribe(channel: str) -> Send:
    return Send(f'{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}')


def confirmed(channel: str) -> str:
    return told("pusher_internal:subscription_succeeded", channel=channel)


def greeted(
    *channels: str, data: object = '{"activity_timeout":120}'
) -> tuple[Pusher, list[Effect]]:
    pusher = Pusher(channels, quiet=10)
    assert list(pusher.opened()) == [Await(10)]
    return pusher, list(pusher.received(told("pusher:connection_established", data)))


def test_waits_for_the_greeting_and_subscribes_to_everything_after_it() -> None:
    _, effects = greeted("a", "b")
    assert effects == [Beat(10, 30, PING), subscribe("a"), subscribe("b"), Await(10)]


def test_no_greeting_is_the_end() -> None:
    (end,) = Pusher(("a",), quiet=10).overdue()
    assert isinstance(end, End)
    assert isinstance(end.error, Disconnected)


@pytest.mark.parametrize(
    ("data", "every"),
    [
        ('{"activity_timeout":5}', 5),
        ({"activity_timeout": 5}, 5),
        ('{"activity_timeout":120}', 10),
        ("{}", 10),
        ("not JSON", 10),
        ('{"activity_timeout":-1}', 10),
        ('{"activity_timeout":"soon"}', 10),
        (None, 10),
        ([], 10),
    ],
)
def test_pings_by_the_smaller_of_two_limits(data: object, every: float) -> None:
    _, effects = greeted("a", data=data)
    assert effects[0] == Beat(every, 30, PING)


def test_is_live_once_every_channel_is_confirmed() -> None:
    pusher, _ = greeted("a", "b")
    assert list(pusher.received(confirmed("b"))) == []
    assert list(pusher.received(confirmed("b"))) == []
    assert list(pusher.received(confirmed("someone's"))) == []
    assert list(pusher.received(confirmed("a"))) == [Live()]


def test_an_unconfirmed_channel_is_asked_for_once_more_and_then_ends_the_connection() -> None:
    pusher, _ = greeted("a", "b")
    list(pusher.received(confirmed("a")))
    assert list(pusher.overdue()) == [subscribe("b"), Await(10)]
    (end,) = pusher.overdue()
    assert isinstance(end, End)
    assert str(end.error) == "1 of 2 channels unconfirmed"


def test_answers_a_ping_and_reports_an_error_without_keeping_either() -> None:
    pusher, _ = greeted("a")
    assert list(pusher.received(told("pusher:ping"))) == [Send(PONG)]
    (report,) = pusher.received(told("pusher:error", {"message": "no", "code": 4301}))
    assert isinstance(report, Report)
    assert "4301" in report.text


@pytest.mark.parametrize(
    "frame",
    [
        told("ORDER_CREATED", "{}", channel="a"),
        told("ORDER_TELEPORTED", None, channel="never subscribed"),
        '{"event":"ORDER_CREATED","channel":"a","data":"{}',
        '{"channel":"a","data":"{}"}',
        '{"event":7}',
        '{"event":"x","data":NaN}',
        "[]",
        "",
        "not JSON",
        "[" * 200_000,
        b"\x00\xff",
        b'{"event":"x","data":"\xff"}',
    ],
)
def test_keeps_untouched_whatever_is_not_the_protocols(frame: str | bytes) -> None:
    pusher, _ = greeted("a")
    assert list(pusher.received(frame)) == [Keep(frame)]


def test_a_refused_upgrade_means_what_http_says() -> None:
    pusher = Pusher(("a",), quiet=10)
    assert isinstance(pusher.refused(Refusal(404)), Refused)
    assert isinstance(pusher.refused(Refusal(401)), Unauthorized)
    assert isinstance(pusher.refused(Refusal(503)), Disconnected)


@pytest.mark.parametrize("name", ["", "x" * 165, "a b", "a/b", "ü", "#server-to-user"])
def test_names_that_pusher_would_refuse_are_unfit(name: str) -> None:
    reason = unfit_channel(name)
    assert reason
    assert not name or name not in reason


def test_any_other_name_is_fit() -> None:
    assert unfit_channel("Aa0_-=@,.;" + "x" * 154) is None

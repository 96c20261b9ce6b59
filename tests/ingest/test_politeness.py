"""A provider that is busy is asked again later, and not for ever."""

import pytest

from ingest.feed import After, Answer, Call, Disconnected, End, Next, Wait
from ingest.politeness import Politeness, pause

CALL = Call("events", "/events")


def answer(status: int, body: bytes = b"", retry_after: float | None = None) -> Answer:
    return Answer(status=status, retry_after=retry_after, body=body)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (answer(429, retry_after=7), 7),
        (answer(429, b'{"retry_after":"15 minutes"}', retry_after=7), 7),
        (answer(429, b'{"retry_after":"15 minutes"}'), 900),
        (answer(429, b'{"retry_after":"30s"}'), 30),
        (answer(429, b'{"retry_after":"2 hours"}'), 3600),
        (answer(429, b'{"retry_after":12}'), 12),
        (answer(429, b'{"retry_after":"soon"}'), 60),
        (answer(429, b"<h1>429</h1>"), 60),
        (answer(429, b'{"retry_after":-5}'), 0),
        (answer(429, retry_after=1e9), 3600),
    ],
)
def test_a_429_names_its_pause_in_the_header_or_in_prose(told: Answer, seconds: float) -> None:
    assert pause(told, 60) == seconds


def test_other_answers_are_none_of_its_business() -> None:
    polite = Politeness(60)
    assert [polite.about(CALL, answer(status)) for status in (200, 302, 401, 404)] == [None] * 4


def test_the_same_is_asked_again_later_and_later_and_then_given_up() -> None:
    polite = Politeness(60)
    pauses = []
    for _ in range(5):
        steps = polite.about(CALL, answer(503)) or ()
        pauses += [step.seconds for step in steps if isinstance(step, Wait)]
        assert steps[-1] == Next(CALL)
    assert pauses == [1, 2, 4, 8, 16]
    (last,) = polite.failed(CALL, Disconnected("no answer"))
    assert isinstance(last, End)
    assert isinstance(last.error, Disconnected)
    assert last.error.pause == After(32)


def test_a_429_for_ever_is_never_asked_before_its_time() -> None:
    polite = Politeness(60)
    steps = [step for _ in range(5) for step in polite.about(CALL, answer(429)) or ()]
    assert [step.seconds for step in steps if isinstance(step, Wait)] == [60] * 5
    assert polite.about(CALL, answer(200)) is None
    (_, wait, _) = polite.about(CALL, answer(500)) or ()
    assert wait == Wait(1)

"""A round of REST without the loop: a reading, asked and answered by hand."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.feed import (
    Answer,
    Call,
    Disconnected,
    Done,
    End,
    FeedError,
    Keep,
    Next,
    Reading,
    Report,
    Wait,
)

Answering = Callable[[Call], Answer | Disconnected]
MOST_CALLS = 20_000


@dataclass
class Told:
    """What a round came to."""

    calls: list[Call] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    done: Done | None = None
    error: FeedError | None = None


def walked(reading: Reading, answering: Answering) -> Told:
    """Answer every call until the round is over; one that never ends is a failure."""
    told = Told()
    steps = iter(reading.begin())
    while (call := _done(steps, told)) is not None:
        told.calls.append(call)
        assert len(told.calls) < MOST_CALLS, "the round does not end"
        answer = answering(call)
        failed = isinstance(answer, Disconnected)
        steps = iter(reading.failed(call, answer) if failed else reading.answered(call, answer))
    return told


def _done(steps: Iterator[Any], told: Told) -> Call | None:
    for step in steps:
        match step:
            case Keep(frame):
                told.kept.append(frame if isinstance(frame, bytes) else frame.encode())
            case Report(text):
                told.said.append(text)
            case Wait(seconds):
                told.waited.append(seconds)
            case Next(call):
                return call
            case Done():
                told.done = step
                return None
            case End(error):
                told.error = error
                return None
    raise AssertionError("a step said neither what is next nor that it is over")


def ok(content: object) -> Answer:
    return answered(200, json.dumps(content).encode())


def answered(status: int, body: bytes = b"{}", retry_after: float | None = None) -> Answer:
    return Answer(status=status, retry_after=retry_after, body=body)

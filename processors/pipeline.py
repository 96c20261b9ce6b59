"""From a raw record to what a transaction writes: open, map, judge. No I/O."""

from collections.abc import Collection
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from processors.batch import Batch
from processors.coverage import follow_mark
from processors.drift import drift_of
from processors.errors import Crashed, FrameError, Malformed, UnknownKind, Unverified
from processors.frame import Frame, rejection_of
from processors.judging import tell_fact, tell_observation
from processors.mapper import Keys, Mapper, Part, Statement
from schemas.codec import raw_record
from schemas.records import Kind, Position, Raw, Rejected
from schemas.redrive import Again


class Guard(Protocol):
    """Knows which parts killed their task, and wants to know which one is next."""

    def is_condemned(self, position: Position, part: int) -> bool: ...
    def enter(self, position: Position, part: int) -> None: ...


WHOLE: Final = -1
"""Stands for a frame of which no part was reached yet, where parts are numbered."""


def process(  # noqa: PLR0913, PLR0917 - a record, how to read it, and where it goes
    raw: Raw,
    position: Position,
    mapper: Mapper,
    keys: Keys,
    batch: Batch,
    guard: Guard | None = None,
    again: Again | None = None,
) -> None:
    """Add to ``batch`` all that one raw record leads to.

    Never raises for what a provider sent: each part leaves by exactly one door, as
    events, as silence on purpose, or as one rejected record. ``guard`` is there while
    a record is suspected to have killed its task. ``again`` is there where a part of it was
    rejected before: ``position`` is the original's, and what it marks is long past.
    """
    attempt = again.attempt if again else 1
    frame = Frame(raw, position, mapper, sha256(raw.value).hexdigest(), attempt)
    try:
        if again is None:
            follow_mark(raw, position, batch)
        if raw.kind is not Kind.FRAME:
            return
        if guard is not None:
            _pass(guard, position, WHOLE)
        parts = list(mapper.open(raw, keys))
    except _UNREADABLE as error:
        batch.rejected.append(
            rejection_of(frame, "", _as_frame_error(error), None, batch.published_at)
        )
        return
    meant = None if again is None else _meant(parts, again.part)
    for index, part in enumerate(parts):
        if meant is None or index in meant:
            _tell_whole(frame, index, part, keys, batch, guard)


def _meant(parts: list[Part], pointer: str) -> Collection[int]:
    """Return which part was rejected: its neighbours left by their own doors.

    All of them where the frame was rejected whole, or now opens in another way.
    """
    named = [index for index, part in enumerate(parts) if part.pointer == pointer]
    return named or range(len(parts))


def _pass(guard: Guard, position: Position, part: int) -> None:
    """Let a part in that may be tried; raise ``Crashed`` for one that may not."""
    if guard.is_condemned(position, part):
        raise Crashed("it killed its task twice while nothing else was processed")
    guard.enter(position, part)


# A document nested deeper than the interpreter's stack is as unreadable as a torn one.
_UNREADABLE: Final = (FrameError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _as_frame_error(error: Exception) -> FrameError:
    match error:
        case FrameError():
            return error
        case msgspec.MsgspecError():
            return Malformed(str(error))
        case RecursionError():
            return Malformed("$: expected JSON, found one nested too deep to read")
        case _:
            return Malformed("$: expected UTF-8 text, found bytes that are not")


def verifies(rejected: Rejected, mapper: Mapper, keys: Keys) -> bool:
    """Return whether one of ``keys`` signed a rejected frame, whatever else is wrong with it."""
    headers = [(header.name, header.value) for header in rejected.headers]
    try:
        list(mapper.open(raw_record(headers, rejected.value), keys))
    except _UNREADABLE as error:
        return not isinstance(error, Unverified)
    return True


def _tell_whole(  # noqa: PLR0913, PLR0917 - as process, for one part
    frame: Frame, index: int, part: Part, keys: Keys, batch: Batch, guard: Guard | None
) -> None:
    """Tell all that a part states, or reject it whole."""
    statement = None
    try:
        if guard is not None:
            _pass(guard, frame.position, index)
        statements = _statements(frame.mapper, part, keys)
        inner = batch if len(statements) == 1 else Batch(batch, batch.published_at)
        for number, statement in enumerate(statements):
            if statement.identity is not None:
                tell_fact(frame, part, statement, statement.identity, inner)
            else:
                name = f"{index}.{number}" if number else str(index)
                tell_observation(frame, part, statement, name, inner)
    except _UNREADABLE as error:
        batch.rejected.append(
            rejection_of(frame, part.pointer, _as_frame_error(error), statement, batch.published_at)
        )
        return
    if inner is not batch:
        batch.absorb(inner)
    if drift := drift_of(frame.mapper, part, frame.position):
        batch.drifts.append(drift)


def _statements(mapper: Mapper, part: Part, keys: Keys) -> list[Statement]:
    route = mapper.routes.get(part.kind)
    if route is not None:
        return list(route.states(route.decoder.decode(part.body), part, keys))
    if part.kind in mapper.silent:
        return []
    raise UnknownKind(f"{mapper.provider} has no route for {part.kind[:_KIND_SHOWN]!r}")


_KIND_SHOWN: Final = 64

"""Who killed the task? Kept on disk, so that a poison can never loop.

Before a batch is processed its range is noted, and afterwards crossed out again. What a
start finds noted was being processed when the process died. After three deaths in one
range its records are processed one by one; a part that then kills the task twice is to
be rejected as ``crashed``.

Only processing is guarded: a death while Kafka is written to condemns nobody. The note
is not synced: it must outlive the process, not the machine. It is written over in place:
a file that was truncated is put on disk when it is closed (ext4's ``auto_da_alloc``), and
two milliseconds of every transaction went there, twice.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from weakref import finalize

import msgspec

from processors.errors import OperatorError
from schemas.records import Position

_SUSPICIOUS: Final = 3
"""Deaths in a range after which its records are processed one by one."""
_CONDEMNED: Final = 2
"""Deaths alone after which a part is rejected."""


class _Note(msgspec.Struct):
    """What the file holds."""

    deaths: int = 0
    """In the range up to ``up_to``."""
    up_to: dict[str, int] = {}
    """Topic → last offset of the range that is under suspicion."""
    alone: dict[str, int] = {}
    """``topic/offset/part`` → deaths while it was alone."""
    running: dict[str, int] | None = None
    """The range that is being processed now; None between two batches."""
    part: str | None = None
    """The part that is being processed alone now."""


class Attempts:
    """One task's notes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle = self._opened()
        finalize(self, os.close, self._handle)
        told = file.read_bytes()
        self._length = len(told)
        self._note = _read(told)
        if self._note.running is not None:
            self._died(self._note)

    @property
    def is_alone(self) -> bool:
        """True while records must be processed one by one."""
        return self._note.deaths >= _SUSPICIOUS

    def begin(self, last: Mapping[str, int]) -> None:
        """Note that a batch is processed; ``last``: topic → its last offset there."""
        self._note.running = dict(last)
        self._write()

    def enter(self, position: Position, part: int) -> None:
        """Note that a part is processed, alone."""
        self._note.part = _name(position, part)
        self._write()

    def is_condemned(self, position: Position, part: int) -> bool:
        """Return whether a part killed the task too often to be tried again."""
        return self._note.alone.get(_name(position, part), 0) >= _CONDEMNED

    def done(self) -> None:
        """Cross the batch out; forget the suspicion once its whole range is passed."""
        note, passed = self._note, self._note.running or {}
        rest = {t: last for t, last in note.up_to.items() if passed.get(t, -1) < last}
        self._note = _Note(note.deaths, rest, note.alone) if rest else _Note()
        self._write()

    def _died(self, note: _Note) -> None:
        if note.part is not None:
            note.alone[note.part] = note.alone.get(note.part, 0) + 1
        for topic, last in (note.running or {}).items():
            note.up_to[topic] = max(last, note.up_to.get(topic, last))
        self._note = _Note(note.deaths + 1, note.up_to, note.alone)
        self._write()

    def _opened(self) -> int:
        try:
            return os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._refused(error) from error

    def _write(self) -> None:
        told = msgspec.json.encode(self._note)
        self._length = max(self._length, len(told))
        try:
            os.pwrite(self._handle, told.ljust(self._length), 0)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> OperatorError:
        return OperatorError(
            f"cannot write {self._file} ({error.strerror}); make room for it or give access"
        )


def _read(told: bytes) -> _Note:
    try:
        return msgspec.json.decode(told, type=_Note)
    except msgspec.MsgspecError:
        return _Note()  # New, or torn by a full disk: at worst a poison has three more attempts.


def _name(position: Position, part: int) -> str:
    return f"{position.topic}/{position.offset}/{part}"

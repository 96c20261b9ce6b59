"""One account's records on disk, while Kafka is slow or away: appended, read once, forgotten.

A directory holds segments ``<number>-<salt>.segment``, the position up to which raw has
acknowledged, and the lock of the process that uses it. Nothing here waits or decides;
``lane.py`` does. https://man7.org/linux/man-pages/man2/fsync.2.html
"""

import fcntl
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import randbits
from struct import Struct
from threading import Lock
from time import time_ns
from typing import Final
from zlib import crc32

import msgspec

from ingest.errors import OperatorError, SettingsError
from ingest.framing import cut, found, framed
from schemas.records import Raw

SEGMENT_BYTES: Final = 2**20
"""Where the next segment begins: what is read at once, and what is forgotten at once."""
_NAME: Final = re.compile(r"([0-9]{16})-([0-9a-f]{8})\.segment")
_POSITION: Final = Struct(">QII")
"""Number of the segment, its salt, offset; CRC-32 of the three follows."""
_SUM_BYTES: Final = 4
_POSITION_FILE: Final = "acknowledged"
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Raw)


@dataclass(slots=True)
class _Segment:
    number: int
    salt: int
    path: Path
    length: int = 0
    """Bytes that may be read; what a failed write left behind it is nobody's."""


@dataclass(frozen=True, slots=True)
class Place:
    """The end of one record."""

    segment: int
    offset: int


class Spool:
    """Used by one thread at a time. Its methods raise ``OSError``."""

    def __init__(self, directory: Path, *, fsync: bool, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Take the directory, and find what an earlier process left in it.

        Raises ``SettingsError`` where it cannot be used, or is in use.
        """
        self.cut = 0
        """Bytes that an earlier process had not written whole."""
        self._directory = directory
        self._turn = Lock()
        """A thread whose task was cancelled may still write when we are closed."""
        self._fsync = fsync
        self._segment_bytes = segment_bytes
        self._writing: int | None = None
        """Descriptor of the last segment, while it is written to."""
        self._lock = _claimed(directory)
        self._position = os.open(directory / _POSITION_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        self._segments = _segments(directory)
        self.size = sum(segment.length for segment in self._segments)
        """Bytes on disk that raw has not acknowledged, to a segment's length."""
        self._acknowledged = self._last_position()
        self._forget_before(self._acknowledged)
        self._read = self._acknowledged
        for segment in self._segments:
            self.cut += cut(segment.path.read_bytes(), segment.salt, self._start(segment))

    @property
    def unread(self) -> int:
        """Return the bytes that were not read."""
        number, offset = self._read
        later = (each for each in self._segments if each.number >= number)
        return sum(each.length - offset * (each.number == number) for each in later)

    def write(self, records: Iterable[Raw]) -> None:
        """Append records; with ``fsync``, they survive a power cut when this returns.

        Where it raises, none of them counts as written; some may be there all the same.
        """
        payloads = [_ENCODER.encode(raw) for raw in records]
        with self._turn:
            while payloads:
                segment, file = self._open_segment()
                taken = _fitting(payloads, self._segment_bytes - segment.length)
                try:
                    self._append(segment, file, payloads[:taken])
                except OSError:
                    self._leave_segment(segment)
                    raise
                payloads = payloads[taken:]

    def read(self) -> list[tuple[Place, Raw]]:
        """Return the records behind those returned last, a segment's worth at most."""
        for segment in self._segments:
            if (segment.number, segment.length) > self._read:
                start = self._read[1] if segment.number == self._read[0] else 0
                self._read = (segment.number, segment.length)
                if records := self._records(segment, start):
                    return records
        return []

    def rewind(self) -> None:
        """Read again what raw has not acknowledged."""
        self._read = self._acknowledged

    def acknowledge(self, place: Place) -> None:
        """Forget everything up to a place. A crash may forget that, and read it again."""
        salt = next(each.salt for each in self._segments if each.number == place.segment)
        told = _POSITION.pack(place.segment, salt, place.offset)
        with self._turn:
            with suppress(OSError):  # On a full disk: what is not noted is read again.
                os.pwrite(self._position, told + _sum(told), 0)
            self._forget_before((place.segment, place.offset))

    def clear(self) -> None:
        """Remove every segment; everything in them was acknowledged."""
        self._stop_writing()
        while self._segments:
            self._segments[0].path.unlink(missing_ok=True)
            del self._segments[0]
        self.size = 0
        self._acknowledged = self._read = (0, 0)

    def close(self) -> None:
        """Let go of the directory; what is in it stays."""
        with self._turn:
            self._stop_writing()
            os.close(self._position)
            os.close(self._lock)

    # ---- segments -------------------------------------------------------------------

    def _open_segment(self) -> tuple[_Segment, int]:
        if self._writing is not None and self._segments[-1].length < self._segment_bytes:
            return self._segments[-1], self._writing
        self._stop_writing()
        # Never the one of an earlier process: what its end is worth is not known.
        last = self._segments[-1].number if self._segments else 0
        # By the clock: one that a power cut brings back must not share a later one's number.
        number, salt = max(last + 1, time_ns() // 1000), randbits(32)
        path = self._directory / f"{number:016}-{salt:08x}.segment"
        self._writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segments.append(_Segment(number, salt, path))
        return self._segments[-1], self._writing

    def _append(self, segment: _Segment, file: int, payloads: Sequence[bytes]) -> None:
        written = b"".join(framed(payload, segment.salt) for payload in payloads)
        view = memoryview(written)
        while view:
            view = view[os.write(file, view) :]
        if self._fsync:
            os.fsync(file)
            if not segment.length:
                _sync_directory(self._directory)
        segment.length += len(written)
        self.size += len(written)

    def _leave_segment(self, segment: _Segment) -> None:
        """After a failed write or fsync nobody knows what the file holds: begin another."""
        writing, self._writing = self._writing, None
        if writing is not None:
            try:
                os.ftruncate(writing, segment.length)
            finally:
                os.close(writing)
        if not segment.length:
            self._segments.remove(segment)
            segment.path.unlink()

    def _stop_writing(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None

    def _records(self, segment: _Segment, start: int) -> list[tuple[Place, Raw]]:
        with segment.path.open("rb") as file:
            whole = file.read(segment.length)
        try:
            return [
                (Place(segment.number, each.end), _DECODER.decode(each.payload))
                for each in found(whole, segment.salt, start)
            ]
        except msgspec.ValidationError as error:
            raise OperatorError(
                f"{segment.path} was written by another version of Penstock ({error})"
                "; start that version once more, until the spool is empty"
            ) from error

    def _forget_before(self, position: tuple[int, int]) -> None:
        self._acknowledged = position
        writes = self._segments[-1].number if self._writing is not None else None
        for segment in [each for each in self._segments if each.number != writes]:
            if (segment.number, segment.length) <= position:
                segment.path.unlink(missing_ok=True)
                self._segments.remove(segment)
                self.size -= segment.length

    def _start(self, segment: _Segment) -> int:
        number, offset = self._acknowledged
        return offset if segment.number == number else 0

    def _last_position(self) -> tuple[int, int]:
        written = os.pread(self._position, _POSITION.size + _SUM_BYTES, 0)
        told = written[: _POSITION.size]
        if len(told) < _POSITION.size or written[_POSITION.size :] != _sum(told):
            return 0, 0
        number, salt, offset = _POSITION.unpack(told)
        is_there = any((each.number, each.salt) == (number, salt) for each in self._segments)
        return (number, offset) if is_there else (0, 0)


def _sum(told: bytes) -> bytes:
    return crc32(told).to_bytes(_SUM_BYTES, "big")


def _fitting(payloads: Sequence[bytes], room: int) -> int:
    """Return how many of these go into a segment: at least one, whatever its length."""
    for count, payload in enumerate(payloads):
        if room <= 0 and count:
            return count
        room -= len(payload)
    return len(payloads)


def _segments(directory: Path) -> list[_Segment]:
    named = ((path, _NAME.fullmatch(path.name)) for path in sorted(directory.iterdir()))
    return [
        _Segment(int(name[1]), int(name[2], 16), path, path.stat().st_size)
        for path, name in named
        if name
    ]


def _claimed(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(
            f"cannot use {directory} ({error.strerror}): give access, or set "
            "ingest.spool.directory to a directory that can be written"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "another one"
        os.close(lock)
        raise SettingsError(
            f"{directory} is in use by process {holder}: end that one, or set "
            "ingest.spool.directory to a directory of its own"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return lock


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""How records lie in a segment of the spool: each whole, or known not to be. No I/O.

    4 B marker · u32 length · u32 CRC-32 of length and payload, begun with the salt · payload

Numbers are big-endian. The salt is the segment's own and random: the payload holds what
others sent, and must not be able to pass for a record when the one around it is damaged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final
from zlib import crc32

_MARKER: Final = b"\xf5\x9dPS"
_HEAD: Final = Struct(">4sII")
_LENGTH: Final = Struct(">I")


@dataclass(frozen=True, slots=True)
class Found:
    """A payload, and where its record ends."""

    payload: bytes
    end: int


def framed(payload: bytes, salt: int) -> bytes:
    """Return the record of a payload, which must not be empty: zeroes are no record."""
    return _HEAD.pack(_MARKER, len(payload), _sum(payload, salt)) + payload


def found(segment: bytes, salt: int, start: int = 0) -> Iterator[Found]:
    """Yield every whole record from a place on, whatever lies between them.

    What lies behind a damaged record is found again by its marker. A torn tail is simply
    not found.
    """
    at = start
    while (at := segment.find(_MARKER, at)) >= 0:
        record = _whole(segment, at, salt)
        if record is None:
            at += 1
        else:
            yield record
            at = record.end


def cut(segment: bytes, salt: int, start: int = 0) -> int:
    """Return how many bytes from a place on belong to no whole record."""
    whole = sum(_HEAD.size + len(each.payload) for each in found(segment, salt, start))
    return len(segment) - start - whole


def _whole(segment: bytes, at: int, salt: int) -> Found | None:
    begin = at + _HEAD.size
    if begin > len(segment):
        return None
    _, length, wanted = _HEAD.unpack_from(segment, at)
    payload = segment[begin : begin + length]
    if not 0 < length == len(payload) or _sum(payload, salt) != wanted:
        return None
    return Found(payload, begin + length)


def _sum(payload: bytes, salt: int) -> int:
    return crc32(payload, crc32(_LENGTH.pack(len(payload)), salt))

"""Kinds of damage to a frame, each a function of chance alone: the same chance, the same bytes.

A place in the JSON is replaced where it lies, so that all around it stays byte for byte. What
lies inside a token or a text is opened, damaged, and closed again as its sender would.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final, NamedTuple

import jwt

from tests.test_every_provider import KEYS, SOCKETIO


class Damaged(NamedTuple):
    """A frame after damage."""

    kind: str
    frame: bytes
    pointer: str | None
    """JSON pointer of what was damaged; None where the whole may be."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a JSON document."""

    pointer: str
    start: int
    end: int
    key: int | None
    """Where the key before it begins; None in an array, and of the whole."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A JSON document in a frame, and what makes a frame of it again."""

    document: bytes
    closed: Callable[[bytes], bytes]
    places: tuple[Place, ...]


# ---- where damage may go ----------------------------------------------------------------

_TOKEN: Final = re.compile(rb'\s*([\[\]{},:]|"(?:[^"\\]|\\.)*"|[^\s\[\]{},:"]+)', re.DOTALL)


def places(document: bytes, prefix: str = "") -> tuple[Place, ...]:
    """Return every value of a JSON document; none of what is no JSON."""
    try:
        json.loads(document)
    except (ValueError, RecursionError):
        return ()
    found: list[Place] = []
    _walk(document, 0, prefix, None, found)
    return tuple(found)


def _walk(document: bytes, at: int, pointer: str, key: int | None, found: list[Place]) -> int:
    token = _token(document, at)
    at = token.end()
    match token[1]:
        case b"{":
            at = _members(document, at, pointer, found)
        case b"[":
            at = _elements(document, at, pointer, found)
    found.append(Place(pointer, token.start(1), at, key))
    return at


def _members(document: bytes, at: int, pointer: str, found: list[Place]) -> int:
    while (name := _token(document, at))[1] != b"}":
        if name[1] == b",":
            at = name.end()
            continue
        colon = _token(document, name.end())
        escaped = json.loads(name[1]).replace("~", "~0").replace("/", "~1")
        at = _walk(document, colon.end(), f"{pointer}/{escaped}", name.start(1), found)
    return name.end()


def _elements(document: bytes, at: int, pointer: str, found: list[Place]) -> int:
    count = 0
    while (token := _token(document, at))[1] != b"]":
        if token[1] == b",":
            at = token.end()
            continue
        at = _walk(document, at, f"{pointer}/{count}", None, found)
        count += 1
    return token.end()


def _token(document: bytes, at: int) -> re.Match[bytes]:
    token = _TOKEN.match(document, at)
    assert token is not None
    return token


@cache
def layers(frame: bytes) -> tuple[Layer, ...]:
    """Return the documents of a frame, from the outermost: one, two, or none."""
    if head := SOCKETIO.match(frame):
        body = frame[head.end() :]
        return _layer(body, lambda document: head[0] + document)
    return (*_layer(frame, bytes), *_inner(frame))


def _layer(
    document: bytes, closed: Callable[[bytes], bytes], prefix: str = ""
) -> tuple[Layer, ...]:
    found = places(document, prefix)
    return (Layer(document, closed, found),) if found else ()


def _inner(frame: bytes) -> tuple[Layer, ...]:
    """Open the text that Pusher and Transak put a document or a token into."""
    texts = [place for place in places(frame) if place.pointer == "/data"]
    text = json.loads(frame[texts[0].start : texts[0].end]) if texts else None
    if not isinstance(text, str):
        return ()
    start, end = texts[0].start, texts[0].end

    def closed(document: bytes) -> bytes:
        return frame[:start] + _quoted(document) + frame[end:]

    if text.startswith("{"):
        return _layer(text.encode(), closed, "/data")
    try:
        claims = jwt.PyJWS().decode(text.strip('"'), options={"verify_signature": False})
    except jwt.PyJWTError:
        return ()
    return _layer(claims, lambda document: closed(_signed(document)), "/data")


def _signed(claims: bytes) -> bytes:
    key = KEYS.verification["current"]
    return jwt.PyJWS().encode(claims, key, algorithm="HS256").encode()


def _quoted(text: bytes) -> bytes:
    told = text.decode(errors="surrogateescape")
    return json.dumps(told, ensure_ascii=False).encode(errors="surrogateescape")


# ---- values that no provider should send ------------------------------------------------

_EDGES: Final = (
    *(b"null", b"true", b"false", b"0", b"-0", b"-1", b"0.0", b"1", b'""', b"[]", b"{}"),
    *(b"[[]]", b"[null]", b"[{}]", b'{"":null}', b'" "', b'"0"', b'"-1"', b'"null"', b'"\\u0000"'),
    *(b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59.999999-23:59"', b'"1969-12-31"', b"1e3"),
    *(b'"2026-02-30T00:00:00Z"', b'"2026-11-21T24:00:00Z"', b"4503599627370496", b"-1e-18"),
)
_NO_NUMBERS: Final = (
    *(b"NaN", b"Infinity", b"-Infinity", b'"NaN"', b'"sNaN"', b'"-Infinity"', b'"inf"'),
    *(b"+1", b"01", b"1.", b".5", b"0x10", b"1_000", b'"1_000"', b'"0x10"', b'"1,5"', b'" 1 "'),
)
_BAD_UTF8: Final = (
    *(b"\xff", b"\xc3", b"\xc0\xaf", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"),
)
_HALVES: Final = (rb"\ud800", rb"\udfff", rb"\udc00\ud800", rb"\ud83d", rb"x\ud800y", rb"\uD83Dx")
_MARKS: Final = (b"\x00", b"\n", b"\x1f", b"\x7f", rb"\u0000", rb"\u001f", rb"\n", rb"\u202e", b"/")
_WORDS: Final = ("", "a", "NaN", "é", "\U0001f600", "\u2028", "id", "status", "BTC", "1e5", "-1")

Damage = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""From chance, a value's text and texts of values elsewhere to what stands there then."""


def _anything(chance: Random, _old: bytes, _others: Sequence[bytes]) -> bytes:
    return json.dumps(_tree(chance, 3), ensure_ascii=chance.random() < 0.5).encode()


def _tree(chance: Random, depth: int) -> object:  # noqa: PLR0911 - one per kind of value
    match chance.randrange(8 if depth else 6):
        case 0:
            return chance.choice((None, True, False))
        case 1:
            return chance.randrange(-(10**6), 10**13)
        case 2:
            return chance.uniform(-1e9, 1e9)
        case 3 | 4:
            return chance.choice(_WORDS)
        case 5:
            return str(chance.randrange(-(10**9), 10**9) / 1000)
        case 6:
            return [_tree(chance, depth - 1) for _ in range(chance.randrange(4))]
    names = chance.sample(_WORDS, chance.randrange(4))
    return {name: _tree(chance, depth - 1) for name in names}


def _huge(chance: Random, _old: bytes, _others: Sequence[bytes]) -> bytes:
    digits = b"9" * chance.choice((20, 21, 38, 39, 64, 309, 5000))
    power = str(chance.choice((18, 19, 63, 308, 400, 999_999, 10**18, 10**25))).encode()
    number = chance.choice(
        (digits, b"0." + digits, digits + b"." + digits, b"1e" + power, b"1e-" + power)
    )
    number = chance.choice((b"", b"-")) + number
    return number if chance.random() < 0.5 else b'"' + number + b'"'


def _other_type(_chance: Random, old: bytes, _others: Sequence[bytes]) -> bytes:
    """A number as text, a text without its quotes if it is a number, else a text of it all."""
    if old.startswith(b'"'):
        text = old[1:-1]
        return text if re.fullmatch(rb"-?\d+(\.\d+)?", text) else b"[" + old + b"]"
    return _quoted(old)


def _deep(chance: Random, old: bytes, _others: Sequence[bytes]) -> bytes:
    depth = chance.choice((3, 30, 500, 900, 1100, 5_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return opening * depth + old + closing * chance.choice((depth, depth, 0))


def _text_with(parts: Sequence[bytes]) -> Damage:
    def damage(chance: Random, old: bytes, _others: Sequence[bytes]) -> bytes:
        text = old[1:-1] if old.startswith(b'"') else b""
        at = chance.choice((0, len(text)))
        return b'"' + text[:at] + chance.choice(parts) + text[at:] + b'"'

    return damage


def _long(chance: Random, _old: bytes, _others: Sequence[bytes]) -> bytes:
    # Few are very long: they cost a thousand others.
    size = chance.choice((*(129, 257, 300, 1024, 5000) * 8, 70_000, 1_100_000))
    return b'"' + chance.choice((b"a", b"0", "é".encode(), b" ")) * size + b'"'


def _one_of(values: Sequence[bytes]) -> Damage:
    return lambda chance, _old, _others: chance.choice(values)


def _elsewhere(chance: Random, _old: bytes, others: Sequence[bytes]) -> bytes:
    return chance.choice(others)


VALUES: Final[Mapping[str, Damage]] = {
    "any JSON": _anything,
    "edge": _one_of(_EDGES),
    "from elsewhere": _elsewhere,
    "other type": _other_type,
    "huge number": _huge,
    "no number": _one_of(_NO_NUMBERS),
    "nested": _deep,
    "bad UTF-8": _text_with(_BAD_UTF8),
    "lone surrogate": _text_with(_HALVES),
    "control character": _text_with(_MARKS),
    "long text": _long,
}
"""What is put in place of a value."""

LEGAL: Final = frozenset({"any JSON", "edge", "from elsewhere"})
"""Kinds after which a frame is JSON still, and all but one of its parts as they were."""


# ---- members ----------------------------------------------------------------------------


def _twice(chance: Random, layer: Layer, place: Place, others: Sequence[bytes]) -> bytes:
    """Repeat a member with another value, or an element as it is."""
    document, start = layer.document, place.start if place.key is None else place.key
    other = document[place.start : place.end]
    if place.key is not None and chance.random() < 0.8:
        other = chance.choice(others)
    again = document[start : place.start] + other
    behind = document[start : place.end]
    both = (again, behind) if chance.random() < 0.5 else (behind, again)
    return document[:start] + b",".join(both) + document[place.end :]


def _gone(_chance: Random, layer: Layer, place: Place, _others: Sequence[bytes]) -> bytes:
    document, start = layer.document, place.start if place.key is None else place.key
    before, behind = document[:start].rstrip(), document[place.end :].lstrip()
    if before.endswith(b","):
        return before[:-1] + behind
    return before + behind.removeprefix(b",")


def _renamed(chance: Random, layer: Layer, place: Place, others: Sequence[bytes]) -> bytes:
    document = layer.document
    if place.key is None:
        return _twice(chance, layer, place, others)
    old = document[place.key : place.start].rstrip().removesuffix(b":").rstrip()
    names = (b'""', old.upper(), old[:-1] + b'_"', b'"' + b"k" * 300 + b'"', rb'"\ud800"')
    start = place.key
    return document[:start] + chance.choice(names) + document[start + len(old) :]


MEMBERS: Final[Mapping[str, Callable[[Random, Layer, Place, Sequence[bytes]], bytes]]] = {
    "twice": _twice,
    "gone": _gone,
    "renamed": _renamed,
}
"""What is done to a member of an object, or an element of an array."""


# ---- bytes ------------------------------------------------------------------------------


def _cut(_chance: Random, frame: bytes, at: int) -> bytes:
    return frame[:at]


def _flipped(chance: Random, frame: bytes, at: int) -> bytes:
    hit = bytes(byte ^ 1 << chance.randrange(8) for byte in frame[at : at + 1])
    return frame[:at] + hit + frame[at + 1 :]


def _put_in(chance: Random, frame: bytes, at: int) -> bytes:
    some = chance.choice((*_BAD_UTF8, b'"', b"{", b"}", b"]", b",", b"\\", b"\x00", b"1", b" "))
    return frame[:at] + some + frame[at + chance.randrange(2) :]


def _bytes_gone(chance: Random, frame: bytes, at: int) -> bytes:
    return frame[:at] + frame[at + chance.randrange(1, 40) :]


def _repeated(chance: Random, frame: bytes, at: int) -> bytes:
    return frame[at:] + frame if chance.random() < 0.5 else frame[:at] + frame[at // 2 :]


BYTES: Final[Mapping[str, Callable[[Random, bytes, int], bytes]]] = {
    "cut": _cut,
    "bit flipped": _flipped,
    "bytes put in": _put_in,
    "bytes gone": _bytes_gone,
    "bytes repeated": _repeated,
}
"""What is done at a byte of the frame."""

KINDS: Final = (*VALUES, *MEMBERS, *BYTES)


# ---- damage -----------------------------------------------------------------------------


def damaged(chance: Random, frame: bytes, others: Sequence[bytes]) -> Damaged:
    """Damage a frame in one place; ``others`` are JSON texts of values from other frames."""
    found, kind = layers(frame), chance.choice(KINDS)
    if kind in BYTES or not found:
        kind = kind if kind in BYTES else chance.choice(tuple(BYTES))
        return Damaged(kind, BYTES[kind](chance, frame, chance.randrange(len(frame) + 1)), None)
    layer = found[-1] if chance.random() < 0.8 else found[0]
    return damaged_at(chance, kind, layer, chance.choice(layer.places), others)


def damaged_at(
    chance: Random, kind: str, layer: Layer, place: Place, others: Sequence[bytes]
) -> Damaged:
    """Damage a value or member, in a way of ``VALUES`` or ``MEMBERS``."""
    if kind in MEMBERS:
        return Damaged(kind, layer.closed(MEMBERS[kind](chance, layer, place, others)), None)
    value = VALUES[kind](chance, layer.document[place.start : place.end], others)
    return replaced(kind, layer, place, value)


def replaced(kind: str, layer: Layer, place: Place, value: bytes) -> Damaged:
    """Put a text in place of a value."""
    document = layer.document[: place.start] + value + layer.document[place.end :]
    return Damaged(kind, layer.closed(document), place.pointer)


def values(frame: bytes) -> Iterator[bytes]:
    """Yield the JSON text of every value of a frame."""
    for layer in layers(frame):
        for place in layer.places:
            yield layer.document[place.start : place.end]

"""Envelopes that any provider may use: Pusher's, Socket.IO's, and JWTs signed HS256.

https://socket.io/docs/v4/socket-io-protocol/
https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/
https://www.rfc-editor.org/rfc/rfc7515
"""

import re
from base64 import urlsafe_b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Mapping
from hmac import compare_digest, digest
from typing import Final, NamedTuple

import msgspec

from processors.errors import Malformed, UnknownKind, Unverified
from processors.mapper import Wire, Word
from schemas.records import Micros

# ---- Pusher -------------------------------------------------------------------------


class Pushed(NamedTuple):
    """A message of a channel."""

    event: str
    content: bytes | str
    """A JSON object's bytes, or text that is none, such as a token."""


class _Message(Wire, frozen=True):
    event: Word
    data: msgspec.Raw


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_TEXT: Final = msgspec.json.Decoder(str)


def pusher(frame: bytes) -> Pushed:
    """Open ``{"event", "channel", "data"}``, whose data is JSON inside JSON.

    Takes data that is an object already, an object as text, text, and text quoted
    once more. Raises ``Malformed`` or ``msgspec.MsgspecError``.
    """
    message = _MESSAGE.decode(frame)
    content = bytes(message.data)
    match content[:1]:
        case b"{":
            return Pushed(message.event, content)
        case b'"':
            return Pushed(message.event, _unwrapped(_TEXT.decode(content)))
    raise Malformed("$.data: expected text or an object, found neither")


def _unwrapped(text: str) -> bytes | str:
    text = text.strip()
    match text[:1]:
        case "{":
            return text.encode()
        case '"':
            return _TEXT.decode(text)
    return text


# ---- Socket.IO ----------------------------------------------------------------------


class Emitted(NamedTuple):
    """An event of a namespace."""

    namespace: str
    event: str
    arguments: tuple[bytes, ...]
    """JSON of each; whoever reads them says how many it needs."""


# 4 is Engine.IO's message, 2 an event; then the namespace, an id to acknowledge, and JSON.
_EVENT: Final = re.compile(rb"42(?:(/[^,?]*)(?:\?[^,]*)?,)?[0-9]*(?=\[)")
_PACKET: Final = re.compile(rb"4[0-6]")
_ARGUMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NAME: Final = msgspec.json.Decoder(Word)


def socketio(frame: bytes) -> Emitted:
    """Open ``42["name",…]``, of either generation.

    Raises ``UnknownKind`` for another packet, such as one whose arguments are binary messages of
    their own, ``Malformed`` for what is none, or ``msgspec.MsgspecError``.
    """
    head = _EVENT.match(frame)
    if head is None:
        raise _not_an_event(frame)
    arguments = _ARGUMENTS.decode(memoryview(frame)[head.end() :])
    if not arguments:
        raise Malformed("$: expected the name of an event, found an empty array")
    name, *others = arguments
    namespace = (head[1] or b"/").decode()
    return Emitted(namespace, _NAME.decode(name), tuple(map(bytes, others)))


def _not_an_event(frame: bytes) -> Malformed | UnknownKind:
    if frame.startswith(b"42") or not _PACKET.match(frame):
        return Malformed("$: expected an event as an array, found something else")
    return UnknownKind("Socket.IO has no reading of what is not a plain event")


# ---- JSON Web Tokens ----------------------------------------------------------------
#
# PyJWT 2.15 takes 76 us for a token of 1.8 KB, nearly all of it in a check of each
# character in Python; this takes 9. tests/processors/test_envelopes.py holds the two
# to the same verdict.

SLACK: Final = 60
"""Seconds that a token is taken after it expired: clocks differ."""


class Verified(NamedTuple):
    """What a token says, and whose key it was signed with."""

    key_id: str
    claims: bytes


class _Header(Wire, frozen=True):
    alg: str | None = None
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Life(Wire, frozen=True):
    exp: float | None = None


_HEADER: Final = msgspec.json.Decoder(_Header)
_LIFE: Final = msgspec.json.Decoder(_Life)


def verified(token: str, ring: Mapping[str, bytes], now: Micros) -> Verified:
    """Return the claims of a JWT that one key of ``ring`` signed with HS256.

    ``ring`` is key id → key, tried in its order. ``now`` is when the token reached
    us, so that a verdict is the same whenever it is given. Raises ``Malformed`` for
    what is no token, ``Unverified`` for one that proves nothing, and
    ``msgspec.MsgspecError`` for one whose header or claims are not a JSON object.
    """
    segments = token.split(".")
    if len(segments) != 3:  # noqa: PLR2004
        raise Malformed(f"token: expected 3 segments, found {len(segments)}")
    header, claims, _ = (_unarmoured(segment) for segment in segments)
    _check_header(_HEADER.decode(header))
    signed, _, signature = token.encode().rpartition(b".")
    for key_id, key in ring.items():
        if compare_digest(_armoured(digest(key, signed, "sha256")), signature):
            _check_life(_LIFE.decode(claims), now)
            return Verified(key_id, claims)
    raise Unverified(f"token: expected one of {len(ring)} keys to have signed it, none has")


def _check_header(header: _Header) -> None:
    """Hold the token to the one algorithm that we chose; it has no say in that."""
    if header.alg != "HS256":
        raise Unverified("token: expected alg HS256, found another or none")
    if header.crit is not msgspec.UNSET:
        raise Unverified("token: expected no critical extensions, found some")


def _check_life(life: _Life, now: Micros) -> None:
    if life.exp is not None and now > (life.exp + SLACK) * 1_000_000:
        raise Unverified("token: expected one that had not expired when it came, found exp past")


# "+" and "/" belong to the other alphabet, and RFC 7515 leaves the padding out: they
# become a character that no alphabet has.
_ALPHABET: Final = bytes.maketrans(b"-_+/=", b"+/!!!")


def _unarmoured(segment: str) -> bytes:
    """Decode base64url without padding, strictly."""
    try:
        armoured = segment.encode("ascii").translate(_ALPHABET)
        return a2b_base64(armoured + b"=" * (-len(armoured) % 4), strict_mode=True)
    except (NotBase64, UnicodeEncodeError):
        raise Malformed("token: expected base64url in every segment, found others") from None


def _armoured(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")

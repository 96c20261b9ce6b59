"""Envelopes that any provider may use: Pusher's, Socket.IO's, signed tokens and signed bodies.

https://socket.io/docs/v4/socket-io-protocol/
https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/
https://www.rfc-editor.org/rfc/rfc7515
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from processors.errors import Malformed, UnknownKind, Unverified
from processors.mapper import Wire, Word
from schemas import tokens
from schemas.records import Authority, Micros, Raw
from schemas.signatures import Signed, signer
from schemas.tokens import Verified

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


def verified(token: str, ring: Mapping[str, bytes], now: Micros) -> Verified:
    """Return the claims of a JWT that one key of ``ring`` signed with HS256.

    As ``schemas.tokens.verified``, in our errors: ``Malformed`` for what is no token, and
    ``Unverified`` for one that proves nothing.
    """
    try:
        return tokens.verified(token, ring, now)
    except tokens.NotAToken as error:
        raise Malformed(str(error)) from None
    except tokens.NotVerified as error:
        raise Unverified(str(error)) from None


# ---- signatures by headers ----------------------------------------------------------


class Proof(NamedTuple):
    """``Part.authority`` and ``Part.verified`` of what came by webhook."""

    authority: Authority | None
    verified: str


Signing = Callable[[Mapping[str, str], bytes], Signed]
"""One provider's reading of its signature headers, of ``schemas.signatures``."""


def proof(raw: Raw, signing: Signing, ring: Mapping[str, bytes]) -> Proof:
    """Return what the signature of a webhook proves: nothing, where we hold no key.

    Raises ``Unverified`` where none of our keys made it. Its time was judged at the door,
    by the clock of then.
    """
    if not ring:
        return Proof(None, "tls")
    try:
        key_id = signer(signing(raw.signature, raw.value), ring)
    except ValueError as error:
        raise Unverified(str(error)) from None
    if key_id is None:
        raise Unverified(f"signature: expected one of {len(ring)} keys to have made it, none has")
    return Proof(Authority.SIGNED, f"hmac-sha256:{key_id}")

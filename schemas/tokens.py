"""JSON Web Tokens that a shared key signed with HS256. No I/O.

https://www.rfc-editor.org/rfc/rfc7515
"""

from base64 import urlsafe_b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Mapping
from functools import lru_cache
from hmac import compare_digest
from typing import Final, NamedTuple

import msgspec

from schemas.mac import mac
from schemas.records import Micros

# PyJWT 2.15 takes 76 us for a token of 1.8 KB, nearly all of it in a check of each
# character in Python; this takes 9. tests/processors/test_envelopes.py holds the two
# to the same verdict.

SLACK: Final = 60
"""Seconds that a token is taken after it expired: clocks differ."""


class Verified(NamedTuple):
    """What a token says, and whose key it was signed with."""

    key_id: str
    claims: bytes


class NotAToken(ValueError):
    """The text is no token: it has not even a signature to be wrong."""


class NotVerified(ValueError):
    """A token that proves nothing: nobody we know signed it, or it had expired."""


class _Header(msgspec.Struct, frozen=True):
    alg: str | None = None
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Life(msgspec.Struct, frozen=True):
    exp: float | None = None


_HEADER: Final = msgspec.json.Decoder(_Header)
_LIFE: Final = msgspec.json.Decoder(_Life)


def verified(token: str, ring: Mapping[str, bytes], now: Micros) -> Verified:
    """Return the claims of a JWT that one key of ``ring`` signed with HS256.

    ``ring`` is key id → key, tried in its order. ``now`` is when the token reached
    us, so that a verdict is the same whenever it is given. Raises ``NotAToken``,
    ``NotVerified``, or ``msgspec.MsgspecError`` where header or claims are no JSON object.
    """
    segments = token.split(".")
    if len(segments) != 3:  # noqa: PLR2004
        raise NotAToken(f"token: expected 3 segments, found {len(segments)}")
    _check_header(segments[0])
    claims = _unarmoured(segments[1])
    signed, _, signature = token.encode().rpartition(b".")
    for key_id, key in ring.items():
        if compare_digest(_armoured(mac(key, signed)), signature):
            _check_life(_LIFE.decode(claims), now)
            return Verified(key_id, claims)
    _unarmoured(segments[2])
    raise NotVerified(f"token: expected one of {len(ring)} keys to have signed it, none has")


@lru_cache(8)  # an issuer writes one header all its life
def _check_header(segment: str) -> None:
    """Hold the token to the one algorithm that we chose; it has no say in that."""
    header = _HEADER.decode(_unarmoured(segment))
    if header.alg != "HS256":
        raise NotVerified("token: expected alg HS256, found another or none")
    if header.crit is not msgspec.UNSET:
        raise NotVerified("token: expected no critical extensions, found some")


def _check_life(life: _Life, now: Micros) -> None:
    if life.exp is not None and now > (life.exp + SLACK) * 1_000_000:
        raise NotVerified("token: expected one that had not expired when it came, found exp past")


# "+" and "/" belong to the other alphabet, and RFC 7515 leaves the padding out: they
# become a character that no alphabet has.
_ALPHABET: Final = bytes.maketrans(b"-_+/=", b"+/!!!")


def _unarmoured(segment: str) -> bytes:
    """Decode base64url without padding, strictly."""
    try:
        armoured = segment.encode("ascii").translate(_ALPHABET)
        return a2b_base64(armoured + b"=" * (-len(armoured) % 4), strict_mode=True)
    except (NotBase64, UnicodeEncodeError):
        raise NotAToken("token: expected base64url in every segment, found others") from None


def _armoured(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")

"""HMAC-SHA256 with a key that signs much: it is taken in once.

https://www.rfc-editor.org/rfc/rfc2104
"""

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hashlib import _Hash

# OpenSSL 3 looks its algorithm up for every call of hmac.digest: 5 us for a short text, and
# 1.2 in this way. tests/schemas/test_mac.py holds the two to the same bytes.

_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def mac(key: bytes, message: bytes) -> bytes:
    """Return the 32 bytes of HMAC-SHA256."""
    inner, outer = (begun.copy() for begun in _begun(key))
    inner.update(message)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(1024)
def _begun(key: bytes) -> "tuple[_Hash, _Hash]":
    block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\x00")
    return sha256(block.translate(_INNER)), sha256(block.translate(_OUTER))

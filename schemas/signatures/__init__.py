"""What both programs check of a webhook: whose key signed these bytes. No I/O.

A provider that signs by headers has its reading in a module of its own name.
https://www.rfc-editor.org/rfc/rfc2104
"""

import re
from collections.abc import Iterable, Mapping
from hmac import compare_digest, digest
from typing import Final, NamedTuple

from schemas.records import Micros


class Signed(NamedTuple):
    """A delivery as its sender signed it."""

    text: bytes
    """What the signature covers."""
    at: Micros
    """When it was signed, by the sender's clock."""
    candidates: tuple[str, ...]
    """Signatures of ``text``, in lower-case hex: by the current secret and by earlier ones."""


_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


def hex_digests(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what can be an HMAC-SHA256 in lower-case hex. ``ValueError`` for anything else."""
    found = tuple(texts)
    if not all(map(_HEX.fullmatch, found)):
        raise ValueError("signature: expected 64 hex digits, found something else")
    return tuple(text.lower() for text in found)


def signer(signed: Signed, ring: Mapping[str, bytes]) -> str | None:
    """Return the id of the key in ``ring`` that made one of the candidates, or None.

    ``ring`` is key id → key, tried in its order. Compares in constant time.
    """
    for key_id, key in ring.items():
        expected = digest(key, signed.text, "sha256").hex()
        if any(compare_digest(expected, candidate) for candidate in signed.candidates):
            return key_id
    return None

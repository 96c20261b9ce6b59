"""Tokens that were minted while running, sealed for the topic ``keys``.

AES-256-GCM: https://cryptography.io/en/stable/hazmat/primitives/aead/
"""

from binascii import a2b_base64
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, Field

from schemas.connection import Reference
from schemas.records import SigningKey
from schemas.topics import joined

NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_FORM: Final = b"\x01"
"""First byte of a value: which way it is sealed. This one: 12 bytes of nonce, then what is
sealed and its tag, bound to this byte and to the record's key."""

_CONTENT: Final = msgspec.json.Decoder(SigningKey)


class KeysSection(BaseModel):
    """``[keys]`` of the settings file, which both programs read."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    seal: Reference | None = Field(default=None, repr=False)
    """Where the key is that seals minted tokens; see ``sealing_key``. None: none is minted."""


class Unopened(ValueError):
    """A record of ``keys`` that does not open. Says why, never what is in it."""


def sealing_key(text: str) -> bytes:
    """Return the 32 bytes that a text stands for, in base64 or in hex.

    Raises ``ValueError`` with one line that does not show the text.
    """
    found = _bytes(text.strip())
    if found is None or len(found) != _KEY_BYTES:
        size = "other text" if found is None else f"{len(found)} bytes"
        raise ValueError(
            f"expected {_KEY_BYTES} bytes in base64 or hex, found {size}; "
            "make one: openssl rand -base64 32"
        )
    return found


def _bytes(text: str) -> bytes | None:
    # Hex first: 64 of its digits are base64 as well, of 48 bytes.
    for read in (bytes.fromhex, lambda told: a2b_base64(told, strict_mode=True)):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def record_key(key: SigningKey) -> str:
    """Return ``provider/account/key id``, the key on ``keys``."""
    return joined(key.provider, key.account, key.key_id)


def seal(key: SigningKey, sealed_with: bytes, nonce: bytes) -> bytes:
    """Return the value of a record of ``keys``.

    ``sealed_with`` is what ``sealing_key`` returned; ``nonce`` is ``NONCE_BYTES`` random bytes,
    never used twice with one key.
    """
    content = msgspec.json.encode(key)
    return _FORM + nonce + AESGCM(sealed_with).encrypt(nonce, content, _bound(record_key(key)))


def opened(at: str, value: bytes, sealed_with: bytes) -> SigningKey:
    """Return what a record of ``keys`` holds; ``at`` is the record's key.

    Raises ``Unopened`` for what another key sealed, for what was altered or moved to another
    record key, and for what is of a form that we do not know.
    """
    if value[:1] != _FORM:
        raise Unopened(f"keys, record {at}: expected form {_FORM[0]}, found another; upgrade first")
    nonce, sealed = value[1 : 1 + NONCE_BYTES], value[1 + NONCE_BYTES :]
    try:
        content = AESGCM(sealed_with).decrypt(nonce, sealed, _bound(at))
    except (InvalidTag, ValueError) as error:
        raise Unopened(
            f"keys, record {at}: expected to open it, could not: keys.seal is not the key that "
            "sealed it, or it was altered"
        ) from error
    return _CONTENT.decode(content)


def _bound(at: str) -> bytes:
    return _FORM + at.encode()

"""Pepay: HMAC-SHA256 over ``<milliseconds>.<body>``, and a second one while a secret changes.

https://docs-alpha.pepay.io/api-spec/webhooks-authentication
"""

import re
from collections.abc import Mapping
from typing import Final

from schemas.signatures import Signed, hex_digests

_TIMESTAMP: Final = "x-pepay-timestamp"
_SIGNATURES: Final = ("x-pepay-signature", "x-pepay-signature-previous")
HEADERS: Final = (_TIMESTAMP, *_SIGNATURES)
"""In lower case, as raw records keep them."""

_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}")


def signed(headers: Mapping[str, str], body: bytes) -> Signed:
    """Return what was signed, of headers in lower case. ``ValueError`` if they do not say it."""
    timestamp = headers.get(_TIMESTAMP, "")
    if not _MILLISECONDS.fullmatch(timestamp):
        raise ValueError(f"{_TIMESTAMP}: expected unix milliseconds, found something else")
    told = [headers[name] for name in _SIGNATURES if name in headers]
    return Signed(
        text=timestamp.encode() + b"." + body,
        at=int(timestamp) * 1000,
        candidates=hex_digests(told),
    )

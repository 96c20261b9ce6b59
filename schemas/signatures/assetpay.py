"""AssetPay: one header ``t=<ISO time>,id=<delivery>,s=<hex>[,s1=<hex>]``, HMAC-SHA256.

https://github.com/assetpaygg/assetpay-sdk/blob/main/src/webhooks.ts
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.signatures import Signed, hex_digests

HEADERS: Final = ("x-assetpay-signature",)
"""In lower case, as raw records keep it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def signed(headers: Mapping[str, str], body: bytes) -> Signed:
    """Return what was signed, of headers in lower case. ``ValueError`` if they do not say it."""
    told = dict(part.partition("=")[::2] for part in headers.get(HEADERS[0], "").split(","))
    time, delivery = told.get("t", ""), told.get("id", "")
    if not delivery or "s" not in told:
        raise ValueError(f"{HEADERS[0]}: expected t, id and s, found fewer")
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(f"{HEADERS[0]}: expected t with an offset, found none")
    return Signed(
        text=f"{delivery}.{time}.".encode() + body,
        at=(moment - _EPOCH) // timedelta(microseconds=1),
        candidates=hex_digests(told[name] for name in ("s", "s1") if name in told),
    )

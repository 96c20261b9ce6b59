"""AssetPay: one header ``t=<ISO time>,id=<delivery>,s=<hex>[,s1=<hex>]``, HMAC-SHA256.

https://github.com/assetpaygg/assetpay-sdk/blob/main/src/webhooks.ts
The older generation signs inside the body: https://docs.assetpay.co/guides/callbacks
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from schemas.signatures import Signed, hex_digests

HEADERS: Final = ("x-assetpay-signature",)
"""In lower case, as raw records keep it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def signed(headers: Mapping[str, str], body: bytes) -> Signed:
    """Return what was signed, of headers in lower case. ``ValueError`` if nothing says it."""
    if HEADERS[0] not in headers:
        return _signed_inside(body)
    told = dict(part.partition("=")[::2] for part in headers.get(HEADERS[0], "").split(","))
    time, delivery = told.get("t", ""), told.get("id", "")
    if not delivery or "s" not in told:
        raise ValueError(f"{HEADERS[0]}: expected t, id and s, found fewer")
    return Signed(
        text=f"{delivery}.{time}.".encode() + body,
        at=_micros(time),
        candidates=hex_digests(told[name] for name in ("s", "s1") if name in told),
    )


def _micros(time: str) -> int:
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError("signature: expected a time with an offset, found none")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _signed_inside(body: bytes) -> Signed:
    """Return what the older generation signed: the trade, printed again. Its time is unsigned."""
    try:
        payload = json.loads(body)["payload"]
        text = _printed(payload["trade"]).encode()
        return Signed(text, _micros(payload["timestamp"]), hex_digests((payload["key"],)))
    except (ValueError, TypeError, LookupError, RecursionError, ArithmeticError):
        raise ValueError(f"{HEADERS[0]}: expected it, or payload.key, found neither") from None


def _printed(tree: Any) -> str:  # noqa: ANN401 - JSON of any shape
    """Return JSON as JavaScript prints it, keys sorted at every level, no blanks."""
    match tree:
        case dict():
            return "{" + ",".join(f"{_printed(k)}:{_printed(tree[k])}" for k in sorted(tree)) + "}"
        case list():
            return "[" + ",".join(map(_printed, tree)) + "]"
        case float() if tree.is_integer():
            return str(int(tree))  # 10.0 is printed as 10
        case float():
            return format(Decimal(repr(tree)), "f")  # and 1e-05 as 0.00001
    return json.dumps(tree, ensure_ascii=False)

"""AssetPay's client token: a JWT that the merchant signs for one of its users.

https://github.com/assetpaygg/assetpay-sdk/blob/main/src/internal/token.ts
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hmac import digest
from typing import Any

import msgspec

LIVES = 24 * 3600
"""Seconds; the most that AssetPay takes."""


def minted(secret: str, merchant_id: str, client: Mapping[str, Any], now: int) -> str:
    """Return a token signed HS256 with the API secret; ``now`` is in unix seconds.

    ``client`` has AssetPay's own names: ``steamID``, ``tradeUrl``, ``clientId``, ``clientData``.
    """
    header = {"alg": "HS256", "userId": merchant_id}
    claims = {"merchantId": merchant_id, "client": client, "iat": now, "exp": now + LIVES}
    signed = b".".join(map(_armoured, map(msgspec.json.encode, (header, claims))))
    return b".".join((signed, _armoured(digest(secret.encode(), signed, "sha256")))).decode()


def _armoured(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")

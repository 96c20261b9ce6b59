"""AssetPay, trades, funding and the market over Socket.IO.

https://assetpay.gg/docs
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/realtime.ts
"""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from ingest.dialects.endings import Meaning, dial_again
from ingest.dialects.engineio4 import Engineio4
from ingest.feed import (
    Account,
    Address,
    BackOff,
    Cursor,
    Doubling,
    Feed,
    FeedError,
    Unwelcome,
)
from ingest.feeds.assetpay.client_token import minted
from ingest.feeds.assetpay.rest import REST

_PROBATION = 1.5
"""Seconds: the join is answered before the key is checked, and a bad one is dropped without a
word. "Still connected" is the only success that a key without market access is told."""
_LATER = Doubling(first=30.0, most=300.0)


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    auth: Literal["api_key", "token"] = "api_key"
    """Both are told the same; a token is minted here before each dial."""
    merchant_id: str | None = None
    steam_id: str | None = None
    client_id: str | None = None
    client_data: dict[str, Any] | None = None


_OF_A_TOKEN = ("api_secret", "trade_url")


def _options(account: Account) -> _Options:
    return msgspec.convert(account.options, _Options)


def _check(account: Account) -> None:
    options = _options(account)
    if options.auth == "api_key":
        return
    missing = [name for name in ("merchant_id", "steam_id") if not getattr(options, name)]
    missing += [name for name in _OF_A_TOKEN if name not in account.secrets]
    if missing:
        raise ValueError(f"auth = token: expected {', '.join(missing)} as well")


def _sign(account: Account, now: int) -> Mapping[str, str]:
    options = _options(account)
    if options.auth == "api_key":
        return {}
    client = {
        "steamID": options.steam_id,
        "tradeUrl": account.secrets["trade_url"],
        "clientId": options.client_id,
        "clientData": options.client_data,
    }
    told = {name: value for name, value in client.items() if value is not None}
    secret = account.secrets["api_secret"]
    return {"token": minted(secret, str(options.merchant_id), told, now)}


def _address(account: Account, _cursor: Cursor | None) -> Address:
    if _options(account).auth == "api_key":
        credential = {"apiKey": account.secrets["api_key"]}
    else:
        credential = {"token": account.secrets["token"]}
    return Address(f"{account.url}?{urlencode({**credential, 'EIO': 4, 'transport': 'websocket'})}")


def _unwelcome(said: str) -> FeedError:
    return Unwelcome(said, _LATER)


# 1006 is the network's doing: a deploy ends with a 41 or a proper close.
_CLOSES: Mapping[int, Meaning] = {1006: dial_again(BackOff())}
_REFUSALS: Mapping[int, Meaning] = {401: _unwelcome, 403: _unwelcome}


def _dialect(_account: Account, _cursor: Cursor | None) -> Engineio4:
    return Engineio4(probation=_PROBATION, rejects=_unwelcome, closes=_CLOSES, refusals=_REFUSALS)


FEED = Feed(
    provider="assetpay",
    route="events",
    endpoints={
        "production": "wss://api.assetpay.gg/socket.io/",
        "sandbox": "wss://api-staging.assetpay.gg/socket.io/",
    },
    credentials=frozenset({"api_key"}),
    optional_credentials=frozenset(_OF_A_TOKEN),
    replicas=False,  # Identity is derived, and the market has none at all.
    check=_check,
    address=_address,
    dialect=_dialect,
    sign=_sign,
    rest=REST,
)

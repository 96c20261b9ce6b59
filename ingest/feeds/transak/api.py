"""Transak, where its partner API is, and the token that opens it and signs what we verify.

https://docs.transak.com/api/public/refresh-access-token
"""

from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from ingest.dialects.endings import of_refusal
from ingest.feed import Account, Answer, Call, Disconnected, Login, Rate, Refusal, Request, Tokens

SOCKET: Final = "wss://ws-ap2.pusher.com/app/1d9ffac87de599c61283"
"""One Pusher app serves both environments: the API key in the channel tells them apart."""
_HOSTS: Final = {"sandbox": "api-stg.transak.com", "production": "api.transak.com"}

# A new token ends the one before it, and others of the partner may hold that: few, and seldom.
_REFRESH_RATE: Final = Rate(3, 600.0)


def requested(account: Account, call: Call) -> Request:
    """Return a call of the partner API with the account's access token."""
    headers = {"access-token": account.secrets["access_token"]}
    return Request(url=_url(account, call.path, urlencode(call.query)), headers=headers)


def _url(account: Account, path: str, query: str = "") -> str:
    """Return a URL of the API: the published one, or beside another socket that is followed."""
    path = f"/partners/api/v2{path}"
    if account.url == SOCKET:
        return urlunsplit(("https", _HOSTS[account.environment], path, query, ""))
    socket = urlsplit(account.url)
    scheme = {"ws": "http", "wss": "https"}[socket.scheme]
    return urlunsplit((scheme, socket.netloc, path, query, ""))


def _refresh(account: Account) -> Request:
    return Request(
        url=_url(account, "/refresh-token"),
        method="POST",
        headers={"api-secret": account.secrets["api_secret"], "content-type": "application/json"},
        body=msgspec.json.encode({"apiKey": account.secrets["api_key"]}),
    )


class _Granted(msgspec.Struct, frozen=True, rename="camel"):
    access_token: str
    expires_at: float
    """Unix seconds."""


class _Envelope(msgspec.Struct, frozen=True):
    data: _Granted


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def _tokens(answer: Answer, now: float) -> Tokens:
    if answer.status not in range(200, 300):
        raise of_refusal(Refusal(answer.status, answer.retry_after, "of a refresh"))
    try:
        granted = _ENVELOPE.decode(answer.body).data
    except (ValueError, RecursionError) as error:
        raise Disconnected("the answer to a refresh is none") from error
    if granted.expires_at <= now:
        raise Disconnected("a refresh granted a token of the past; look at this machine's clock")
    life = granted.expires_at - now
    return Tokens(secrets={"access_token": granted.access_token}, life=life)


LOGIN: Final = Login(
    log_in=_refresh,
    refresh=_refresh,
    tokens=_tokens,
    log_in_rate=_REFRESH_RATE,
    refresh_rate=_REFRESH_RATE,
    signs="access_token",
    dials=False,
)

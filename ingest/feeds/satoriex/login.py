"""SatoriEx, the login whose tokens open the socket and REST alike.

https://satoriex.io/en/docs/trading/authentication
"""

from binascii import Error as NotBase64
from binascii import a2b_base64
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ingest.dialects.endings import of_refusal
from ingest.feed import (
    Account,
    Answer,
    Disconnected,
    Login,
    Rate,
    Refusal,
    Request,
    Tokens,
    Unauthorized,
)

TOKEN_EXPIRED: Final = 2002
_JSON: Final = {"content-type": "application/json"}

# 10 and 20 a minute: what begins at once and what follows stay below that together.
_LOG_IN_RATE: Final = Rate(4, 10.0)
_REFRESH_RATE: Final = Rate(8, 5.0)


def api(account: Account, path: str) -> str:
    """Return a URL of REST, which lives beside the socket."""
    socket = urlsplit(account.url)
    scheme = {"ws": "http", "wss": "https"}[socket.scheme]
    return urlunsplit((scheme, socket.netloc, f"/api/v1{path}", "", ""))


def _log_in(account: Account) -> Request:
    secrets = {name: account.secrets[name] for name in ("email", "password")}
    return _post(account, "/auth/login", secrets)


def _refresh(account: Account) -> Request:
    # The key of the body is a guess: no page shows one.
    secrets = {"refresh_token": account.secrets["refresh_token"]}
    return _post(account, "/auth/refresh", secrets)


def _post(account: Account, path: str, body: dict[str, str]) -> Request:
    url = api(account, path)
    return Request(url=url, method="POST", headers=_JSON, body=msgspec.json.encode(body))


# ---- what is granted -----------------------------------------------------------------


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    refresh_token: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    code: int
    data: _Granted | None = None


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def _tokens(answer: Answer, now: float) -> Tokens:
    if answer.status not in range(200, 300):
        raise of_refusal(Refusal(answer.status, answer.retry_after, "of a login"))
    try:
        envelope = _ENVELOPE.decode(answer.body)
    except ValueError as error:
        raise Disconnected("the answer to a login is none") from error
    if envelope.code == TOKEN_EXPIRED:
        raise Unauthorized("a refresh token that has expired")
    if envelope.code != 0 or envelope.data is None:
        raise Disconnected(f"a login was answered with code {envelope.code}")
    granted = envelope.data
    secrets = {"access_token": granted.access_token}
    if granted.refresh_token is not None:
        secrets["refresh_token"] = granted.refresh_token
    return Tokens(secrets=secrets, life=_life(granted.access_token, now))


class _Claims(msgspec.Struct, frozen=True):
    exp: float
    iat: float | None = None


_CLAIMS: Final = msgspec.json.Decoder(_Claims)


def _life(token: str, now: float) -> float | None:
    """Return the seconds that an RS256 token lives, read and not verified: we lack the key.

    None if it does not say, or says that it ended before it came: then a clock is wrong.
    """
    try:
        _, claims, _ = token.split(".")
        text = claims.translate(str.maketrans("-_", "+/")) + "=" * (-len(claims) % 4)
        told = _CLAIMS.decode(a2b_base64(text.encode("ascii")))
    except (ValueError, NotBase64, RecursionError):
        return None
    life = told.exp - (now if told.iat is None else told.iat)
    return life if life > 0 else None


LOGIN: Final = Login(
    log_in=_log_in,
    refresh=_refresh,
    tokens=_tokens,
    log_in_rate=_LOG_IN_RATE,
    refresh_rate=_REFRESH_RATE,
)

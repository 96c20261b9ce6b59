"""SatoriEx, a user's events and the followed markets over a plain WebSocket.

https://satoriex.io/en/docs/trading/websocket
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from ingest.dialects.endings import Meaning
from ingest.dialects.plain import Plain
from ingest.feed import (
    Account,
    Address,
    BackOff,
    Beat,
    Cursor,
    Effect,
    End,
    Feed,
    FeedError,
    Frame,
    Keep,
    Report,
    Superseded,
    Unauthorized,
)
from ingest.feeds.satoriex.login import LOGIN, TOKEN_EXPIRED
from ingest.feeds.satoriex.rest import REST, Options, options

_PUBLISHED: Final = "wss://staging.satoriex.io/ws"
"""The only published host; a production one is the account's ``url``."""

_BEAT: Final = Beat(every=10.0, reply_within=10.0)
"""No heartbeat is published. 10 s, so that every ``alive`` mark has its proof."""

_LONGEST_ID: Final = 128


def _check(account: Account) -> None:
    for market in msgspec.convert(account.options, Options).markets:
        if not market.isprintable() or not 0 < len(market) <= _LONGEST_ID:
            raise ValueError("markets: expected market ids in a list")


def _address(account: Account, _cursor: Cursor | None) -> Address:
    token = urlencode({"token": account.secrets["access_token"]})
    return Address(f"{account.url}?{token}")


# ---- speaking ------------------------------------------------------------------------


def _wants(account: Account) -> tuple[str, ...]:
    """Return two messages a market; what concerns the user comes unasked."""
    return tuple(
        msgspec.json.encode({"type": kind, "market_id": market}).decode()
        for market in options(account).markets
        for kind in ("subscribe", "subscribe_marketdata")
    )


# ---- reading -------------------------------------------------------------------------


class _Inner(msgspec.Struct, frozen=True):
    type: Any = None
    code: Any = None


class _Message(msgspec.Struct, frozen=True):
    """The page shows ``type`` at the top, and says ``payload.type``: both are read."""

    type: Any = None
    code: Any = None
    payload: Any = None
    data: Any = None


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_LONGEST_LINE: Final = 1000


def _reads(frame: Frame) -> Iterable[Effect]:
    """Keep everything. No form of an error or of an acknowledgement is documented."""
    match _spoken(frame):
        case _Inner("error", code):
            reported = (Keep(frame, useful=False), Report(_line(frame)))
            if code == TOKEN_EXPIRED:  # A guess: REST's code, told in-band.
                return (*reported, End(Unauthorized(_line(frame))))
            return reported
        case _Inner("subscribed"):
            return (Keep(frame, useful=False),)
        case _:
            return (Keep(frame),)


def _spoken(frame: Frame) -> _Inner:
    try:
        message = _MESSAGE.decode(frame)
    except (ValueError, RecursionError):
        return _Inner()
    if message.type is not None:
        return _Inner(message.type, message.code)
    for body in (message.payload, message.data):
        if isinstance(body, dict) and "type" in body:
            return _Inner(body["type"], body.get("code"))
    return _Inner()


def _line(frame: Frame) -> str:
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    return text[:_LONGEST_LINE]


def _taken_over(said: str) -> FeedError:
    """Read 1000 as a second connection of the same user: one per login is allowed."""
    return Superseded(said, BackOff(least=5.0))


# Close codes are not published: the private 44xx are read as a 401.
_CLOSES: Final[Mapping[int, Meaning]] = {
    1000: _taken_over,
    **dict.fromkeys((1008, *range(4400, 4500)), Unauthorized),
}


def _dialect(account: Account, _cursor: Cursor | None) -> Plain:
    return Plain(beat=_BEAT, wants=_wants(account), reads=_reads, closes=_CLOSES)


FEED: Final = Feed(
    provider="satoriex",
    route="events",
    endpoints={"sandbox": _PUBLISHED},
    credentials=frozenset({"email", "password"}),
    replicas=False,  # One connection a login, and no replay.
    check=_check,
    address=_address,
    dialect=_dialect,
    login=LOGIN,
    rest=REST,
)

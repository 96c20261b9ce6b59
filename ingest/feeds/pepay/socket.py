"""Pepay, commerce events over a plain WebSocket.

https://docs-alpha.pepay.io/api-spec/realtime/websockets
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlencode

import msgspec

from ingest.dialects.endings import Meaning, of_refusal
from ingest.dialects.plain import Plain
from ingest.feed import (
    Account,
    Address,
    Answer,
    Beat,
    Cursor,
    Disconnected,
    Effect,
    End,
    Feed,
    FeedError,
    Frame,
    Keep,
    Mint,
    Refusal,
    Refused,
    Unauthorized,
    Unresumable,
)
from ingest.feeds.pepay.events import api, cursor, envelope, options
from ingest.feeds.pepay.rest import REST

_PUBLISHED = "wss://api-beta.pepay.io/ws/commerce/events"
"""The only published base; the key's own environment decides what it tells."""

_BEAT = Beat(every=10.0, reply_within=10.0)
"""No heartbeat is published. 10 s, so that every ``alive`` mark has its proof."""

_MINT_PATH = "/api/v1/ws/token"
_MINT_BODY = b'{"scope":"commerce","ttl_seconds":60}'


_FILTERS = ("order_id", "invoice_id", "customer_id", "wallet_address", "wallet_network")


def _check(account: Account) -> None:
    if not all(re.fullmatch(r"[a-z_.*]+", kind) for kind in options(account).types or ("",)):
        raise ValueError("types: expected names like invoice.* in a list")


# ---- dialling ------------------------------------------------------------------------


def _address(account: Account, since: Cursor | None) -> Address:
    told = options(account)
    query = {"types": ",".join(told.types), "format": "event_v1"}
    query |= {name: value for name in _FILTERS if (value := getattr(told, name))}
    if since is not None and since.text:
        query["since"] = since.text
    headers = {}
    if told.auth == "token":
        query["token"] = account.secrets["token"]
    else:
        headers["x-commerce-api-key"] = account.secrets["api_key"]
    return Address(f"{account.url}?{urlencode(query)}", headers)


def _mint(account: Account) -> Mint | None:
    """Return how to get a token, good for one upgrade and 60 s.

    https://docs-alpha.pepay.io/api-reference/websockets
    """
    if options(account).auth == "header":
        return None
    headers = {"x-api-key": account.secrets["api_key"], "content-type": "application/json"}
    url = api(account, _MINT_PATH)
    return Mint(url=url, headers=headers, body=_MINT_BODY, secrets=_minted)


class _Token(msgspec.Struct, frozen=True):
    token: str


class _Minted(msgspec.Struct, frozen=True):
    data: _Token


def _minted(answer: Answer) -> Mapping[str, str]:
    if answer.status not in range(200, 300):
        raise of_refusal(Refusal(answer.status, answer.retry_after, "of a ws token"))
    try:
        return {"token": msgspec.json.decode(answer.body, type=_Minted).data.token}
    except ValueError as error:
        raise Disconnected("the answer to the mint of a ws token holds none") from error


# ---- reading -------------------------------------------------------------------------


# A guess: no field of ws_error but ``object`` is documented.
_SPEAKS_OF_AUTH = re.compile(r"auth|token|credential|api.?key|forbidden|scope", re.IGNORECASE)
_LONGEST_LINE = 1000


def _reads(frame: Frame) -> Iterable[Effect]:
    """Control frames are kept as well: they explain holes. ``ws_error`` is terminal.

    https://docs-alpha.pepay.io/sdk/merchants/websockets
    """
    match envelope(frame).object:
        case "ws_error":
            return (Keep(frame, useful=False), End(_terminal(frame)))
        case "ws_control":
            return (Keep(frame, useful=False),)
        case _:
            return (Keep(frame),)


def _terminal(frame: Frame) -> FeedError:
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    said = text[:_LONGEST_LINE]
    return Unauthorized(said) if _SPEAKS_OF_AUTH.search(said) else Disconnected(said)


# Close codes are not published: 1008 and the private 44xx are read as a 401.
_CLOSES: Mapping[int, Meaning] = dict.fromkeys((1008, *range(4400, 4500)), Unauthorized)

# 403 is a scope or an environment: the same key will not do another time.
_REFUSALS: Mapping[int, Meaning] = {403: Refused}

_DIALECT = Plain(beat=_BEAT, reads=_reads, closes=_CLOSES, refusals=_REFUSALS)
# 1009 is ours: an event that is longer than a frame may be comes again with every replay. What
# lies between is left to REST, or stays a hole.
_RESUMING = replace(
    _DIALECT,
    closes={**_CLOSES, 1009: Unresumable},
    refusals={**_REFUSALS, 400: Unresumable},
)


def _dialect(_account: Account, since: Cursor | None) -> Plain:
    return _DIALECT if since is None else _RESUMING


FEED = Feed(
    provider="pepay",
    route="commerce",
    endpoints={"sandbox": _PUBLISHED, "production": _PUBLISHED},
    credentials=frozenset({"api_key"}),
    replicas=True,
    check=_check,
    address=_address,
    dialect=_dialect,
    cursor=cursor,
    mint=_mint,
    rest=REST,
)

"""Pepay, commerce events over a plain WebSocket.

https://docs-alpha.pepay.io/api-spec/realtime/websockets
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

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

_PUBLISHED = "wss://api-beta.pepay.io/ws/commerce/events"
"""The only published base; the key's own environment decides what it tells."""

_TYPES = ("commerce.order.*", "invoice.*", "invoice_payment.*")
"""All three: an unpaid order ends as ``invoice.updated``, and nowhere else."""

_BEAT = Beat(every=10.0, reply_within=10.0)
"""No heartbeat is published. 10 s, so that every ``alive`` mark has its proof."""

_MINT_PATH = "/api/v1/ws/token"
_MINT_BODY = b'{"scope":"commerce","ttl_seconds":60}'


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    auth: Literal["header", "token"] = "header"
    types: tuple[str, ...] = _TYPES
    order_id: str | None = None
    invoice_id: str | None = None
    customer_id: str | None = None
    wallet_address: str | None = None
    wallet_network: str | None = None


_FILTERS = ("order_id", "invoice_id", "customer_id", "wallet_address", "wallet_network")


def _options(account: Account) -> _Options:
    return msgspec.convert(account.options, _Options)


def _check(account: Account) -> None:
    if not all(re.fullmatch(r"[a-z_.*]+", kind) for kind in _options(account).types or ("",)):
        raise ValueError("types: expected names like invoice.* in a list")


# ---- dialling ------------------------------------------------------------------------


def _address(account: Account, cursor: Cursor | None) -> Address:
    options = _options(account)
    query = {"types": ",".join(options.types), "format": "event_v1"}
    query |= {name: value for name in _FILTERS if (value := getattr(options, name))}
    if cursor is not None:
        query["since"] = cursor.text
    headers = {}
    if options.auth == "token":
        query["token"] = account.secrets["token"]
    else:
        headers["x-commerce-api-key"] = account.secrets["api_key"]
    return Address(f"{account.url}?{urlencode(query)}", headers)


def _mint(account: Account) -> Mint | None:
    """Return how to get a token, good for one upgrade and 60 s.

    https://docs-alpha.pepay.io/api-reference/websockets
    """
    if _options(account).auth == "header":
        return None
    socket = urlsplit(account.url)
    scheme = {"ws": "http", "wss": "https"}[socket.scheme]
    headers = {"x-api-key": account.secrets["api_key"], "content-type": "application/json"}
    url = urlunsplit((scheme, socket.netloc, _MINT_PATH, "", ""))
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


class _Envelope(msgspec.Struct, frozen=True):
    object: str = ""
    id: str = ""


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_EVENT_ID = re.compile(r"evt_(\d{1,18})-(\d{1,18})", re.ASCII)


def _envelope(frame: Frame) -> _Envelope:
    try:
        return _ENVELOPE.decode(frame)
    except (ValueError, RecursionError):
        return _Envelope()


def _cursor(frame: Frame) -> Cursor | None:
    """Return an event's id as (ms, n): as text, ``-10`` would come before ``-9``."""
    envelope = _envelope(frame)
    if envelope.object == "event" and (numbers := _EVENT_ID.fullmatch(envelope.id)):
        return Cursor((int(numbers[1]), int(numbers[2])), envelope.id)
    return None


# A guess: no field of ws_error but ``object`` is documented.
_SPEAKS_OF_AUTH = re.compile(r"auth|token|credential|api.?key|forbidden|scope", re.IGNORECASE)
_LONGEST_LINE = 1000


def _reads(frame: Frame) -> Iterable[Effect]:
    """Control frames are kept as well: they explain holes. ``ws_error`` is terminal.

    https://docs-alpha.pepay.io/sdk/merchants/websockets
    """
    match _envelope(frame).object:
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
_RESUMING = replace(_DIALECT, refusals={**_REFUSALS, 400: Unresumable})


def _dialect(_account: Account, cursor: Cursor | None) -> Plain:
    return _DIALECT if cursor is None else _RESUMING


FEED = Feed(
    provider="pepay",
    route="commerce",
    endpoints={"sandbox": _PUBLISHED, "production": _PUBLISHED},
    credentials=frozenset({"api_key"}),
    replicas=True,
    check=_check,
    address=_address,
    dialect=_dialect,
    cursor=_cursor,
    mint=_mint,
)

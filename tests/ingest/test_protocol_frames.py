"""What our dialects make of every published handshake, heartbeat, error and close.

``frames/<provider>/protocol.jsonl`` holds the recordings, ``protocol.expected`` one
reviewed line each. Only the wire meets WebSocket pings and accepted upgrades.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ingest.feed import (
    Account,
    Answer,
    Answered,
    Await,
    Beat,
    Close,
    Cursor,
    Dialect,
    Disconnected,
    Effect,
    End,
    FeedError,
    Keep,
    Live,
    Refusal,
    Report,
    Send,
    Unauthorized,
)
from ingest.feeds import FEEDS

FRAMES = Path(__file__).parents[1] / "frames"

CHANNEL = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PAYMENT = "8f60c9df-76da-4618-906d-52af659baddf"
CREDENTIALS = {
    "assetpay": {
        "api_key": "ap_twin_merchant",
        "api_secret": "twin-assetpay-secret",
        "trade_url": "https://steamcommunity.com/tradeoffer/new/?token=x",
        "token": "TWIN_CLIENT_TOKEN",
    },
    "paymium": {"channel_id": CHANNEL},
    "pepay": {"api_key": "ck_twin", "token": "ws_twin_token"},
    "satoriex": {"email": "e", "password": "p", "access_token": "TWIN_SATORIEX_JWT"},
    "transak": {"api_key": "twin-api-key"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "assetpay": {},
    "paymium": {"payments": [PAYMENT]},
    "pepay": {},
    "satoriex": {"markets": ["mkt_abc123"]},
    "transak": {
        "public_channels": ["aa39d8e1-5c7b-4f0e-9d31-3f1e7a52ce7f"],
        "partner_orders": ["partner-order-1"],
    },
}


def account(provider: str, **options: Any) -> Account:
    return Account(
        provider=provider,
        name="main",
        environment="sandbox",
        url=next(iter(FEEDS[provider].endpoints.values())),
        options={**OPTIONS[provider], **options},
        secrets=CREDENTIALS[provider],
    )


def words(effect: Effect) -> str:  # noqa: PLR0911 - one per effect
    match effect:
        case Send(frame):
            return f"send {frame!r}"
        case Keep(_, useful):
            return "keep" if useful else "keep, not useful"
        case Beat(every, reply_within, text, steady):
            return f"{'steady ' * steady}beat {every:g}/{reply_within:g} {text}"
        case Answered():
            return "answered"
        case Await(within):
            return f"await {within:g}"
        case Live():
            return "live"
        case Report():
            return "report"
        case End(error):
            return f"end: {meaning(error)}"


def meaning(error: FeedError) -> str:
    match error:
        case Unauthorized(then=then):
            return f"Unauthorized then {meaning(then)}"
        case Disconnected(pause=pause):
            return f"Disconnected {pause}"
        case _:
            return type(error).__name__


def outcome(provider: str, line: dict[str, Any], dialect: Dialect) -> str:  # noqa: PLR0911 - one per kind of line
    """Return in words what the feed does about a recorded line."""
    match line:
        case {"opcode": "close", "code": code}:
            return meaning(dialect.closed(Close(code)))
        case {"opcode": "ping" | "pong"}:
            return "the wire's"
        case {"direction": "out", "transport": "ws", "frame": frame}:
            return f"ours: {frame}"
        case {"transport": "ws", "frame": frame}:
            return "; ".join(map(words, dialect.received(frame))) or "nothing"
        case {"frame": str(text)} if text.startswith("HTTP/1.1 101"):
            return "the wire's"
        case {"frame": str(text)} if "mint" in line["note"]:
            return minted(provider, text)
        case {"frame": str(text)} if text.startswith("HTTP/1.1"):
            return meaning(dialect.refused(Refusal(int(text.split()[1]))))
        case {"frame": str(text)}:
            return f"ours: {text.split()[1]}"
    raise AssertionError(line)


def minted(provider: str, text: str) -> str:
    merchant = replace(account(provider, auth="token"), secrets={"api_key": "pk_twin"})
    mint = FEEDS[provider].mint(merchant)
    assert mint is not None
    head, _, body = text.partition("\r\n\r\n")
    if head.startswith("POST"):
        assert head.split()[1] == urlsplit(mint.url).path
        assert f"x-api-key: {mint.headers['x-api-key']}" in head
        assert body.encode() == mint.body
        return "ours: the mint"
    answer = Answer(status=int(head.split()[1]), retry_after=None, body=body.encode())
    try:
        return f"minted {mint.secrets(answer)}"
    except FeedError as error:
        return meaning(error)


def recorded(provider: str) -> Iterator[dict[str, Any]]:
    for line in (FRAMES / provider / "protocol.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)


def greeted(provider: str) -> Dialect:
    """Return a dialect that is past Pusher's greeting, so that confirmations mean something."""
    dialect = FEEDS[provider].dialect(account(provider), None)
    greeting = '{"event":"pusher:connection_established","data":"{}"}'
    list(dialect.opened())
    list(dialect.received(greeting))
    return dialect


@pytest.mark.parametrize("provider", FEEDS)
def test_every_protocol_frame_means_what_was_reviewed(provider: str) -> None:
    dialect = greeted(provider)
    outcomes = [outcome(provider, line, dialect) for line in recorded(provider)]
    expected = (FRAMES / provider / "protocol.expected").read_text("utf-8").splitlines()
    assert outcomes == expected


def ours(provider: str, event: str) -> list[dict[str, Any]]:
    lines = (line for line in recorded(provider) if line["direction"] == "out")
    said = (json.loads(line["frame"]) for line in lines if line["frame"].startswith("{"))
    return [message for message in said if message["event"] == event]


def test_what_we_say_to_a_plain_socket_is_what_is_published() -> None:
    dialect = FEEDS["satoriex"].dialect(account("satoriex"), None)
    lines = (line for line in recorded("satoriex") if line["direction"] == "out")
    published = [line["frame"] for line in lines if line["frame"].startswith("{")]
    assert [effect.frame for effect in dialect.opened() if isinstance(effect, Send)] == published


@pytest.mark.parametrize("event", ["pusher:subscribe", "pusher:ping", "pusher:pong"])
def test_what_we_say_to_pusher_is_what_is_published(event: str) -> None:
    dialect = FEEDS["transak"].dialect(account("transak"), None)
    effects = [
        *dialect.received('{"event":"pusher:connection_established","data":"{}"}'),
        *dialect.received('{"event":"pusher:ping","data":"{}"}'),
    ]
    said = [json.loads(e.frame) for e in effects if isinstance(e, Send)]
    said += [json.loads(e.text) for e in effects if isinstance(e, Beat) and e.text]
    mine = [message for message in said if message["event"] == event]
    key = str
    assert sorted(mine, key=key) == sorted(ours("transak", event), key=key)


def test_what_we_say_to_paymium_is_what_is_published() -> None:
    dialect = FEEDS["paymium"].dialect(account("paymium"), None)
    said = [
        effect.frame if isinstance(effect, Send) else effect.text
        for frame in ("0{}", "40/user")
        for effect in dialect.received(frame)
        if isinstance(effect, Send | Beat)
    ]
    lines = (line for line in recorded("paymium") if line["direction"] == "out")
    published = [line["frame"] for line in lines if line["transport"] == "ws"]
    assert {*said} == {*published} - {"40/public"}


UPGRADES = [
    ("assetpay", "merchant API key", {}, None),
    (
        "assetpay",
        "client token",
        {"auth": "token", "merchant_id": "m", "steam_id": "76561198000000001"},
        None,
    ),
    ("paymium", "WebSocket upgrade", {}, None),
    ("pepay", "API key header", {}, None),
    ("pepay", "short-lived token", {"auth": "token"}, None),
    ("pepay", "resume", {}, Cursor((1734780000000, 456), "evt_1734780000000-456")),
    (
        "pepay",
        "scoped",
        {"types": ["commerce.order.*"], "order_id": "order_123", "wallet_network": "bsc"},
        None,
    ),
    ("satoriex", "WebSocket upgrade", {}, None),
    ("transak", "WebSocket upgrade", {}, None),
]


@pytest.mark.parametrize(("provider", "note", "options", "cursor"), UPGRADES)
def test_the_upgrade_is_as_published(
    provider: str, note: str, options: dict[str, Any], cursor: Cursor | None
) -> None:
    (line,) = (
        line for line in recorded(provider) if note in line["note"] and line["direction"] == "out"
    )
    head = line["frame"].split("\r\n")
    published = urlsplit(head[0].split()[1])
    address = FEEDS[provider].address(account(provider, **options), cursor)
    url = urlsplit(address.url)
    assert (url.netloc, url.path) == (head[1].removeprefix("Host: "), published.path)
    names_of_a_client = {"client", "version"}
    mine, theirs = dict(parse_qsl(url.query)), dict(parse_qsl(published.query))
    assert mine.keys() == theirs.keys()
    assert {k: v for k, v in mine.items() if k not in names_of_a_client} == {
        k: v for k, v in theirs.items() if k not in names_of_a_client
    }
    keys = {name for name in address.headers if f"{name}: {address.headers[name]}" in head}
    assert keys == set(address.headers)
    assert any(h.startswith("x-") for h in head) == bool(keys)

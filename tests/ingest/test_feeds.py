"""What the feeds know of their providers, besides the recorded frames."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from jwt.types import Options

from ingest.feed import (
    Account,
    After,
    Answer,
    BackOff,
    Close,
    Cursor,
    Disconnected,
    Doubling,
    End,
    FeedError,
    Keep,
    Pause,
    Refusal,
    Refused,
    Unauthorized,
    Unresumable,
    Unwelcome,
    fitted,
)
from ingest.feeds import FEEDS, feed_of

ASSETPAY, PEPAY, TRANSAK = FEEDS["assetpay"], FEEDS["pepay"], FEEDS["transak"]
CURSOR = Cursor((1, 2), "evt_1-2")


def account(provider: str, options: dict[str, Any]) -> Account:
    return Account(
        provider=provider,
        name="main",
        environment="sandbox",
        url=next(iter(FEEDS[provider].endpoints.values())),
        options=options,
        secrets=dict.fromkeys(("api_key", "channel_id", "access_token"), "k3y"),
    )


def event(event_id: object, kind: str = "event") -> str:
    return json.dumps({"id": event_id, "object": kind})


def cursor_of(frame: str | bytes) -> Cursor | None:
    assert PEPAY.cursor
    return PEPAY.cursor(frame)


def test_event_ids_are_compared_as_numbers() -> None:
    nine, ten = cursor_of(event("evt_1734780000000-9")), cursor_of(event("evt_1734780000000-10"))
    assert nine
    assert ten
    assert nine < ten
    assert ten == Cursor((1734780000000, 10), "evt_1734780000000-10")


@pytest.mark.parametrize(
    "frame",
    [
        event("evt_123"),
        event("evt_1-2", kind="ws_control"),
        event("evt_1-2x"),
        event("evt_٣-2"),
        event(17),
        '{"object":"event"}',
        '{"id":"evt_1-2","object":"eve',
        "[" * 200_000,
        b"\xff",
        "",
    ],
)
def test_a_frame_without_an_ordered_id_moves_no_cursor(frame: str | bytes) -> None:
    assert cursor_of(frame) is None


def test_transak_cannot_resume() -> None:
    assert TRANSAK.cursor is None


def test_only_the_feed_whose_events_have_ids_may_run_twice() -> None:
    assert {name for name, feed in FEEDS.items() if feed.replicas} == {"pepay"}


def test_a_refused_query_is_tried_without_the_cursor_if_there_was_one() -> None:
    main = account("pepay", {})
    assert isinstance(PEPAY.dialect(main, CURSOR).refused(Refusal(400)), Unresumable)
    assert isinstance(PEPAY.dialect(main, None).refused(Refusal(400)), Refused)
    assert isinstance(PEPAY.dialect(main, CURSOR).closed(Close(4499)), Unauthorized)


@pytest.mark.parametrize(
    ("frame", "meaning"),
    [
        ('{"object":"ws_error","code":"TOKEN_EXPIRED"}', Unauthorized),
        ('{"object":"ws_error","message":"Invalid API key"}', Unauthorized),
        ('{"object":"ws_error","message":"shutting down"}', Disconnected),
        (b'{"object":"ws_error"}', Disconnected),
    ],
)
def test_a_ws_error_is_kept_and_ends_the_connection(
    frame: str | bytes, meaning: type[FeedError]
) -> None:
    keep, end = PEPAY.dialect(account("pepay", {}), None).received(frame)
    assert keep == Keep(frame, useful=False)
    assert isinstance(end, End)
    assert type(end.error) is meaning


@pytest.mark.parametrize(
    "frame", [event("evt_1-2"), "", "[]", "not JSON", b"\xff", event(1, "ws_hint")]
)
def test_everything_else_is_kept(frame: str | bytes) -> None:
    assert list(PEPAY.dialect(account("pepay", {}), None).received(frame)) == [Keep(frame)]


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (401, b"{}", Unauthorized),
        (429, b"{}", Disconnected),
        (502, b"<html>", Disconnected),
        (200, b"<html>", Disconnected),
        (200, b'{"data":{}}', Disconnected),
    ],
)
def test_a_mint_without_a_token_means_what_http_says(
    status: int, body: bytes, meaning: type[FeedError]
) -> None:
    mint = PEPAY.mint(account("pepay", {"auth": "token"}))
    assert mint
    with pytest.raises(meaning):
        mint.secrets(Answer(status=status, retry_after=None, body=body))


@pytest.mark.parametrize(
    ("provider", "options", "line"),
    [
        (
            "assetpay",
            {"auth": "token", "steam_id": "7"},
            "auth = token: expected merchant_id, api_secret, trade_url as well",
        ),
        ("assetpay", {"apikey": "k3y"}, "Object contains unknown field `apikey`"),
        ("paymium", {"payment": []}, "Object contains unknown field `payment`"),
        ("paymium", {"payments": [""]}, "Expected `str` of length >= 1 - at `$.payments[0]`"),
        ("pepay", {"auth": "basic"}, "Invalid enum value 'basic' - at `$.auth`"),
        ("pepay", {"typos": []}, "Object contains unknown field `typos`"),
        ("pepay", {"types": []}, "types: expected names like invoice.* in a list"),
        ("pepay", {"types": ["a b"]}, "types: expected names like invoice.* in a list"),
        (
            "transak",
            {"public_channels": "x"},
            "Expected `array`, got `str` - at `$.public_channels`",
        ),
        (
            "transak",
            {"public_channels": ["fit"], "partner_orders": ["un fit"]},
            (
                "channel 3 (API key, public_channels, partner_orders)"
                ": expected letters, digits and _-=@,.; only"
            ),
        ),
        (
            "transak",
            {"partner_orders": ["x" * 161]},
            (
                "channel 2 (API key, public_channels, partner_orders)"
                ": expected 1 to 164 characters, found 165"
            ),
        ),
    ],
)
def test_options_that_cannot_work_are_named_in_one_line(
    provider: str, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        FEEDS[provider].check(account(provider, options))
    assert str(raised.value) == line


def test_public_data_has_a_feed_of_its_own_where_the_provider_keeps_it_apart() -> None:
    assert feed_of("paymium", "main") is FEEDS["paymium"]
    assert feed_of("paymium", "public") is FEEDS["paymium"].public
    assert feed_of("transak", "public") is TRANSAK


def test_a_paymium_user_without_a_key_of_the_api_is_followed_by_its_socket_alone() -> None:
    user = FEEDS["paymium"]
    assert fitted(user, {"channel_id"}).rest is None
    assert fitted(user, {"channel_id", "api_key"}).rest is None
    assert fitted(user, {"channel_id", "api_key", "api_secret"}) is user


def test_public_data_of_paymium_needs_no_credential_and_takes_no_option() -> None:
    public = feed_of("paymium", "public")
    assert (public.credentials, public.route) == (frozenset(), "public")
    with pytest.raises(ValueError, match="unknown field"):
        public.check(account("paymium", {"payments": []}))


@pytest.mark.parametrize(
    ("refusal", "pause"),
    [
        (Refusal(403, excerpt="Attention Required! | Cloudflare"), After(60)),
        (Refusal(429), After(60)),
        (Refusal(429, retry_after=7.0), After(7)),
        (Refusal(503), BackOff()),
    ],
)
def test_a_refused_upgrade_of_paymium_is_cloudflares(refusal: Refusal, pause: Pause) -> None:
    error = FEEDS["paymium"].dialect(account("paymium", {}), None).refused(refusal)
    assert isinstance(error, Disconnected)
    assert error.pause == pause


TOKEN = {
    "auth": "token",
    "merchant_id": "merchant-1",
    "steam_id": "76561198000000001",
    "client_data": {"level": 3},
}


def signing(**options: Any) -> Account:
    secrets = {"api_key": "k3y", "api_secret": "s" * 32, "trade_url": "https://steam.example/t"}
    return replace(account("assetpay", {**TOKEN, **options}), secrets=secrets)


def test_a_client_token_is_signed_before_each_dial_and_has_what_is_published() -> None:
    ASSETPAY.check(signing())
    token = ASSETPAY.sign(signing(), 1_700_000_000)["token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "userId": "merchant-1"}
    options: Options = {"verify_exp": False}
    assert jwt.decode(token, "s" * 32, algorithms=["HS256"], options=options) == {
        "merchantId": "merchant-1",
        "client": {
            "steamID": "76561198000000001",
            "tradeUrl": "https://steam.example/t",
            "clientData": {"level": 3},
        },
        "iat": 1_700_000_000,
        "exp": 1_700_086_400,
    }
    dialled = replace(signing(), secrets={**signing().secrets, "token": token})
    assert parse_qs(urlsplit(ASSETPAY.address(dialled, None).url).query) == {
        "token": [token],
        "EIO": ["4"],
        "transport": ["websocket"],
    }


def test_nothing_is_signed_where_the_key_itself_is_sent() -> None:
    assert ASSETPAY.sign(account("assetpay", {}), 0) == {}


@pytest.mark.parametrize(
    ("refusal", "meaning"),
    [
        (Refusal(400, excerpt='{"code":5,"message":"Unsupported protocol version"}'), Refused),
        (Refusal(400, excerpt='{"code":0,"message":"Transport unknown"}'), Refused),
        (Refusal(401), Unwelcome),
        (Refusal(403), Unwelcome),
        (Refusal(429, retry_after=7.0), Disconnected),
        (Refusal(503), Disconnected),
    ],
)
def test_a_refused_upgrade_of_assetpay(refusal: Refusal, meaning: type[FeedError]) -> None:
    error = ASSETPAY.dialect(account("assetpay", {}), None).refused(refusal)
    assert type(error) is meaning
    if refusal.retry_after:
        assert isinstance(error, Disconnected)
        assert error.pause == After(7.0)
    if isinstance(error, Unwelcome):
        assert error.later == Doubling(30, 300)


def test_what_would_hold_a_secret_does_not_show_it() -> None:
    for name, feed in FEEDS.items():
        main = account(name, {"auth": "token"} if name == "pepay" else {})
        shown = f"{main} {feed.mint(main)} {feed.address(account(name, {}), None)}"
        assert "k3y" not in shown

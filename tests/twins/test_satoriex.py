import asyncio
import json
from collections import Counter
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.twins.clients import ending, frame, got, posted, texts
from tests.twins.test_faults import order
from twins.faults import Faults
from twins.satoriex import Satoriex, SatoriexTwin
from twins.satoriex_lifecycle import MARKETS
from twins.satoriex_tokens import EMAIL, PASSWORD
from twins.server import Twin

LOGIN = {"email": EMAIL, "password": PASSWORD}


async def login(twin: Twin[Satoriex]) -> dict[str, Any]:
    status, told = await posted(f"{twin.rest_url}/api/v1/auth/login", {}, LOGIN)
    assert (status, told["code"]) == (200, 0)
    granted: dict[str, Any] = told["data"]
    return granted


async def dialled(twin: Twin[Satoriex]) -> connect:
    granted = await login(twin)
    return connect(f"{twin.url}?token={granted['access_token']}", max_queue=None)


async def subscribe(socket: ClientConnection) -> None:
    for market in MARKETS:
        for kind in ("subscribe", "subscribe_marketdata"):
            await socket.send(json.dumps({"type": kind, "market_id": market}))
    await (await socket.ping())


async def refused(twin: Twin[Satoriex], token: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"{twin.url}?token={token}"):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}")


async def test_a_login_grants_an_rs256_token_that_says_when_it_ends() -> None:
    async with SatoriexTwin(rate=0, token_lives_s=60) as twin:
        token = (await login(twin))["access_token"]
        assert jwt.get_unverified_header(token)["alg"] == "RS256"
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 60


async def test_a_bad_password_and_a_bad_body_are_refused() -> None:
    async with SatoriexTwin(rate=0) as twin:
        url = f"{twin.rest_url}/api/v1/auth/login"
        assert (await posted(url, {}, {**LOGIN, "password": "x"}))[0] == 401
        assert (await posted(url, {}, {"email": EMAIL}))[0] == 400


async def test_logins_are_limited() -> None:
    async with SatoriexTwin(rate=0) as twin:
        url = f"{twin.rest_url}/api/v1/auth/login"
        statuses = [(await posted(url, {}, LOGIN))[0] for _ in range(11)]
        assert statuses == [200] * 10 + [429]


async def test_a_refresh_token_is_good_for_one_use() -> None:
    async with SatoriexTwin(rate=0) as twin:
        url = f"{twin.rest_url}/api/v1/auth/refresh"
        body = {"refresh_token": (await login(twin))["refresh_token"]}
        assert (await posted(url, {}, body))[0] == 200
        status, told = await posted(url, {}, body)
        assert (status, told["code"]) == (401, 2002)


async def test_an_upgrade_wants_a_token_that_has_not_ended() -> None:
    async with SatoriexTwin(rate=0) as twin:
        token = (await login(twin))["access_token"]
        status, told = await refused(twin, "x")
        assert (status, told["code"]) == (401, 2002)
        await order(twin, "expire-token")
        assert (await refused(twin, token))[0] == 401
        bearer = {"authorization": f"Bearer {token}"}
        assert (await got(f"{twin.rest_url}/api/v1/orders", bearer))[0] == 401


async def test_a_token_can_take_its_connection_along() -> None:
    async with (
        SatoriexTwin(rate=0, cuts=True, token_lives_s=0.3) as twin,
        await dialled(twin) as socket,
    ):
        assert await ending(socket) == 1008


async def test_user_events_come_unasked_and_market_events_only_when_asked() -> None:
    async with SatoriexTwin(rate=0) as twin, await dialled(twin) as socket:
        await twin.storm(300)
        await twin.quiet()
        heard = Counter(line.type for line in twin.books.lines if line.listeners)
        assert {"order_filled", "deposit_confirmed"} <= heard.keys()
        assert heard.keys().isdisjoint({"trade", "order", "order_update", "settlement", "comment"})
        assert (await frame(socket))["type"]


async def test_every_published_type_is_told() -> None:
    async with SatoriexTwin(rate=0) as twin, await dialled(twin) as socket:
        await subscribe(socket)
        await twin.storm(1500)
        facts = {line.type for line in twin.books.lines}
        told: set[str] = set()
        wanted = facts | {"wallet_changed", "kyc_approved", "price_update", "orderbook_delta"}
        while not wanted <= told:
            told.add((await frame(socket))["type"])
        assert len(facts) == 19


@pytest.mark.parametrize("form", ["flat", "payload", "data"])
async def test_a_message_has_the_form_that_was_chosen(form: Any) -> None:
    async with SatoriexTwin(rate=0, form=form) as twin, await dialled(twin) as socket:
        await subscribe(socket)
        await twin.storm(50)
        told = [json.loads(text) for text in await texts(socket, 50)]
        assert all((form in message) is (form != "flat") for message in told)


async def test_trades_may_come_without_an_id() -> None:
    async with SatoriexTwin(rate=0, ids=False) as twin, await dialled(twin) as socket:
        await subscribe(socket)
        await twin.storm(200)
        told = [json.loads(text) for text in await texts(socket, 200)]
        trades = [message for message in told if message["type"] == "trade"]
        assert trades
        assert not [trade for trade in trades if "trade_id" in trade]


async def test_a_subscription_is_acknowledged_only_where_that_is_switched_on() -> None:
    async with SatoriexTwin(rate=0, acknowledges=True) as twin, await dialled(twin) as socket:
        await socket.send(json.dumps({"type": "subscribe", "market_id": MARKETS[0]}))
        assert await frame(socket) == {"type": "subscribed", "market_id": MARKETS[0]}


async def test_a_market_that_is_not_there_is_an_error_that_names_it() -> None:
    async with SatoriexTwin(rate=0) as twin, await dialled(twin) as socket:
        await socket.send(json.dumps({"type": "subscribe", "market_id": "mkt_nope"}))
        told = await frame(socket)
        assert (told["type"], told["market_id"]) == ("error", "mkt_nope")


async def test_a_second_connection_closes_the_first() -> None:
    async with (
        SatoriexTwin(rate=0, single=True) as twin,
        await dialled(twin) as first,
        await dialled(twin),
    ):
        assert await ending(first) == 1000


async def test_an_address_may_open_so_many_connections() -> None:
    async with SatoriexTwin(rate=0) as twin, await dialled(twin):
        await order(twin, "limit-connections", count=1)
        token = (await login(twin))["access_token"]
        assert (await refused(twin, token))[0] == 429


async def test_a_frame_of_a_megabyte_can_be_ordered() -> None:
    async with SatoriexTwin(rate=0) as twin, await dialled(twin) as socket:
        await subscribe(socket)
        await order(twin, "large", count=900_000)
        (text,) = await texts(socket, 1)
        assert len(text) >= 900_000


async def test_a_placed_order_is_accepted_and_then_matched() -> None:
    async with SatoriexTwin(rate=0) as twin:
        granted = await login(twin)
        bearer = {"authorization": f"Bearer {granted['access_token']}"}
        url = f"{twin.url}?token={granted['access_token']}"
        async with connect(url, max_queue=None) as socket:
            await subscribe(socket)
            asked = {"market_id": MARKETS[0], "outcome_id": "out_1", "side": 1}
            asked |= {"price": 4200, "quantity": 100}
            status, told = await posted(f"{twin.rest_url}/api/v1/orders", bearer, asked)
            assert (status, told["data"]["trades"]) == (202, [])
            heard: list[dict[str, Any]] = []
            async with asyncio.timeout(5):
                while not heard or heard[-1]["type"] != "wallet_changed":
                    heard.append(await frame(socket))
    kinds = [message["type"] for message in heard if "price" not in message["type"]]
    assert [kind for kind in kinds if kind != "orderbook_delta"] == [
        *("order", "trade", "order_update", "order_filled", "wallet_changed")
    ]
    assert {message["order_id"] for message in heard if "order_id" in message} == {
        told["data"]["order"]["id"]
    }


async def test_rest_shows_what_was_told() -> None:
    async with SatoriexTwin(rate=0) as twin, await dialled(twin) as socket:
        await subscribe(socket)
        await twin.storm(300)
        bearer = {"authorization": f"Bearer {(await login(twin))['access_token']}"}
        api = f"{twin.rest_url}/api/v1"
        shown: list[dict[str, Any]] = []
        total = page = 1
        while len(shown) < total:
            _, told = await got(f"{api}/orders", bearer, page=str(page))
            shown, total, page = shown + told["data"]["items"], told["data"]["total"], page + 1
        rows = {
            ("order", row["id"], row["status"], str(row["filled_quantity"]), row["updated_at"])
            for row in shown
        }
        assert rows <= {line.key for line in twin.books.lines}
        _, trades = await got(f"{api}/markets/{MARKETS[0]}/trades", {})
        keys = {("trade", row["trade_id"]) for row in trades["data"]}
        assert keys <= {line.key for line in twin.books.lines}
        _, moved = await got(f"{api}/wallet/transactions", bearer)
        assert moved["data"]["items"]


async def test_integers_beyond_doubles_are_told_digit_for_digit() -> None:
    async with SatoriexTwin(rate=0, big=1.0) as twin, await dialled(twin) as socket:
        await subscribe(socket)
        await twin.storm(20)
        quantities = [
            line.money["quantity"] for line in twin.books.lines if "quantity" in line.money
        ]
        assert quantities
        assert any(int(digits) > 2**53 for digits in quantities)


async def test_damaged_frames_are_in_the_books() -> None:
    async with (
        SatoriexTwin(rate=0, faults=Faults(damage=1.0)) as twin,
        await dialled(twin) as socket,
    ):
        await subscribe(socket)
        await twin.storm(200)
        assert (await twin.quiet()).damaged == 200

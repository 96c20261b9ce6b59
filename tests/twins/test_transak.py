import asyncio
import json
from decimal import Decimal

import jwt
import pytest
from websockets.asyncio.client import ClientConnection

from tests.twins.clients import (
    ending,
    frame,
    got,
    order_of,
    posted,
    pusher,
    subscribe,
)
from twins.chance import dice
from twins.faults import Order
from twins.pusher import Timers
from twins.server import Twin
from twins.transak import API_KEY, TransakTwin
from twins.transak_lifecycle import EVENT_OF, Lifecycles

SECRET = {"api-secret": "twin-api-secret"}
ORDERS = "/partners/api/v2/orders"
REFRESH = "/partners/api/v2/refresh-token"


async def greeted(socket: ClientConnection) -> dict:
    greeting = await frame(socket)
    assert greeting["event"] == "pusher:connection_established"
    return json.loads(greeting["data"])


async def test_the_greeting_comes_first_and_is_encoded_twice() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        greeting = await greeted(socket)
        assert greeting["activity_timeout"] == 120
        assert greeting["socket_id"].count(".") == 1


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/app/unknown", "?protocol=7", 4001),
        ("", "?protocol=6", 4007),
        ("", "?protocol=seven", 4006),
        ("", "", 4008),
    ],
)
async def test_a_bad_address_gets_a_close_code_and_nothing_else(
    path: str, query: str, code: int
) -> None:
    async with TransakTwin(rate=0) as twin:
        url = twin.url.replace(twin.provider.path, path) if path else twin.url
        async with pusher(url, query) as socket:
            assert await ending(socket) == code


async def test_the_api_key_channel_carries_tokens_signed_with_the_access_token() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        await subscribe(socket, API_KEY)
        await twin.storm(300)
        forms = set()
        for line in twin.books.lines:
            told = await frame(socket)
            assert told["channel"] == API_KEY
            order = order_of(told, twin.provider.access_token)
            assert told["event"] == line.type == EVENT_OF[order["status"]]
            assert line.key[0] == order.get("id", order.get("_id"))
            assert line.key[2] == order.get("updatedAt", order["createdAt"])
            forms.add((told["data"][0] == '"', _headers(told["data"]).get("typ")))
        assert forms == {(False, "JWT"), (False, None), (True, "JWT"), (True, None)}


def _headers(content: str) -> dict:
    return jwt.get_unverified_header(content.strip('"'))


async def test_the_digits_on_the_wire_are_those_in_the_books() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        await subscribe(socket, API_KEY)
        await twin.storm(500)
        longest = 0
        for line in twin.books.lines:
            order = order_of(await frame(socket), twin.provider.access_token)
            for word in ("fiatAmount", "cryptoAmount", "amountPaid", "conversionPrice"):
                digits = line.money[word]
                assert Decimal(digits).as_tuple() == Decimal(order[word]).as_tuple()
                longest = max(longest, len(Decimal(digits).as_tuple().digits))
        assert longest == 17


async def test_one_change_is_told_on_each_channel_somebody_listens_to() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        await subscribe(socket, API_KEY)
        await twin.storm(1)
        order = order_of(await frame(socket), twin.provider.access_token)
        order_id = order.get("id", order.get("_id"))
        await subscribe(socket, order_id)
        await subscribe(socket, f"{API_KEY}_{order['partnerOrderId']}")
        await _until_told_again(twin, order_id)
        channels = {(await frame(socket))["channel"] for _ in range(3)}
        while len(channels) < 3:
            channels.add((await frame(socket))["channel"])
        assert channels == {API_KEY, order_id, f"{API_KEY}_{order['partnerOrderId']}"}


async def _until_told_again(twin: Twin, order_id: str) -> None:
    while sum(line.entity == order_id for line in twin.books.lines) < 2:
        await twin.storm(1)


async def test_a_channel_that_nobody_publishes_on_stays_silent() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        await subscribe(socket, "twin-api-key_no-such-order")
        await twin.storm(50)
        await socket.send('{"event":"pusher:ping","data":{}}')
        assert await frame(socket) == {"event": "pusher:pong", "data": "{}"}
        assert {line.listeners for line in twin.books.lines} == {0}


async def test_after_unsubscribing_nothing_comes_and_nothing_is_confirmed() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        await subscribe(socket, API_KEY)
        await socket.send(json.dumps({"event": "pusher:unsubscribe", "data": {"channel": API_KEY}}))
        await socket.send('{"event":"pusher:ping","data":{}}')
        assert (await frame(socket))["event"] == "pusher:pong"
        await twin.storm(5)
        await socket.send('{"event":"pusher:ping","data":{}}')
        assert (await frame(socket))["event"] == "pusher:pong"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"event": "pusher:subscribe", "data": {"channel": "a b"}}, "Invalid channel name"),
        ({"event": "pusher:subscribe", "data": {"channel": "private-x"}}, "Auth value"),
        ({"event": "client-typing", "data": {}}, "Client event rejected"),
        ({"no": "event"}, "Invalid JSON"),
    ],
)
async def test_a_refused_message_gets_an_error_and_the_connection_stays(
    sent: dict, message: str
) -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        await socket.send(json.dumps(sent))
        told = await frame(socket)
        assert told["event"] == "pusher:error"
        assert message in json.dumps(told["data"])
        await subscribe(socket, API_KEY)


async def test_a_second_subscription_is_an_error() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        await subscribe(socket, API_KEY)
        await socket.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": API_KEY}}))
        assert (await frame(socket))["data"] == {
            "message": f"Existing subscription to channel {API_KEY}",
            "code": None,
        }


async def test_a_silent_client_is_asked_and_then_closed_with_4201() -> None:
    timers = Timers(activity=1, pong=0.2)
    async with TransakTwin(rate=0, timers=timers) as twin, pusher(twin.url) as socket:
        assert (await greeted(socket))["activity_timeout"] == 1
        assert await frame(socket) == {"event": "pusher:ping", "data": "{}"}
        assert await ending(socket) == 4201


async def test_a_client_that_answers_the_ping_stays() -> None:
    timers = Timers(activity=1, pong=0.5)
    async with TransakTwin(rate=0, timers=timers) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        assert (await frame(socket))["event"] == "pusher:ping"
        await socket.send('{"event":"pusher:pong","data":{}}')
        assert (await frame(socket))["event"] == "pusher:ping"


async def test_a_refresh_switches_keys_at_once() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await greeted(socket)
        await subscribe(socket, API_KEY)
        old = twin.provider.access_token
        status, answer = await posted(twin.rest_url + REFRESH, SECRET, {"apiKey": API_KEY})
        new = answer["data"]["accessToken"]
        assert status == 200
        assert new != old
        await twin.storm(1)
        told = await frame(socket)
        assert order_of(told, new)
        with pytest.raises(jwt.InvalidSignatureError):
            order_of(told, old)
        assert (await got(twin.rest_url + ORDERS, {"access-token": old}))[0] == 401
        assert (await got(twin.rest_url + ORDERS, {"access-token": new}))[0] == 200


async def test_a_lingering_key_goes_on_signing_for_its_time() -> None:
    now = [1_700_000_000.0]
    async with (
        TransakTwin(rate=0, lingers_s=5, clock=lambda: now[0]) as twin,
        pusher(twin.url) as socket,
    ):
        await greeted(socket)
        await subscribe(socket, API_KEY)
        old, new = twin.provider.access_token, twin.provider.refresh()
        await twin.storm(1)
        assert order_of(await frame(socket), old)
        now[0] += 6
        await twin.storm(1)
        assert order_of(await frame(socket), new)


async def test_refreshing_needs_the_api_secret() -> None:
    async with TransakTwin(rate=0) as twin:
        status, refusal = await posted(twin.rest_url + REFRESH, {"api-secret": "guess"})
        assert status == 401
        assert refusal["error"]["message"] == "Authorization Required"


async def test_refreshing_too_often_is_answered_with_429() -> None:
    async with TransakTwin(rate=0) as twin:
        asked = [(await posted(twin.rest_url + REFRESH, SECRET))[0] for _ in range(6)]
        assert asked == [200, 200, 200, 200, 200, 429]
        assert twin.provider.refreshes == 5


async def test_another_system_that_refreshes_ends_the_token_without_a_word() -> None:
    async with TransakTwin(rate=0) as twin:
        key = {"access-token": twin.provider.access_token}
        twin.orders["replace-token"](Order())
        assert (await got(twin.rest_url + ORDERS, key))[0] == 401


async def test_an_expired_access_token_is_refused_until_it_is_refreshed() -> None:
    async with TransakTwin(rate=0) as twin:
        key = {"access-token": twin.provider.access_token}
        assert (await got(twin.rest_url + ORDERS, key))[0] == 200
        await twin.expire_token()
        assert (await got(twin.rest_url + ORDERS, key))[0] == 401
        _, answer = await posted(twin.rest_url + REFRESH, SECRET)
        key = {"access-token": answer["data"]["accessToken"]}
        assert (await got(twin.rest_url + ORDERS, key))[0] == 200


async def test_the_list_hides_all_but_completed_buy_orders_by_default() -> None:
    async with TransakTwin(rate=0) as twin:
        await twin.storm(600)
        key = {"access-token": twin.provider.access_token}
        _, page = await got(twin.rest_url + ORDERS, key)
        assert {(each["status"], each["isBuyOrSell"]) for each in page["data"]} == {
            ("COMPLETED", "BUY")
        }
        assert page["meta"]["limit"] == 100
        assert page["meta"]["totalCount"] == len(page["data"]) < 100


async def test_paging_by_skip_reaches_every_order_of_a_status() -> None:
    async with TransakTwin(rate=0) as twin:
        await twin.storm(600)
        key = {"access-token": twin.provider.access_token}
        query = {
            "filter[productsAvailed]": '["BUY","SELL"]',
            "filter[status]": "EXPIRED",
            "filter[sortOrder]": "asc",
            "limit": "7",
        }
        found: list[str] = []
        times: list[str] = []
        total = 1
        while len(found) < total:
            _, page = await got(twin.rest_url + ORDERS, key, **query, skip=str(len(found)))
            total = page["meta"]["totalCount"]
            found += [each["_id"] for each in page["data"]]
            times += [each["createdAt"] for each in page["data"]]
        latest = {line.entity: line.status for line in twin.books.lines}
        assert sorted(found) == sorted(e for e, status in latest.items() if status == "EXPIRED")
        assert times == sorted(times)


async def test_the_list_ends_ninety_days_back_unless_asked() -> None:
    now = [1_700_000_000.0]
    async with TransakTwin(rate=0, clock=lambda: now[0], token_lives_s=1e9) as twin:
        await twin.storm(300)
        now[0] += 100 * 24 * 3600
        key = {"access-token": twin.provider.access_token}
        _, page = await got(twin.rest_url + ORDERS, key)
        assert page["data"] == []
        _, page = await got(twin.rest_url + ORDERS, key, startDate="2023-11-01")
        assert page["data"]


@pytest.mark.parametrize(
    "query",
    [{"filter[productsAvailed]": "BUY"}, {"startDate": "yesterday"}, {"limit": "many"}],
)
async def test_the_list_refuses_what_it_does_not_understand(query: dict[str, str]) -> None:
    async with TransakTwin(rate=0) as twin:
        key = {"access-token": twin.provider.access_token}
        assert (await got(twin.rest_url + ORDERS, key, **query))[0] == 400


async def test_one_order_is_read_back_in_any_state_under_its_rest_name() -> None:
    async with TransakTwin(rate=0) as twin:
        await twin.storm(30)
        key = {"access-token": twin.provider.access_token}
        latest = {line.entity: line for line in twin.books.lines}
        for entity, line in latest.items():
            _, answer = await got(f"{twin.rest_url}/partners/api/v2/order/{entity}", key)
            assert answer["meta"] == {"orderId": entity}
            assert answer["data"]["_id"] == entity
            assert "id" not in answer["data"]
            assert (entity, answer["data"]["status"], answer["data"]["updatedAt"]) == line.key
        url = f"{twin.rest_url}/partners/api/v2/order/nobody"
        assert (await got(url, key))[0] == 404


def test_the_same_seed_tells_the_same_story_at_any_time() -> None:
    slow, fast = Lifecycles(dice(7, "transak")), Lifecycles(dice(7, "transak"))
    for n in range(1000):
        early, late = slow.next(1_700_000_000_000 + n), fast.next(1_800_000_000_000 + 999 * n)
        assert (early.entity, early.status) == (late.entity, late.status)
        assert early.money == late.money


def test_every_status_of_both_sides_turns_up_and_no_fact_twice() -> None:
    lifecycles = Lifecycles(dice(1, "transak"))
    facts = [lifecycles.next(1_700_000_000_000 + n // 10) for n in range(5000)]
    assert {fact.status for fact in facts} == set(EVENT_OF)
    assert {fact.about["isBuyOrSell"] for fact in facts} == {"BUY", "SELL"}
    assert len({fact.key for fact in facts}) == len(facts)
    story: dict[str, list[str]] = {}
    for fact in facts:
        story.setdefault(fact.entity, []).append(fact.status)
    assert any(each[-2:] == ["FAILED", "REFUNDED"] for each in story.values())


async def test_two_listeners_are_both_told_and_counted() -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as one, pusher(twin.url) as two:
        for socket in (one, two):
            await greeted(socket)
            await subscribe(socket, API_KEY)
        await twin.storm(1)
        first, second = await asyncio.gather(frame(one), frame(two))
        assert first == second
        assert [line.listeners for line in twin.books.lines] == [2]
        summary = await twin.quiet()
        assert (summary.told, summary.frames, summary.repeated) == (1, 2, 1)

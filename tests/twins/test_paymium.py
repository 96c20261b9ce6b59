import hmac
import json
from collections import Counter
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.twins.clients import ending, got, joined, posted, text, texts
from twins.chance import dice
from twins.engineio3 import Timers
from twins.faults import Faults
from twins.paymium import API_KEY, API_SECRET, PaymiumTwin
from twins.paymium_lifecycle import Lifecycles
from twins.server import Twin

EVERY_S = 0.05


def emitted(said: str) -> tuple[str, str, Any]:
    """Return namespace, name and payload of an event."""
    assert said.startswith("42/")
    namespace, _, rest = said[2:].partition(",")
    name, *payload = json.loads(rest)
    return namespace, name, payload[0]


def order_of(said: str) -> dict[str, Any]:
    """Return the order or payment of a frame, whatever its envelope and carrier."""
    _, name, payload = emitted(said)
    if name == "stream" and "orders" in payload:
        (order,) = payload["orders"]
        return dict(order)
    told = payload["payload"] if name == "stream" else payload
    order = json.loads(told) if isinstance(told, str) else told
    return dict(order)


async def order(twin: Twin[Any], name: str, **arguments: float) -> None:
    assert (await posted(f"{twin.control_url}/twin/{name}", {}, arguments))[0] == 200


# ---- the protocol -----------------------------------------------------------------------


async def test_the_server_speaks_first_as_captured() -> None:
    async with (
        PaymiumTwin(rate=0) as twin,
        connect(f"{twin.url}?EIO=3&transport=websocket") as socket,
    ):
        opening = await text(socket)
        assert opening[0] == "0"
        told = json.loads(opening[1:])
        assert told.pop("sid")
        assert told == {"upgrades": [], "pingInterval": 10_000, "pingTimeout": 86_400_000}
        assert await text(socket) == "40"


@pytest.mark.parametrize("query", ["?EIO=4&transport=websocket", ""])
async def test_the_eio_value_is_ignored(query: str) -> None:
    async with PaymiumTwin(rate=0) as twin, connect(twin.url + query) as socket:
        assert (await text(socket))[0] == "0"


async def test_a_ping_is_answered_with_its_own_text() -> None:
    async with PaymiumTwin(rate=0) as twin:
        socket = await joined(twin.url, "/user")
        for said, answer in (("2", "3"), ("2probe", "3probe")):
            await socket.send(said)
            assert await text(socket) == answer
        await socket.close()


async def test_an_unknown_namespace_is_refused_and_the_connection_stays_open() -> None:
    async with PaymiumTwin(rate=0) as twin:
        socket = await joined(twin.url, "/user")
        await socket.send("40/nope")
        assert await text(socket) == '44/nope,"Invalid namespace"'
        await socket.send("2")
        assert await text(socket) == "3"
        await socket.close()


@pytest.mark.parametrize("said", ["hello", '42{"a":1}', "42/user,[", '40/public,{"x":1}', "47"])
async def test_text_that_is_no_packet_closes_with_1000(said: str) -> None:
    async with PaymiumTwin(rate=0) as twin:
        socket = await joined(twin.url, "/user")
        await socket.send(said)
        assert await ending(socket) == 1000


async def test_a_connection_without_traffic_is_cut_without_a_close_frame() -> None:
    async with PaymiumTwin(rate=0, timers=Timers(idle_s=0.1)) as twin:
        socket = await joined(twin.url, "/user")
        assert await ending(socket) == 1006


async def test_traffic_in_either_direction_keeps_a_connection() -> None:
    async with PaymiumTwin(rate=0, every_s=EVERY_S, timers=Timers(idle_s=3 * EVERY_S)) as twin:
        socket = await joined(twin.url, "/public")
        await texts(socket, 30)
        await socket.close()


# ---- public -----------------------------------------------------------------------------


async def test_everybody_is_told_prices_notices_and_changes_and_no_snapshot() -> None:
    async with PaymiumTwin(rate=0, every_s=EVERY_S) as twin:
        socket = await joined(twin.url, "/public")
        said = [emitted(each) for each in await texts(socket, 60)]
        await socket.close()
    assert {(namespace, name) for namespace, name, _ in said} == {
        ("/public", "stream"),
        ("/public", "announcement"),
    }
    streamed = [payload for _, name, payload in said if name == "stream"]
    keys = {key for payload in streamed for key in payload}
    assert keys == {"prices", "bids", "asks"}
    assert any({"bids", "asks"} <= payload.keys() for payload in streamed)
    pairs = next(payload["prices"] for payload in streamed if "prices" in payload)
    assert len(pairs) == 33
    sides = [each[side] for each in streamed for side in ("bids", "asks") if side in each]
    levels = [level for side in sides for level in side]
    deleted = [level for level in levels if level["amount"] == "0.00000000"]
    assert deleted
    assert all((level["timestamp"] == 0) == (level in deleted) for level in levels)


async def test_the_book_of_rest_is_what_the_changes_add_up_to_under_a_rising_version() -> None:
    async with PaymiumTwin(rate=0, every_s=EVERY_S) as twin:
        socket = await joined(twin.url, "/public")
        _, before = await got(f"{twin.rest_url}/api/v1/data/eur/depth", {})
        await texts(socket, 9)
        _, after = await got(f"{twin.rest_url}/api/v1/data/eur/depth", {})
        await socket.close()
    assert after["version"] > before["version"]
    assert after["market"] == "BTC-EUR"
    prices = [float(level["price"]) for level in after["asks"]]
    assert prices == sorted(prices)


# ---- user -------------------------------------------------------------------------------


async def test_only_the_right_channel_is_told_anything() -> None:
    async with PaymiumTwin(rate=0) as twin:
        right = await joined(twin.url, "/user", twin.provider.channel_id)
        wrong = await joined(twin.url, "/user", "0" * 64)
        none = await joined(twin.url, "/user")
        await twin.storm(5)
        await texts(right, 5)
        for other in (wrong, none):
            await other.send("2")
            assert await text(other) == "3"
        assert {line.listeners for line in twin.books.lines} == {1}
        for each in (right, wrong, none):
            await each.close()


async def test_the_frames_are_what_the_books_say_in_every_envelope_and_carrier() -> None:
    async with PaymiumTwin(rate=0, older=0.5) as twin:
        socket = await joined(twin.url, "/user", twin.provider.channel_id)
        await twin.storm(600)
        said = await texts(socket, 600)
        await socket.close()
        facts = [line for line in twin.books.lines if line.type in {"order", "transfer"}]
        postings = {line.key for line in twin.books.lines if line.type == "account_operation"}
    carriers: Counter[tuple[str, str, str]] = Counter()
    told_postings = set()
    for line, each in zip(facts, said, strict=True):
        told = order_of(each)
        words = ("uuid", "state", "updated_at", "traded_btc", "traded_currency")
        assert line.key == tuple(told[word] for word in words)
        told_postings |= {(operation["uuid"],) for operation in told["account_operations"]}
        _, name, payload = emitted(each)
        inner = payload.get("payload") if name == "stream" else payload
        carriers[name, type(inner).__name__, type(told["amount"]).__name__] += 1
    assert told_postings == postings
    assert len({line.key for line in facts}) == 600
    assert {name for name, *_ in carriers} == {"stream", "order"}
    assert {inner for _, inner, _ in carriers} == {"NoneType", "dict", "str"}
    assert {amount for *_, amount in carriers} == {"str", "float", "NoneType"}


async def test_a_payment_is_told_on_its_own_channel_alone() -> None:
    async with PaymiumTwin(rate=0) as twin:
        payment_id = twin.provider.payments[0]
        socket = await joined(twin.url, "/user", payment_id)
        await twin.storm(40)
        told = [line for line in twin.books.lines if line.type == "payment"]
        states = [order_of(each)["state"] for each in await texts(socket, len(told))]
        await socket.close()
    assert states[0] == "pending_payment"
    assert states[-1] in {"btc_forwarded", "expired"}
    assert {line.entity for line in told} == {payment_id}


def test_the_same_seed_tells_the_same_story() -> None:
    def story(seed: int) -> list[str]:
        lifecycles = Lifecycles(dice(seed, "paymium"))
        return [lifecycles.next(1_700_000_000_000 + n).body for n in range(300)]

    assert story(1) == story(1) != story(2)


async def test_partial_fills_share_their_second_and_differ_in_what_was_traded() -> None:
    async with PaymiumTwin(rate=0, clock=lambda: 1_700_000_000.0) as twin:
        socket = await joined(twin.url, "/user", twin.provider.channel_id)
        await twin.storm(400)
        await socket.close()
    active = [line.key for line in twin.books.lines if line.status == "active"]
    fills = Counter(key[:3] for key in active)
    assert max(fills.values()) > 1
    assert len(set(active)) == len(active)


# ---- faults -----------------------------------------------------------------------------


async def test_damaged_frames_are_in_the_books_and_no_reader_takes_them() -> None:
    async with PaymiumTwin(rate=0, faults=Faults(damage=1)) as twin:
        socket = await joined(twin.url, "/user", twin.provider.channel_id)
        await twin.storm(200)
        said = await texts(socket, 400)
        await socket.close()
    assert twin.books.summary().damaged == 200
    assert len(set(twin.books.summary().faults)) == 10
    broken = sum(not _is_readable(each) for each in said)
    assert broken == 200


def _is_readable(said: str) -> bool:
    try:
        told = order_of(said)
        return (
            {"uuid", "state"} <= told.keys()
            and told["updated_at"][4] == "-"
            and 0 <= float(told["traded_btc"]) < 10**20
            and "NaN" not in said
        )
    except (AssertionError, ValueError, KeyError, TypeError):
        return False


async def test_a_namespace_can_be_left_by_the_server_with_the_connection_open() -> None:
    async with PaymiumTwin(rate=0) as twin:
        socket = await joined(twin.url, "/user", twin.provider.channel_id)
        await order(twin, "leave")
        assert await text(socket) == "41/user"
        await twin.storm(3)
        await socket.send("2")
        assert await text(socket) == "3"
        assert {line.listeners for line in twin.books.lines} == {0}
        await socket.close()


async def test_the_transport_can_be_closed_by_a_packet() -> None:
    async with PaymiumTwin(rate=0) as twin:
        socket = await joined(twin.url, "/user")
        await order(twin, "engine-close")
        assert await text(socket) == "1"
        await socket.close()


async def test_pongs_and_namespaces_can_be_withheld() -> None:
    async with PaymiumTwin(rate=0) as twin:
        socket = await joined(twin.url, "/user")
        await order(twin, "swallow-pongs", seconds=60)
        await order(twin, "deny-namespaces", seconds=60)
        await socket.send("2")
        await socket.send("40/public")
        assert await text(socket) == '44/public,"Invalid namespace"'
        await socket.close()


@pytest.mark.parametrize("compress", [False, True])
async def test_large_frames_arrive_whole_in_many_fragments_and_compressed(
    *, compress: bool
) -> None:
    async with PaymiumTwin(rate=0, compress=compress) as twin:
        socket = await joined(twin.url, "/user")
        names = [each.name for each in socket.protocol.extensions]
        assert names == (["permessage-deflate"] if compress else [])
        await order(twin, "bulk", count=1_000_000)
        whole = await text(socket)
        await order(twin, "fragment", count=7)
        await order(twin, "bulk", count=1_000_000)
        assert await text(socket) == whole
        assert len(whole) > 1_000_000
        await socket.close()


# ---- REST -------------------------------------------------------------------------------


def signed(url: str, nonce: int) -> dict[str, str]:
    mac = hmac.digest(API_SECRET.encode(), f"{nonce}{url}".encode(), "sha256").hex()
    return {"Api-Key": API_KEY, "Api-Nonce": str(nonce), "Api-Signature": mac}


async def test_rest_wants_a_signature_and_a_nonce_that_grows() -> None:
    async with PaymiumTwin(rate=0) as twin:
        url = f"{twin.rest_url}/api/v1/user"
        status, user = await got(url, signed(url, 2))
        assert (status, user["channel_id"]) == (200, twin.provider.channel_id)
        assert (await got(url, signed(url, 2)))[0] == 401
        assert (await got(url, {**signed(url, 3), "Api-Signature": "0" * 64}))[0] == 401
        assert (await got(url, {}))[0] == 401
        assert (await got(url, signed(url, 3)))[0] == 200


async def test_rest_knows_what_happened_unheard() -> None:
    async with PaymiumTwin(rate=0) as twin:
        await twin.storm(50)
        line = next(line for line in reversed(twin.books.lines) if line.type == "order")
        url = f"{twin.rest_url}/api/v1/user/orders/{line.entity}"
        _, told = await got(url, signed(url, 1))
        assert told["state"] == line.status
        url = f"{twin.rest_url}/api/v1/user/orders?offset=0&limit=5"
        _, listed = await got(url, signed(url, 2))
        assert len(listed) == 5
        assert listed[0]["uuid"] == line.entity
        url = f"{twin.rest_url}/api/v1/user/orders/unknown"
        assert (await got(url, signed(url, 3)))[0] == 404

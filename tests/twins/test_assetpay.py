"""AssetPay's stand-in: what a plain WebSocket client sees of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import jwt
import pytest
import socketio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.twins.clients import PATIENCE_S, ending, got, texts
from twins.assetpay import API_KEY, API_SECRET, ATTACHED, ATTACHMENT, TRADES_KEY, AssetPayTwin
from twins.assetpay_damage import damages_of
from twins.assetpay_lifecycle import FUNDINGS, TRADES, Lifecycles
from twins.books import Line
from twins.chance import dice
from twins.faults import Order
from twins.server import Twin
from twins.socketio_server import Timers

MISSED = '42["market",{"type":"sync","reason":"subscribe"}]'
ENGINE = "EIO=4&transport=websocket"


@asynccontextmanager
async def joined(twin: Twin[Any], credential: str) -> AsyncIterator[ClientConnection]:
    """Give a socket whose join was answered; whether it is let in is another question."""
    async with connect(f"{twin.url}?{credential}&{ENGINE}", max_queue=None) as socket:
        assert (await text(socket)).startswith("0{")
        await socket.send("40")
        assert (await text(socket)).startswith('40{"sid":"')
        yield socket


@asynccontextmanager
async def watching(twin: Twin[Any]) -> AsyncIterator[ClientConnection]:
    async with joined(twin, f"apiKey={API_KEY}") as socket:
        assert await text(socket) == MISSED
        yield socket


async def text(socket: ClientConnection) -> str:
    return str(await asyncio.wait_for(socket.recv(), PATIENCE_S))


def token(**claims: Any) -> str:
    told = {"merchantId": "m", "client": {"steamID": "7"}, "iat": 0, "exp": 10**10, **claims}
    return jwt.encode(told, API_SECRET, "HS256", headers={"typ": None, "userId": "m"})


# ---- the door ---------------------------------------------------------------------------


async def test_the_open_packet_has_the_limits_of_the_library() -> None:
    async with (
        AssetPayTwin(rate=0) as twin,
        connect(f"{twin.url}?apiKey=x&{ENGINE}") as socket,
    ):
        opening = json.loads((await text(socket))[1:])
        assert opening.keys() == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        assert (opening["pingInterval"], opening["pingTimeout"]) == (25000, 20000)


@pytest.mark.parametrize(
    ("query", "code"),
    [("EIO=4&transport=polling", 0), ("EIO=4", 0), ("EIO=3&transport=websocket", 5)],
)
async def test_polling_and_other_versions_are_refused_as_the_original_does(
    query: str, code: int
) -> None:
    async with AssetPayTwin(rate=0) as twin:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{twin.url}?{query}"):
                pass
        assert refused.value.response.status_code == 400
        assert json.loads(refused.value.response.body or b"")["code"] == code


async def test_a_key_that_may_see_the_market_is_told_first_that_it_missed_something() -> None:
    async with AssetPayTwin(rate=0, market=1) as twin, watching(twin) as socket:
        await twin.storm(20)
        told = [json.loads(each[2:])[0] for each in await texts(socket, 40)]
        assert told.count("market") == 20


async def test_a_key_that_may_not_is_told_nothing_of_it() -> None:
    async with (
        AssetPayTwin(rate=0, market=1) as twin,
        joined(twin, f"apiKey={TRADES_KEY}") as socket,
    ):
        await asyncio.wait_for(twin.audience.attentive.wait(), PATIENCE_S)
        await twin.storm(20)
        told = {json.loads(each[2:])[0] for each in await texts(socket, 20)}
        assert "market" not in told


@pytest.mark.parametrize(
    "credential",
    [
        "apiKey=guess",
        "",
        "token=guess",
        f"token={token(exp=1)}",
        f"token={token(iat=10**10 - 86_401)}",
        f"token={jwt.encode({'iat': 0, 'exp': 10**10}, 'x' * 32)}",
    ],
)
async def test_a_bad_credential_is_joined_and_then_dropped_without_a_word(credential: str) -> None:
    async with AssetPayTwin(rate=0) as twin, joined(twin, credential) as socket:
        assert await text(socket) == "41"
        assert await ending(socket) == 1005


async def test_a_client_token_is_as_good_as_a_key_until_it_is_over() -> None:
    async with (
        AssetPayTwin(rate=0, market=0, clock=lambda: 10**10 - 60) as twin,
        joined(twin, f"token={token(iat=10**10 - 86_400)}") as socket,
    ):
        assert await text(socket) == MISSED
        await twin.storm(1)
        assert await text(socket)
        await twin.expire_token()
        assert await text(socket) == "41"


# ---- what is told -----------------------------------------------------------------------


async def test_the_digits_on_the_wire_are_those_in_the_books() -> None:
    async with AssetPayTwin(rate=0, market=0) as twin, watching(twin) as socket:
        await twin.storm(500)
        longest = 0
        for line, told in zip(twin.books.lines, await texts(socket, 500), strict=True):
            event, argument = json.loads(told[2:], parse_float=Decimal)
            assert event == line.type
            content = argument["trade" if event == "trade" else "funding"]
            assert line.key[1:3] == (content["id"], content["status"])
            if event == "trade":
                assert line.key[3] == content["updatedAt"]
                assert line.money["totalPrice"] == str(content["totalPrice"])
                longest = max(longest, len(Decimal(content["totalPrice"]).as_tuple().digits))
            else:
                assert line.key[3] == (content["txnHash"] or "")
                assert line.money["amounts.usd"] == content["amounts"]["usd"]
        assert longest == 17


def test_every_status_turns_up_in_both_spellings_and_no_fact_twice() -> None:
    lifecycles = Lifecycles(dice(1, "assetpay"))
    facts = [lifecycles.next(1_700_000_000_000 + n // 10) for n in range(5000)]
    trades = {status for plot in TRADES for status in plot[2].split()}
    fundings = {status.rstrip("+") for plot in FUNDINGS for status in plot[1].split()}
    told = {fact.status for fact in facts}
    assert told == trades | {status.upper() for status in trades} | fundings
    assert len({fact.key for fact in facts}) == len(facts)


def test_the_same_seed_tells_the_same_story_at_any_time() -> None:
    slow, fast = Lifecycles(dice(7, "assetpay")), Lifecycles(dice(7, "assetpay"))
    for n in range(1000):
        early, late = slow.next(1_700_000_000_000 + n), fast.next(1_800_000_000_000 + 999 * n)
        assert (early.entity, early.status, early.money) == (late.entity, late.status, late.money)


def test_damage_never_leaves_a_frame_as_it_was() -> None:
    lifecycles = Lifecycles(dice(3, "assetpay"))
    for n in range(200):
        fact = lifecycles.next(1_700_000_000_000 + n)
        broken = {name: damage(fact) for name, damage in damages_of(fact).items()}
        assert all(each != f'42["{fact.type}",{fact.body}]' for each in broken.values())


# ---- faults of its own ------------------------------------------------------------------


async def test_a_deploy_disconnects_everybody() -> None:
    async with AssetPayTwin(rate=0) as twin, watching(twin) as one, watching(twin) as two:
        await twin.orders["deploy"](Order())  # type: ignore[misc]
        for socket in (one, two):
            assert await text(socket) == "41"
            assert await ending(socket) == 1005
        async with watching(twin) as again:
            await twin.storm(1)
            assert await texts(again, 1)


async def test_a_revoked_key_is_dropped_and_not_let_in_again_for_its_time() -> None:
    async with AssetPayTwin(rate=0) as twin, watching(twin) as socket:
        await twin.provider.revoke(60)
        assert await text(socket) == "41"
        async with joined(twin, f"apiKey={API_KEY}") as again:
            assert await text(again) == "41"
        await twin.provider.revoke(0)
        async with watching(twin):
            pass


async def test_pings_come_at_the_interval_and_stop_when_that_is_ordered() -> None:
    timers = Timers(ping_interval=0.05, ping_timeout=10)
    async with AssetPayTwin(rate=0, timers=timers) as twin, watching(twin) as socket:
        for _ in range(3):
            assert await text(socket) == "2"
            await socket.send("3")
        twin.provider.orders()["stop-pings"](Order())
        late: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while True:
                    late.append(str(await socket.recv()))
                    await socket.send("3")
        assert late in ([], ["2"])


async def test_who_does_not_answer_pings_is_let_go() -> None:
    timers = Timers(ping_interval=0.05, ping_timeout=0.1)
    async with AssetPayTwin(rate=0, timers=timers) as twin, watching(twin) as socket:
        assert await text(socket) == "2"
        assert await ending(socket) == 1000


async def test_who_does_not_join_is_let_go() -> None:
    async with (
        AssetPayTwin(rate=0, timers=Timers(join=0.05)) as twin,
        connect(f"{twin.url}?apiKey={API_KEY}&{ENGINE}") as socket,
    ):
        assert await ending(socket) == 1000


async def test_a_binary_event_is_followed_by_its_attachment_and_booked_as_damage() -> None:
    async with AssetPayTwin(rate=0) as twin, watching(twin) as socket:
        twin.provider.attach()
        assert await text(socket) == ATTACHED
        assert await socket.recv() == ATTACHMENT
        assert twin.books.summary().damaged == 2


async def test_a_big_fact_is_as_big_as_ordered() -> None:
    async with AssetPayTwin(rate=0, market=0) as twin, watching(twin) as socket:
        twin.teller.pad(1_000_000)
        await twin.storm(2)
        big, next_one = await texts(socket, 2)
        assert len(big) > 1_000_000 > len(next_one)


# ---- another client ---------------------------------------------------------------------


async def test_python_socketios_own_client_is_told_the_same() -> None:
    async with AssetPayTwin(rate=0, market=0) as twin:
        client = socketio.AsyncClient(reconnection=False)
        heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        client.on("*", lambda event, argument: heard.put_nowait((event, argument)))
        await client.connect(f"{twin.rest_url}?apiKey={API_KEY}", transports=["websocket"])
        assert (await asyncio.wait_for(heard.get(), PATIENCE_S))[0] == "market"
        await twin.storm(3)
        for line in twin.books.lines:
            event, _ = await asyncio.wait_for(heard.get(), PATIENCE_S)
            assert event == line.type
        await client.disconnect()


# ---- REST -------------------------------------------------------------------------------

KEY = {"api-key": API_KEY}
PAST = {"startDate": "2020-01-01"}


def told_of(twin: Twin[Any], kind: str) -> dict[str, Line]:
    """The newest line of the books for each trade, or for each funding."""
    lines = (line for line in twin.books.lines if (line.type == "trade") == (kind == "trade"))
    return {line.entity: line for line in lines}


async def test_trades_are_looked_up_by_their_ids_and_by_what_the_merchant_calls_them() -> None:
    async with AssetPayTwin(rate=0) as twin:
        await twin.storm(60)
        known = told_of(twin, "trade")
        ids = list(known)[:5]
        status, answer = await got(f"{twin.rest_url}/secure/trades/{','.join(ids)},nobody", KEY)
        assert status == 200
        assert [trade["id"] for trade in answer["data"]] == ids
        for trade in answer["data"]:
            assert known[trade["id"]].key == ("trade", *_changed(trade))
        named = answer["data"][0]["externalId"]
        _, answer = await got(f"{twin.rest_url}/secure/trades/{named}", KEY)
        assert answer["data"]["id"] == ids[0]


def _changed(trade: dict[str, Any]) -> tuple[str, str, str]:
    return trade["id"], trade["status"], trade["updatedAt"]


async def test_one_unknown_trade_is_404_and_more_than_a_hundred_refs_are_refused() -> None:
    async with AssetPayTwin(rate=0) as twin:
        status, answer = await got(f"{twin.rest_url}/secure/trades/nobody", KEY)
        assert (status, answer["error"]["key"]) == (404, "TRADE_NOT_FOUND")
        refs = ",".join(map(str, range(101)))
        assert (await got(f"{twin.rest_url}/secure/trades/{refs}", KEY))[0] == 400


async def test_own_trades_of_one_game_are_paged_newest_first_to_a_null_cursor() -> None:
    async with AssetPayTwin(rate=0) as twin:
        await twin.storm(1500)
        found: list[dict[str, Any]] = []
        query = {"limit": "7"}
        while True:
            _, answer = await got(f"{twin.rest_url}/secure/trades", KEY, **query)
            found += answer["data"]["items"]
            if answer["data"]["nextCursor"] is None:
                break
            query["cursor"] = answer["data"]["nextCursor"]
        assert len(found) == len({trade["id"] for trade in found}) > 7
        assert {(trade["source"], trade["game"]) for trade in found} == {("self", "730")}
        times = [trade["createdAt"] for trade in found]
        assert times == sorted(times, reverse=True)
        _, rust = await got(f"{twin.rest_url}/secure/trades", KEY, game="252490")
        assert {trade["game"] for trade in rust["data"]["items"]} == {"252490"}


async def test_the_ledger_tells_each_funding_in_numbers_of_its_own() -> None:
    async with AssetPayTwin(rate=0) as twin:
        await twin.storm(400)
        known = told_of(twin, "funding")
        entries: list[dict[str, Any]] = []
        total = 1
        while len(entries) < total:
            place = {"limit": "50", "offset": str(len(entries))}
            _, answer = await got(f"{twin.rest_url}/v1/ledger/transactions", KEY, **place, **PAST)
            entries += answer["data"]["items"]
            total = answer["data"]["pagination"]["total"]
            assert answer["data"]["pagination"]["totalPages"] == -(-total // 50)
        assert {entry["id"] for entry in entries} == set(known)
        for entry in entries:
            line = known[entry["id"]]
            assert line.key == ("funding", entry["id"], entry["status"], entry["txnHash"] or "")
            assert entry["type"] == line.type.upper()
            assert entry["amount"]["usd"] == Decimal(line.money["amounts.usd"])
        _, answer = await got(f"{twin.rest_url}/v1/ledger/transactions/{entries[0]['id']}", KEY)
        assert answer["data"] == entries[0]


async def test_the_ledger_is_cut_by_day_type_and_status() -> None:
    async with AssetPayTwin(rate=0, clock=lambda: 1_700_000_000.0) as twin:
        await twin.storm(400)
        url = f"{twin.rest_url}/v1/ledger/transactions"
        _, answer = await got(url, KEY, type="DEPOSIT", status="COMPLETED", limit="100")
        found = {(entry["type"], entry["status"]) for entry in answer["data"]["items"]}
        assert found == {("DEPOSIT", "COMPLETED")}
        _, answer = await got(url, KEY, startDate="2023-11-15")
        assert answer["data"]["items"] == []


async def test_a_bad_key_is_401_and_a_busy_one_429_with_a_pause() -> None:
    async with AssetPayTwin(rate=0) as twin:
        url = f"{twin.rest_url}/secure/trades"
        status, answer = await got(url, {"api-key": "guess"})
        assert (status, answer["error"]["key"]) == (401, "INVALID_API_KEY")
        twin.orders["limit"](Order(count=2))
        assert [(await got(url, KEY))[0] for _ in range(3)] == [200, 200, 429]


async def test_answers_fail_in_the_middle_of_paging_when_told_to() -> None:
    async with AssetPayTwin(rate=0) as twin:
        url = f"{twin.rest_url}/secure/trades"
        twin.door.stumble("500", 2, after=1)
        assert [(await got(url, KEY))[0] for _ in range(4)] == [200, 500, 500, 200]

import asyncio
import json
from collections import Counter
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import aiohttp
import jwt
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from tests.twins.clients import (
    KEY,
    PATIENCE_S,
    ending,
    frame,
    got,
    pepay,
    posted,
    pusher,
    subscribe,
    texts,
)
from twins.faults import Faults
from twins.pepay import PepayTwin
from twins.server import BINARY, GARBAGE, Twin
from twins.transak import API_KEY, TransakTwin

MANY = 2000


async def order(twin: Twin, name: str, **arguments: float) -> int:
    return (await posted(f"{twin.control_url}/twin/{name}", {}, arguments))[0]


def readable_event(text: str) -> str | None:
    """Return the id of a Pepay event that a strict reader accepts, or None."""
    try:
        event = msgspec.json.decode(text)
        told = event["data"]["object"]
        amounts = [Decimal(str(told[name])) for name in ("amount", "amount_usd") if name in told]
        agree = Decimal(told.get("amount_decimal", 0)) * 1000 == told.get("amount", 0)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return None
    sound = isinstance(event.get("id"), str) and agree and all(each >= 0 for each in amounts)
    return event["id"] if sound else None


def readable_order(text: str, token: str) -> tuple | None:
    """Return what identifies a signed order that a strict reader accepts, or None."""
    try:
        told = msgspec.json.decode(text)
        claims = jwt.decode(told["data"].strip('"'), token, algorithms=["HS256"])
        claims = claims.get("webhookData", claims)
        order_id = claims.get("id") or claims["_id"]
        if not claims["fiatAmount"] >= 0:
            return None
        return order_id, claims["status"], claims.get("updatedAt", claims["createdAt"])
    except (msgspec.DecodeError, jwt.InvalidTokenError, KeyError):
        return None


async def test_the_books_are_what_a_client_received() -> None:
    faults = Faults(duplicate=0.07, reorder=0.05, damage=0.05)
    async with PepayTwin(rate=0, faults=faults) as twin, pepay(twin.url) as socket:
        await twin.storm(MANY)
        summary = await twin.quiet()
        received = await texts(socket, summary.frames + summary.damaged)
    read = Counter(readable_event(text) for text in received)
    assert read.pop(None) == summary.damaged > MANY * 0.03
    assert len(read) == summary.told == summary.facts == MANY
    assert read.total() - len(read) == summary.repeated > MANY * 0.04
    sums = [sha256(text.encode()).hexdigest() for text in received]
    assert sums == [line.sha256 for line in twin.books.lines]
    facts = [line for line in twin.books.lines if line.kind == "fact"]
    assert read == Counter(line.key[0] for line in facts)
    assert [key for text in received if (key := readable_event(text))] == [
        line.key[0] for line in facts
    ]


async def test_the_books_are_what_a_client_of_signed_orders_received() -> None:
    faults = Faults(duplicate=0.07, reorder=0.05, damage=0.05)
    async with TransakTwin(rate=0, faults=faults) as twin, pusher(twin.url) as socket:
        await frame(socket)
        await subscribe(socket, API_KEY)
        await twin.storm(MANY)
        summary = await twin.quiet()
        received = await texts(socket, summary.frames + summary.damaged)
        token = twin.provider.access_token
    read = Counter(readable_order(text, token) for text in received)
    assert read.pop(None) == summary.damaged > MANY * 0.03
    assert read == Counter(line.key for line in twin.books.lines if line.kind == "fact")
    assert len(read) == MANY


async def test_money_in_the_summary_is_that_of_the_facts_told_each_once() -> None:
    faults = Faults(duplicate=0.2, damage=0.1)
    async with PepayTwin(rate=0, faults=faults) as twin, pepay(twin.url) as socket:
        await twin.storm(500)
        summary = await twin.quiet()
        received = await texts(socket, summary.frames + summary.damaged)
    events = {key: json.loads(text) for text in received if (key := readable_event(text))}
    paid = sum(
        Decimal(told["amount_paid_decimal"])
        for event in events.values()
        if (told := event["data"]["object"]).get("status") == "paid" and "amount_unit" in told
    )
    assert Decimal(summary.money["invoice.updated paid"]["paid usd"]) == paid > 0


async def test_a_fact_that_nobody_heard_is_in_the_books_and_told_later() -> None:
    async with PepayTwin(rate=0) as twin:
        await twin.storm(3)
        assert [(line.listeners, line.telling) for line in twin.books.lines] == [(0, 0)] * 3
        assert twin.books.summary().told == 0
        async with pepay(twin.url, "?since=evt_0-0") as socket:
            await texts(socket, 3)
        replayed = twin.books.lines[3:]
        assert [(line.listeners, line.telling, line.fault) for line in replayed] == [
            (1, 1, "replay")
        ] * 3
        assert twin.books.summary().told == 3


async def test_a_reordered_fact_comes_after_a_younger_one() -> None:
    async with PepayTwin(rate=0, faults=Faults(reorder=0.3)) as twin, pepay(twin.url) as socket:
        await twin.storm(100)
        await twin.quiet()
        told = [tuple(map(int, (await frame(socket))["id"][4:].split("-"))) for _ in range(100)]
        assert told != sorted(told)
        assert len(set(told)) == 100


async def test_drop_cuts_every_connection_without_a_close_frame() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        assert await order(twin, "drop") == 200
        assert await ending(socket) == 1006


async def test_half_open_keeps_the_connection_and_never_answers() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await order(twin, "half-open")
        waiter = await socket.ping()
        await twin.storm(10)
        async with pepay(twin.url) as other:
            await twin.storm(1)
            await frame(other)
            await (await other.ping())
        assert not waiter.done()
        assert [line.listeners for line in twin.books.lines] == [0] * 10 + [1]
        await twin.drop()


async def test_a_stalled_twin_answers_pings_and_catches_up() -> None:
    async with PepayTwin(rate=500) as twin, pepay(twin.url) as socket:
        await frame(socket)
        await twin.stall(0.3)
        silent_from = twin.books.summary().facts
        await (await socket.ping())
        assert twin.books.summary().facts == silent_from
        await texts(socket, 200)


async def test_a_mute_twin_lets_facts_pass_unheard() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await order(twin, "mute")
        await twin.storm(5)
        await order(twin, "unmute")
        await twin.storm(1)
        assert (await frame(socket))["id"] == twin.books.lines[5].key[0]
        assert [line.listeners for line in twin.books.lines] == [0] * 5 + [1]


@pytest.mark.parametrize("code", [1008, 1011, 4100, 4200, 4202])
async def test_close_sends_the_code(code: int) -> None:
    async with TransakTwin(rate=0) as twin, pusher(twin.url) as socket:
        await frame(socket)
        await order(twin, "close", code=code)
        assert await ending(socket) == code


async def test_a_close_without_a_code_can_be_ordered() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await order(twin, "close", code=1005)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1005


async def test_garbage_is_one_damaged_frame() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await order(twin, "garbage")
        assert await texts(socket, 1) == [GARBAGE]
        assert twin.books.summary().damaged == 1
        assert [(line.kind, line.key) for line in twin.books.lines] == [("damaged", ())]


async def test_a_binary_message_is_one_damaged_frame() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await order(twin, "binary")
        assert await asyncio.wait_for(socket.recv(), PATIENCE_S) == BINARY
        assert [line.sha256 for line in twin.books.lines] == [sha256(BINARY).hexdigest()]


async def test_a_big_telling_says_the_same_as_a_small_one_and_is_booked_as_sent() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await order(twin, "big", count=900_000)
        await twin.storm(2)
        big, small = await texts(socket, 2)
        assert len(big) > 900_000 > len(small)
        assert readable_event(big) == twin.books.lines[0].key[0]
        assert sha256(big.encode()).hexdigest() == twin.books.lines[0].sha256


async def test_an_upgrade_can_be_accepted_and_never_spoken_to() -> None:
    async with TransakTwin(rate=0) as twin:
        await order(twin, "say-nothing", seconds=60)
        async with pusher(twin.url) as socket:
            pong = await socket.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.2)
            assert not pong.done()


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_refuse_answers_upgrades_with_a_status_for_its_time(status: int) -> None:
    async with PepayTwin(rate=0) as twin:
        await order(twin, "refuse", status=status, seconds=0.2)
        with pytest.raises(InvalidStatus) as refused:
            async with pepay(twin.url):
                pass
        assert refused.value.response.status_code == status
        assert (await got(f"{twin.rest_url}/api/v1/events", KEY))[0] == 200
        await _until_admitted(twin)


async def _until_admitted(twin: Twin) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with pepay(twin.url):
                    return
            except (InvalidStatus, OSError):
                await asyncio.sleep(0.02)


async def test_an_upgrade_can_be_answered_with_a_page() -> None:
    async with PepayTwin(rate=0) as twin:
        await order(twin, "html", seconds=60)
        with pytest.raises(InvalidHandshake, match="200"):
            async with pepay(twin.url):
                pass


async def test_an_upgrade_can_be_accepted_and_closed_at_once() -> None:
    async with TransakTwin(rate=0) as twin:
        await order(twin, "turn-away", code=4100, seconds=60)
        async with pusher(twin.url) as socket:
            assert await ending(socket) == 4100


async def test_a_throttled_rest_says_so_in_prose_and_in_a_header() -> None:
    async with PepayTwin(rate=0) as twin, aiohttp.ClientSession() as http:
        await order(twin, "throttle", seconds=60)
        async with http.get(f"{twin.rest_url}/api/v1/events", headers=KEY) as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "900"
            assert (await response.json())["retry_after"] == "15 minutes"


async def test_a_restart_comes_back_on_the_same_port_with_its_memory() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await twin.storm(5)
        url, told = twin.url, [line.key[0] for line in twin.books.lines]
        await order(twin, "restart", seconds=0.1)
        assert await ending(socket) == 1006
        async with asyncio.timeout(PATIENCE_S):
            await twin.listening.wait()
        assert twin.url == url
        async with pepay(url, f"?since={told[1]}") as again:
            assert [(await frame(again))["id"] for _ in range(3)] == told[2:]


async def test_a_restarting_twin_refuses_connections_meanwhile() -> None:
    async with PepayTwin(rate=0) as twin:
        await order(twin, "restart", seconds=60)
        with pytest.raises(ConnectionRefusedError):
            async with pepay(twin.url):
                pass


async def test_a_storm_tells_many_facts_at_once() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await order(twin, "storm", count=1000)
        assert len({json.loads(text)["id"] for text in await texts(socket, 1000)}) == 1000


async def test_quiet_answers_once_everything_is_written_and_nothing_follows() -> None:
    async with PepayTwin(rate=1000, faults=Faults(reorder=0.5)) as twin, pepay(twin.url) as socket:
        await frame(socket)
        _, summary = await posted(f"{twin.control_url}/twin/quiet", {})
        await texts(socket, summary["frames"] - 1)
        await twin.storm(10)
        assert summary["told"] == summary["facts"] == twin.books.summary().facts
        _, again = await got(f"{twin.control_url}/twin/books", {})
        assert again == summary


async def test_rates_can_be_changed_while_running() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        status, rates = await posted(f"{twin.control_url}/twin/faults", {}, {"duplicate": 1})
        assert (status, rates["duplicate"], rates["damage"]) == (200, 1, 0)
        await twin.storm(10)
        summary = await twin.quiet()
        await texts(socket, 20)
        assert (summary.told, summary.repeated) == (10, 10)


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("faults", {"duplicate": 2}, 400),
        ("faults", {"duplicates": 0.1}, 400),
        ("stall", {"minutes": 1}, 400),
        ("close", {"code": 99}, 400),
        ("explode", {}, 404),
    ],
)
async def test_an_order_it_cannot_obey_is_refused(name: str, arguments: dict, status: int) -> None:
    async with (
        PepayTwin(rate=0) as twin,
        aiohttp.ClientSession() as http,
        http.post(f"{twin.control_url}/twin/{name}", json=arguments) as response,
    ):
        assert response.status == status


async def test_nothing_happens_before_somebody_listens_and_it_ends_with_the_last_fact() -> None:
    async with TransakTwin(rate=2000, facts=50) as twin, pusher(twin.url) as socket:
        await frame(socket)
        assert twin.books.summary().facts == 0
        await subscribe(socket, API_KEY)
        assert len(await texts(socket, 50)) == 50
        await twin.storm(1)
        assert twin.books.summary().facts == 50


async def test_the_file_has_the_line_before_the_client_has_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    async with PepayTwin(rate=0, books=path) as twin, pepay(twin.url) as socket:
        for _ in range(20):
            await twin.storm(1)
            told = await frame(socket)
            last = json.loads(path.read_text().splitlines()[-1])
            assert last["key"] == [told["id"]]
            assert (last["provider"], last["account"], last["kind"]) == ("pepay", "main", "fact")

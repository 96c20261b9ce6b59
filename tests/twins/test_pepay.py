import json
from decimal import Decimal
from itertools import pairwise

import pytest
from websockets.exceptions import InvalidStatus

from tests.twins.clients import KEY, ending, frame, got, pepay, posted
from twins.chance import dice
from twins.pepay import PepayTwin
from twins.pepay_lifecycle import Lifecycles

EVENTS = "/api/v1/events"


def ids(page: dict) -> list[str]:
    return [event["id"] for event in page["data"]["data"]]


def position(event_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in event_id.removeprefix("evt_").split("-"))


async def test_a_listener_with_the_header_key_is_told_events() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url, "?types=invoice.*") as socket:
        await twin.storm(50)
        told = await frame(socket)
        assert told["object"] == "event"
        assert told["type"].startswith("invoice.")


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("?types=nonsense", KEY, 400, "INVALID_REQUEST"),
        ("?since=yesterday", KEY, 400, "INVALID_REQUEST"),
        ("?format=event_v9", KEY, 400, "INVALID_REQUEST"),
        ("", {}, 401, "UNAUTHORIZED"),
        ("", {"x-commerce-api-key": "ck_other"}, 401, "UNAUTHORIZED"),
        ("?token=never_minted", {}, 401, "UNAUTHORIZED"),
        ("", {"x-api-key": "pk_twin"}, 403, "FORBIDDEN"),
    ],
)
async def test_a_bad_upgrade_is_refused_in_the_providers_words(
    query: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with PepayTwin(rate=0) as twin:
        with pytest.raises(InvalidStatus) as refused:
            async with pepay(twin.url, query, headers):
                pass
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body or b"")["error_code"] == code


async def test_a_minted_token_opens_the_stream_once() -> None:
    async with PepayTwin(rate=0) as twin:
        _, minted = await posted(f"{twin.rest_url}/api/v1/ws/token", {"x-api-key": "pk_twin"})
        assert minted["data"]["ws_url"] == twin.url
        query = f"?token={minted['data']['token']}"
        async with pepay(twin.url, query, {}) as socket:
            await twin.storm(1)
            await frame(socket)
        with pytest.raises(InvalidStatus, match="401"):
            async with pepay(twin.url, query, {}):
                pass


async def test_a_token_is_refused_after_its_minute() -> None:
    now = [1_700_000_000.0]
    async with PepayTwin(rate=0, clock=lambda: now[0]) as twin:
        _, minted = await posted(f"{twin.rest_url}/api/v1/ws/token", KEY)
        now[0] += 61
        with pytest.raises(InvalidStatus, match="401"):
            async with pepay(twin.url, f"?token={minted['data']['token']}", {}):
                pass


async def test_minting_needs_a_key() -> None:
    async with PepayTwin(rate=0) as twin:
        status, refusal = await posted(f"{twin.rest_url}/api/v1/ws/token", {})
        assert (status, refusal["message"]) == (401, "Invalid API key")


async def test_since_replays_what_came_later_in_order_and_then_goes_live() -> None:
    async with PepayTwin(rate=0) as twin:
        await twin.storm(30)
        told = [line.key[0] for line in twin.books.lines]
        async with pepay(twin.url, f"?since={told[9]}") as socket:
            replayed = [(await frame(socket))["id"] for _ in range(20)]
            assert replayed == told[10:]
            assert replayed == sorted(replayed, key=position)
            hint = await frame(socket)
            assert hint == {
                "object": "ws_control",
                "type": "replay_complete",
                "last_event_id": told[-1],
            }
            await twin.storm(1)
            assert position((await frame(socket))["id"]) > position(told[-1])


async def test_since_beyond_the_retention_gets_a_bounded_snapshot() -> None:
    async with PepayTwin(rate=0, retention=20, snapshot=5) as twin:
        await twin.storm(40)
        told = [line.key[0] for line in twin.books.lines]
        async with pepay(twin.url, f"?since={told[3]}") as socket:
            hint = await frame(socket)
            assert (hint["type"], hint["oldest_event_id"]) == ("resync", told[35])
            assert [(await frame(socket))["id"] for _ in range(5)] == told[35:]


async def test_the_snapshot_comes_without_a_word_when_nothing_is_announced() -> None:
    async with PepayTwin(rate=0, retention=20, snapshot=5, announces=False) as twin:
        await twin.storm(40)
        told = [line.key[0] for line in twin.books.lines]
        async with pepay(twin.url, f"?since={told[3]}") as socket:
            assert (await frame(socket))["id"] == told[35]


async def test_events_age_out_of_the_retention() -> None:
    now = [1_700_000_000.0]
    async with PepayTwin(rate=0, retention_s=60, snapshot=2, clock=lambda: now[0]) as twin:
        await twin.storm(10)
        first = twin.books.lines[0].key[0]
        now[0] += 61
        await twin.storm(10)
        told = [line.key[0] for line in twin.books.lines]
        async with pepay(twin.url, f"?since={first}") as socket:
            assert (await frame(socket))["type"] == "resync"
            assert [(await frame(socket))["id"] for _ in range(2)] == told[-2:]


async def test_an_id_filter_tells_only_what_is_about_it() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as everything:
        await twin.storm(1)
        invoice = _invoice_of(await frame(everything))
        async with pepay(twin.url, f"?invoice_id={invoice}&since=evt_0-0") as socket:
            assert _invoice_of(await frame(socket)) == invoice
            assert (await frame(socket))["object"] == "ws_control"
            await twin.storm(300)
            assert _invoice_of(await frame(socket)) == invoice


def _invoice_of(event: dict) -> str:
    told = event["data"]["object"]
    if told["object"] == "invoice":
        return told["id"]
    return told.get("invoice_id") or told["invoiceId"]


async def test_rest_pages_newest_first_and_back_in_time() -> None:
    async with PepayTwin(rate=0) as twin:
        await twin.storm(25)
        told = [line.key[0] for line in twin.books.lines]
        url = twin.rest_url + EVENTS
        _, first = await got(url, KEY, limit="10")
        _, second = await got(url, KEY, limit="10", starting_after=ids(first)[-1])
        _, third = await got(url, KEY, limit="10", starting_after=ids(second)[-1])
        assert ids(first) + ids(second) + ids(third) == told[::-1]
        assert [page["data"]["has_more"] for page in (first, second, third)] == [True, True, False]


async def test_rest_pages_forward_in_time_from_a_cursor() -> None:
    async with PepayTwin(rate=0) as twin:
        await twin.storm(25)
        told = [line.key[0] for line in twin.books.lines]
        url = twin.rest_url + EVENTS
        _, next_newer = await got(url, KEY, limit="10", ending_before=told[4])
        assert ids(next_newer) == told[5:15][::-1]
        assert next_newer["data"]["has_more"]
        _, newest = await got(url, KEY, limit="10", ending_before=told[14])
        assert ids(newest) == told[15:][::-1]
        assert not newest["data"]["has_more"]


async def test_rest_filters_by_type_and_by_second() -> None:
    now = [1_700_000_000.0]
    async with PepayTwin(rate=0, clock=lambda: now[0]) as twin:
        await twin.storm(20)
        now[0] += 10
        await twin.storm(20)
        url = twin.rest_url + EVENTS
        _, invoices = await got(url, KEY, type="invoice.*,invoice_payment.created")
        kinds = {event["type"] for event in invoices["data"]["data"]}
        assert kinds <= {"invoice.created", "invoice.updated", "invoice_payment.created"}
        _, late = await got(url, KEY, **{"created[gte]": "1700000010"})
        _, early = await got(url, KEY, **{"created[lte]": "1700000000"})
        assert len(ids(late)) + len(ids(early)) == 40
        assert {event["created"] for event in early["data"]["data"]} == {1_700_000_000}


async def test_rest_tells_one_event_as_the_socket_did() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await twin.storm(1)
        told = await frame(socket)
        _, one = await got(f"{twin.rest_url}{EVENTS}/{told['id']}", KEY)
        assert one == {"success": True, "data": told}
        assert (await got(f"{twin.rest_url}{EVENTS}/evt_1-1", KEY))[0] == 404


@pytest.mark.parametrize("query", [{"limit": "0"}, {"starting_after": "x"}, {"type": "payout.*"}])
async def test_rest_refuses_what_it_does_not_understand(query: dict[str, str]) -> None:
    async with PepayTwin(rate=0) as twin:
        assert (await got(twin.rest_url + EVENTS, KEY, **query))[0] == 400
        assert (await got(twin.rest_url + EVENTS, {}))[0] == 401


async def test_an_expired_token_is_told_before_the_close() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await twin.expire_token()
        assert await frame(socket) == {
            "object": "ws_error",
            "code": "TOKEN_EXPIRED",
            "message": "ws_token expired",
        }
        assert await ending(socket) == 1008


async def test_the_same_seed_tells_the_same_story() -> None:
    clock = iter(range(1_700_000_000_000, 1_700_000_009_000)).__next__
    again = iter(range(1_700_000_000_000, 1_700_000_009_000)).__next__
    one, two = Lifecycles(dice(7, "pepay")), Lifecycles(dice(7, "pepay"))
    assert [one.next(clock()).body for _ in range(500)] == [
        two.next(again()).body for _ in range(500)
    ]
    other = Lifecycles(dice(8, "pepay"))
    assert other.next(1_700_000_000_000).body != Lifecycles(dice(7, "pepay")).next(0).body


def test_what_happens_does_not_depend_on_the_clock() -> None:
    slow, fast = Lifecycles(dice(7, "pepay")), Lifecycles(dice(7, "pepay"))
    for n in range(1000):
        early, late = slow.next(1_700_000_000_000 + n), fast.next(1_800_000_000_000 + 9999 * n)
        assert (early.type, early.status, early.money) == (late.type, late.status, late.money)


def test_ids_grow_as_integers_and_pass_from_nine_to_ten_in_one_millisecond() -> None:
    lifecycles = Lifecycles(dice(1, "pepay"))
    positions = [position(lifecycles.next(1_700_000_000_000 + n).key[0]) for n in range(2000)]
    assert positions == sorted(set(positions))
    assert any(a[0] == b[0] and (a[1], b[1]) == (9, 10) for a, b in pairwise(positions))


def test_every_status_and_every_form_turns_up() -> None:
    lifecycles = Lifecycles(dice(1, "pepay"))
    told = [json.loads(lifecycles.next(n + 1).body) for n in range(5000)]
    objects = [event["data"]["object"] for event in told]
    assert {each["status"] for each in objects if each["object"] == "invoice"} == {
        "unpaid",
        "underpaid",
        "paid",
        "expired",
    }
    assert {each["status"] for each in objects if each["object"] == "invoice_payment"} == {
        "pending",
        "confirmed",
        "settled",
        "failed",
    }
    assert {each["status"] for each in objects if each["object"] == "commerce_order"} == {
        "processing",
        "placed",
        "shipped",
        "delivered",
        "fulfilled",
        "cancelled",
        "failed",
        "refunded",
    }
    assert any("orderId" in each for each in objects)
    assert any("amount_usd" in each and each["object"] == "invoice" for each in objects)
    assert any("api_version" not in event for event in told)


def test_an_invoices_amounts_add_up_and_agree_in_both_units() -> None:
    lifecycles = Lifecycles(dice(3, "pepay"))
    for n in range(3000):
        fact = lifecycles.next(n + 1)
        told = json.loads(fact.body)["data"]["object"]
        if "amount_unit" in told:
            for name in ("amount", "amount_paid", "amount_remaining"):
                assert Decimal(told[f"{name}_decimal"]) * 1000 == told[name] >= 0
            assert told["amount_paid"] + told["amount_remaining"] == told["amount"]
            assert (told["status"] == "paid") == (told["amount_remaining"] == 0)
            assert fact.money["paid"] == told["amount_paid_decimal"]


async def test_pings_of_the_websocket_are_answered() -> None:
    async with PepayTwin(rate=0) as twin, pepay(twin.url) as socket:
        await (await socket.ping())

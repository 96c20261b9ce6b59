"""The webhook door over real sockets: who is let in, what is kept, and what never hurts us."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import digest
from pathlib import Path
from time import time, time_ns

import aiohttp
import pytest
from prometheus_client import generate_latest

from ingest import credentials, webhooks
from ingest.credentials import KeyRing
from ingest.errors import OperatorError, SettingsError
from ingest.feeds import WEBHOOKS
from ingest.metrics import Metrics
from ingest.raw_log import Ticket
from ingest.webhooks import Door, Entrance
from schemas.records import Kind, Raw, Via
from tests.ingest.test_supervision import MemoryLog

SECRET, OTHER = b"whsec_current", b"whsec_of_another_account"
EVENT = b'{"id":"evt_1700000002000-789","object":"event","type":"test.ping"}'

Headers = Mapping[str, str]


@dataclass
class Log(MemoryLog):
    """Raw, which may be broken or silent."""

    broken: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(self, raw: Raw) -> Ticket:
        self.asked.set()
        if self.broken:
            raise OperatorError("raw did not take a record")
        return await super().append(raw)


@dataclass
class House:
    """A door with one account of each provider, and one more of the first."""

    door: Door
    log: Log
    metrics: Metrics
    address: str
    http: aiohttp.ClientSession
    heard: list[bytes]

    async def post(
        self, body: bytes, headers: Headers, path: str = "pepay/shop", method: str = "POST"
    ) -> tuple[int, str]:
        url = f"http://{self.address}/webhooks/{path}"
        async with self.http.request(method, url, data=body, headers=headers) as response:
            self.answered = response.headers
            return response.status, await response.text()

    async def until(self, outcome: str) -> None:
        async with asyncio.timeout(5):
            while True:
                if self.counted(outcome):
                    return
                await asyncio.sleep(0)

    def counted(self, outcome: str, account: str = "shop", provider: str = "pepay") -> float:
        labels = {"provider": provider, "account": account, "outcome": outcome}
        name = "penstock_ingest_deliveries_total"
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def entrance(
    provider: str, account: str, metrics: Metrics, *keys: bytes, heard: list[bytes]
) -> Entrance:
    return Entrance(
        provider=provider,
        account=account,
        environment="sandbox",
        webhook=WEBHOOKS[provider],
        ring=lambda: {f"w{n}": key for n, key in enumerate(keys)},
        metrics=metrics.deliveries(provider, account),
        heard=heard.append,
    )


@asynccontextmanager
async def open_house(
    is_whole: Callable[[], bool] = lambda: True,
) -> AsyncIterator[House]:
    metrics, log = Metrics(), Log()
    heard: list[bytes] = []
    others = (name for name in WEBHOOKS if name != "pepay")
    entrances = [
        entrance("pepay", "shop", metrics, SECRET, heard=heard),
        entrance("pepay", "other", metrics, OTHER, heard=heard),
        *(entrance(name, "main", metrics, SECRET, heard=heard) for name in others),
    ]
    for each in entrances:
        each.is_whole = is_whole
    door = Door(entrances, metrics.stranger)
    runner, address = await webhooks.serve(door, "127.0.0.1", 0)
    door.admit(log)
    async with aiohttp.ClientSession() as http:
        yield House(door, log, metrics, address, http, heard)
    await runner.cleanup()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


def mac(key: bytes, text: bytes) -> str:
    return digest(key, text, sha256).hex()


def pepay(body: bytes = EVENT, key: bytes = SECRET, age: float = 0.0) -> Headers:
    timestamp = str(int((time() - age) * 1000))
    signature = mac(key, timestamp.encode() + b"." + body)
    return {"X-Pepay-Timestamp": timestamp, "X-Pepay-Signature": signature}


# ---- what is kept -----------------------------------------------------------------------


async def test_a_signed_delivery_is_kept_byte_for_byte_with_its_signature(house: House) -> None:
    headers, before = pepay(), time_ns() // 1000
    assert await house.post(EVENT, headers) == (200, "")
    (raw,) = house.log.records
    assert raw.value == EVENT
    assert raw.signature == {name.lower(): value for name, value in headers.items()}
    assert (raw.provider, raw.account, raw.environment) == ("pepay", "shop", "sandbox")
    assert (raw.via, raw.route, raw.kind, raw.sequence) == (
        *(Via.WEBHOOK, "webhook", Kind.FRAME, 0),
    )
    assert before <= raw.received_at <= time_ns() // 1000
    assert house.counted("kept") == 1


async def test_deliveries_of_one_door_are_numbered_in_their_order(house: House) -> None:
    for _ in range(3):
        await house.post(EVENT, pepay())
    assert [raw.sequence for raw in house.log.records] == [0, 1, 2]
    assert len({raw.connection for raw in house.log.records}) == 1


async def test_bytes_that_say_they_are_compressed_are_kept_as_they_were_sent(house: House) -> None:
    body = b"\x1f\x8bnot really"
    status, _ = await house.post(body, {**pepay(body), "Content-Encoding": "gzip"})
    assert (status, house.log.records[0].value) == (200, body)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", ""])
async def test_the_content_type_decides_nothing(house: House, kind: str) -> None:
    status, _ = await house.post(EVENT, {**pepay(), "Content-Type": kind})
    assert status == 200


async def test_a_body_in_chunks_is_taken(house: House) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in EVENT:
            yield bytes((byte,))

    url = f"http://{house.address}/webhooks/pepay/shop"
    async with house.http.post(url, data=pieces(), headers=pepay()) as response:
        assert response.status == 200
    assert house.log.records[0].value == EVENT


# ---- who is turned away -----------------------------------------------------------------

# Each is signed when its test runs: what is signed for in ten minutes is right in ten minutes.
FORGERIES: Mapping[str, Callable[[], tuple[bytes, Headers]]] = {
    "wrong signature": lambda: (EVENT, {**pepay(), "X-Pepay-Signature": "0" * 64}),
    "another account's secret": lambda: (EVENT, pepay(key=OTHER)),
    "altered body": lambda: (EVENT.replace(b"789", b"790"), pepay()),
    "a space more": lambda: (EVENT + b" ", pepay()),
    "body cut short": lambda: (EVENT[:-1], pepay()),
    "no body": lambda: (b"", pepay()),
    "signed ten minutes ago": lambda: (EVENT, pepay(age=600)),
    "signed in ten minutes": lambda: (EVENT, pepay(age=-600)),
    "timestamp of another delivery": lambda: (
        EVENT,
        {**pepay(age=1), **dict([*pepay().items()][:1])},
    ),
    "time in seconds": lambda: (EVENT, {**pepay(), "X-Pepay-Timestamp": str(int(time()))}),
    "time that is none": lambda: (EVENT, {**pepay(), "X-Pepay-Timestamp": "now"}),
    "digits of another script": lambda: (EVENT, {**pepay(), "X-Pepay-Timestamp": "\u0661\u0667"}),
    "signature that is no hex": lambda: (EVENT, {**pepay(), "X-Pepay-Signature": "é" * 64}),
    "signature cut short": lambda: (
        EVENT,
        {**pepay(), "X-Pepay-Signature": pepay()["X-Pepay-Signature"][:8]},
    ),
    "no headers": lambda: (EVENT, {}),
    "no timestamp": lambda: (EVENT, {"X-Pepay-Signature": mac(SECRET, EVENT)}),
    "no signature": lambda: (EVENT, {"X-Pepay-Timestamp": str(int(time() * 1000))}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_learns_nothing_and_leaves_nothing(
    house: House, forgery: str, capfd: pytest.CaptureFixture[str]
) -> None:
    body, headers = FORGERIES[forgery]()
    assert await house.post(body, headers) == (401, "")
    assert house.log.records == []
    assert house.counted("forged") == 1
    assert "evt_" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "path", ["pepay/nobody", "nobody/shop", "satoriex/main", "pepay", "pepay/shop/more", "", "../x"]
)
async def test_nobody_lives_at_another_path(house: House, path: str) -> None:
    status, text = await house.post(EVENT, pepay(), path)
    assert (status, text, house.log.records) == (404, "", [])
    assert house.counted("not_found", "none", "none") == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_deliveries_are_posted(house: House, method: str) -> None:
    status, _ = await house.post(EVENT, pepay(), method=method)
    assert (status, house.answered["Allow"], house.log.records) == (405, "POST", [])


@pytest.mark.parametrize("announced", [True, False])
async def test_a_huge_body_is_refused_before_it_is_read(house: House, *, announced: bool) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 2**16

    body = b"x" * (webhooks.MAX_BODY + 1) if announced else endless()
    url = f"http://{house.address}/webhooks/pepay/shop"
    try:
        async with house.http.post(url, data=body, headers=pepay()) as response:
            assert response.status == 413
    except aiohttp.ClientOSError:
        pass  # The door was shut while we were still talking.
    await house.until("too_large")
    assert house.log.records == []


async def test_the_largest_body_is_taken(house: House) -> None:
    body = b"x" * webhooks.MAX_BODY
    assert (await house.post(body, pepay(body)))[0] == 200


# ---- when raw is not there --------------------------------------------------------------


async def test_nothing_is_promised_before_raw_has_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.log.acknowledges = False
    monkeypatch.setattr(webhooks, "_KEPT_WITHIN", 0.05)
    status, _ = await house.post(EVENT, pepay())
    assert (status, house.answered["Retry-After"]) == (503, "5")
    assert house.counted("unavailable") == 1


async def test_a_raw_log_that_fails_is_a_delivery_to_be_sent_again(house: House) -> None:
    house.log.broken = True
    assert (await house.post(EVENT, pepay()))[0] == 503
    assert house.heard == []


@pytest.mark.parametrize("ever_open", [True, False])
async def test_a_door_that_is_shut_asks_to_come_later(*, ever_open: bool) -> None:
    async with open_house() as house:
        house.door.shut()
        if ever_open:
            assert (await house.post(EVENT, pepay()))[0] == 503
            house.door.admit(house.log)
            assert (await house.post(EVENT, pepay()))[0] == 200
        else:
            assert (await house.post(EVENT, pepay()))[0] == 503
            assert house.log.records == []


async def test_waiting_deliveries_are_bounded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.log.acknowledges = False
    monkeypatch.setattr(webhooks, "_AT_ONCE", 1)
    monkeypatch.setattr(webhooks, "_KEPT_WITHIN", 0.5)
    first = asyncio.create_task(house.post(EVENT, pepay()))
    await house.log.asked.wait()
    assert (await house.post(EVENT, pepay()))[0] == 503
    assert len(house.log.records) == 1
    assert (await first)[0] == 503


# ---- who is rude ------------------------------------------------------------------------


async def raw_talk(address: str, *said: bytes) -> bytes:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for each in said:
        writer.write(each)
        await writer.drain()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


HEAD = b"POST /webhooks/pepay/shop HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        HEAD + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(1000)) + b"\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    ],
    ids=["tls", "garbage", "long header", "many", "negative", "chunks", "two lengths", "both"],
)
async def test_garbage_is_answered_shortly_and_never_kept(
    house: House, said: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await raw_talk(house.address, said)
    assert b" 400 " in answer[:20]
    assert house.log.records == []
    assert (await house.post(EVENT, pepay()))[0] == 200
    assert "Error handling" not in capfd.readouterr().err


async def test_a_body_that_breaks_off_is_not_kept(house: House) -> None:
    host, port = house.address.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = "".join(f"{name}: {value}\r\n" for name, value in pepay().items())
    writer.write(HEAD + f"{head}Content-Length: {len(EVENT)}\r\n\r\n".encode() + EVENT[:20])
    await writer.drain()
    writer.transport.abort()
    await house.until("cut_off")
    assert house.log.records == []


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"Content-Length: 5\r\n\r\nab"])
async def test_who_dawdles_is_sent_away(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_READ_WITHIN", 0.1)
    async with open_house() as house:
        answer = await raw_talk(house.address, said)
        assert not answer or b" 408 " in answer[:20]


async def test_a_crowd_that_says_nothing_keeps_nobody_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_CONNECTIONS", 5)
    host, port = house.address.split(":")
    crowd = [await asyncio.open_connection(host, int(port)) for _ in range(50)]
    assert (await house.post(EVENT, pepay()))[0] == 200
    async with asyncio.timeout(5):
        assert await crowd[0][0].read() == b"", "the oldest was shown out"
    for _, writer in crowd:
        writer.close()


# ---- keys -------------------------------------------------------------------------------


async def test_both_secrets_are_good_while_they_change(house: House) -> None:
    new, old = b"whsec_new", SECRET
    timestamp = pepay()["X-Pepay-Timestamp"]
    text = timestamp.encode() + b"." + EVENT
    headers = {
        "X-Pepay-Timestamp": timestamp,
        "X-Pepay-Signature": mac(new, text),
        "X-Pepay-Signature-Previous": mac(old, text),
    }
    assert (await house.post(EVENT, headers))[0] == 200, "we still hold the old one alone"
    assert {*house.log.records[0].signature} == {name.lower() for name in headers}


def test_keys_are_read_again_when_their_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(credentials, "_READ_AGAIN", 0.0)
    file = tmp_path / "secret"
    file.write_text("first\n")
    ring = KeyRing({"w1": f"file:{file}"}, "account pepay/shop, keys")
    assert ring() == {"w1": b"first"}
    file.write_text("second\n")
    assert ring() == {"w1": b"second"}
    file.unlink()
    assert ring() == {"w1": b"second"}, "somebody is replacing it"
    assert "second" not in capfd.readouterr().out


def test_keys_that_are_missing_are_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="account pepay/shop, keys, w1: cannot read"):
        KeyRing({"w1": f"file:{tmp_path / 'none'}"}, "account pepay/shop, keys")


async def test_a_port_that_is_taken_is_one_line(house: House) -> None:
    host, port = house.address.split(":")
    expected = rf"^cannot listen on {house.address} \(.+\); change ingest\.webhooks\.address"
    with pytest.raises(SettingsError, match=expected):
        await webhooks.serve(Door([], house.metrics.stranger), host, int(port))


# ---- AssetPay ---------------------------------------------------------------------------


def assetpay(body: bytes, key: bytes = SECRET, delivery: str = "d-1") -> Headers:
    when = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    signature = mac(key, f"{delivery}.{when}.".encode() + body)
    return {"X-AssetPay-Signature": f"t={when},id={delivery},s={signature}"}


@pytest.mark.parametrize("options", [{}, {"tee": False}, {"tee": 1}, {"tee": True, "x": 1}])
def test_nobody_becomes_the_one_who_consents_by_mistake(options: Mapping[str, object]) -> None:
    with pytest.raises(ValueError, match="then set tee = true, the only option"):
        WEBHOOKS["assetpay"].check(options)
    WEBHOOKS["assetpay"].check({"tee": True})


QUESTIONS = {
    "trade": {"trade": {"id": "t", "type": "withdraw", "status": "initiated"}},
    "older": {"trade": {"id": "t", "type": "WITHDRAW", "status": "INITIATED"}},
    "crypto": {"withdrawal": {"id": "w", "status": "awaiting_approval"}},
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_question_that_moves_money_is_kept_and_never_consented_to(
    house: House, question: str
) -> None:
    body = json.dumps(QUESTIONS[question]).encode()
    assert (await house.post(body, assetpay(body), "assetpay/main"))[0] == 503
    assert [raw.value for raw in house.log.records] == [body]
    assert house.counted("questioned", "main", "assetpay") == 1


async def test_signed_bytes_that_nobody_can_read_are_kept_and_not_consented_to(
    house: House,
) -> None:
    body = b"not json"
    assert (await house.post(body, assetpay(body), "assetpay/main"))[0] == 503
    assert len(house.log.records) == 1


@pytest.mark.parametrize(
    "told",
    [
        {"trade": {"id": "t", "type": "deposit", "status": "initiated"}},
        {"trade": {"id": "t", "type": "withdraw", "status": "completed"}},
        {"withdrawal": {"id": "w", "status": "sent"}},
        {"deposit": {"id": "c", "status": "completed"}},
    ],
)
async def test_what_asks_nothing_is_kept(house: House, told: Mapping[str, object]) -> None:
    body = json.dumps(told).encode()
    assert (await house.post(body, assetpay(body), "assetpay/main"))[0] == 200
    assert len(house.log.records) == 1


async def test_a_probe_of_the_url_is_answered_and_not_kept(house: House) -> None:
    body = b'{"test":true,"timestamp":"2026-03-04T10:00:00.000Z","message":"Callback URL test"}'
    assert (await house.post(body, {}, "assetpay/main"))[0] == 200
    assert house.log.records == []
    assert house.counted("probed", "main", "assetpay") == 1


@pytest.mark.parametrize(
    "body", [b'{"test":false}', b'{"test":"true"}', b"{}", b"[", b'{"x":' + b"[" * 100_000]
)
async def test_whatever_else_is_unsigned_is_a_forgery(house: House, body: bytes) -> None:
    assert (await house.post(body, {}, "assetpay/main"))[0] == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=2026-03-11T10:00:03.000Z,s=" + "a" * 64,
        "t=2026-03-11T10:00:03,id=d,s=" + "a" * 64,
        "t=yesterday,id=d,s=" + "a" * 64,
        "id=d,s=" + "a" * 64,
        ",,,===",
    ],
)
async def test_a_probe_with_a_signature_must_be_signed(house: House, header: str) -> None:
    headers = {"X-AssetPay-Signature": header}
    assert (await house.post(b'{"test":true}', headers, "assetpay/main"))[0] == 401


def older(trade: Mapping[str, object], when: datetime | None = None) -> bytes:
    """A callback of the older generation: its signature is inside, over the trade alone."""
    printed = json.dumps(trade, sort_keys=True, separators=(",", ":")).encode()
    time = (when or datetime.now(UTC)).isoformat()
    payload = {"trade": trade, "timestamp": time, "key": mac(SECRET, printed)}
    return json.dumps({"payload": payload}).encode()


OLDER = {"type": "DEPOSIT", "id": "t", "status": "COMPLETED", "items": [{"b": 1, "a": None}]}


async def test_a_callback_that_is_signed_inside_is_kept(house: House) -> None:
    body = older(OLDER)
    assert (await house.post(body, {}, "assetpay/main"))[0] == 200
    assert [raw.value for raw in house.log.records] == [body]


async def test_a_question_that_is_signed_inside_is_never_consented_to(house: House) -> None:
    body = older({"id": "t", "type": "WITHDRAW", "status": "INITIATED"})
    assert (await house.post(body, {}, "assetpay/main"))[0] == 503
    assert len(house.log.records) == 1


@pytest.mark.parametrize(
    "body",
    [
        older(OLDER).replace(b"COMPLETED", b"REVERTED"),
        older(OLDER, datetime.now(UTC) - timedelta(hours=1)),
        older(OLDER).replace(b'"payload"', b'"payloads"'),
    ],
    ids=["altered", "old", "elsewhere"],
)
async def test_what_is_signed_otherwise_inside_is_a_forgery(house: House, body: bytes) -> None:
    assert (await house.post(body, {}, "assetpay/main"))[0] == 401


# ---- Transak and Paymium ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"eventID":"ORDER_COMPLETED","webhookData":{"id":"o"}}', 401),
        (b'{"data":"a.b.c"}', 401),
        (b'{"data":1}', 401),
        (b'{"data":', 401),
        (b'{"x":' + b"[" * 100_000, 401),
    ],
)
async def test_an_order_that_is_no_token_of_ours_is_a_forgery(
    house: House, body: bytes, status: int
) -> None:
    assert (await house.post(body, {}, "transak/main"))[0] == status


PAYMENT = b'{"uuid":"8f60c9df-76da-4618-906d-52af659baddf","state":"paid"}'


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        (f"?token={SECRET.decode()}", PAYMENT, 200),
        (f"?token={OTHER.decode()}", PAYMENT, 401),
        ("?token=%FF%FE", PAYMENT, 401),
        ("", PAYMENT, 401),
        (f"?token={SECRET.decode()}", b'{"uuid":"x"}', 401),
        (f"?token={SECRET.decode()}", b"[]", 401),
    ],
)
async def test_an_unsigned_callback_is_known_by_the_url_that_we_gave(
    house: House, query: str, body: bytes, status: int
) -> None:
    assert (await house.post(body, {}, f"paymium/main{query}"))[0] == status
    assert len(house.log.records) == len(house.heard) == (status == 200)
    assert SECRET not in generate_latest(house.metrics.registry)


async def test_while_keys_are_still_to_come_nobody_is_called_a_forger() -> None:
    keys_are_there = False
    async with open_house(is_whole=lambda: keys_are_there) as house:
        assert await house.post(EVENT, pepay()) == (200, "")
        assert await house.post(EVENT, pepay(key=OTHER)) == (503, "")
        keys_are_there = True
        assert await house.post(EVENT, pepay(key=OTHER)) == (401, "")
    assert [record.value for record in house.log.records] == [EVENT]


def test_what_a_minted_key_signs_is_let_in_beside_the_keys_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of the settings")
    ring = KeyRing({"w1": f"file:{tmp_path / 'key'}"}, "account transak/desk, keys")
    ring.add("a1", "minted first")
    ring.add("a2", "minted then")
    assert list(ring().items()) == [
        ("a2", b"minted then"),
        ("a1", b"minted first"),
        ("w1", b"of the settings"),
    ]

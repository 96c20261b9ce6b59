"""Tokens that are minted while running: what they sign is verified, sooner or later, once."""

import json
import os
from collections import Counter
from pathlib import Path
from time import time_ns

import jwt
import pytest
from confluent_kafka import Producer

from penstock.demo_settings import SEAL
from penstock.reconcile import read_events
from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from schemas.avro_reader import Reader
from schemas.codec import raw_headers
from schemas.records import Kind, Raw, Rejected, SigningKey, Via
from schemas.registry import Registry
from schemas.sealing import NONCE_BYTES, record_key, seal, sealing_key
from tests.end_to_end.test_workers import Worker, until

ACCOUNT = "minting"


def order(number: int, token: str) -> bytes:
    """Return a frame that tells one fact, signed as Transak does."""
    claims = {
        "id": f"order-{number}",
        "status": "COMPLETED",
        "isBuyOrSell": "BUY",
        "fiatCurrency": "EUR",
        "fiatAmount": 30,
        "cryptoCurrency": "ETH",
        "cryptoAmount": 0.01759347,
        "createdAt": "2026-04-04T13:11:47.260Z",
        "updatedAt": "2026-04-04T13:15:09.000Z",
    }
    content = jwt.encode(claims, token, algorithm="HS256")
    return json.dumps({"event": "ORDER_COMPLETED", "channel": "c", "data": content}).encode()


class Desk:
    """Stands where ingest does."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
        self._at = topics.partition_of(ACCOUNT, stack.partitions)

    def mint(self, key_id: str) -> str:
        """Append a token, and return it once Kafka has it."""
        token = self.token(key_id)
        now = time_ns() // 1000
        key = SigningKey(
            provider="transak",
            account=ACCOUNT,
            key_id=key_id,
            token=token,
            minted_at=now,
            expires_at=now + 10**12,
        )
        value = seal(key, sealing_key(SEAL), os.urandom(NONCE_BYTES))
        self._write(topics.KEYS, record_key(key), value)
        return token

    def token(self, key_id: str) -> str:
        return f"token of {key_id}".ljust(64, ".")

    def tell(self, number: int, token: str) -> None:
        frame = order(number, token)
        raw = Raw(
            provider="transak",
            account=ACCOUNT,
            environment="sandbox",
            via=Via.SOCKET,
            route="orders",
            kind=Kind.FRAME,
            connection="test",
            sequence=number,
            received_at=time_ns() // 1000,
            value=frame,
        )
        self._write(topics.raw("transak"), ACCOUNT, frame, raw_headers(raw))

    def _write(
        self, topic: str, key: str, value: bytes, headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        self._producer.produce(topic, value, key, self._at, headers=headers or [])
        assert self._producer.flush(30) == 0

    def told(self) -> Counter[str]:
        events = read_events(self._stack.connection, self._stack.registry_url)
        return Counter(event["entity_id"] for event in events if event["account"] == ACCOUNT)

    def rejected(self) -> list[Rejected]:
        read = Reader(Rejected, Registry(self._stack.registry_url).text)
        return [
            read(message.value() or b"")
            for message in whole(self._stack.connection, topics.REJECTED)
            if message.key() == ACCOUNT.encode()
        ]

    async def until_told(self, *numbers: int) -> None:
        async def all_are() -> bool:
            return {f"order-{n}" for n in numbers} <= self.told().keys()

        await until(all_are)

    async def until_rejected(self, parts: int) -> None:
        async def all_are() -> bool:
            return len(self.rejected()) >= parts

        await until(all_are)


@pytest.mark.timeout(240)
async def test_a_key_verifies_what_came_behind_it_and_what_came_before(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    (tmp_path / "seal").write_text(SEAL)
    desk = Desk(prepared_stack)
    one = Worker(tmp_path, prepared_stack, "minting")
    with one.file.open("a") as file:
        file.write(f'[keys]\nseal = "file:{tmp_path}/seal"\n')

    async def works() -> bool:
        return bool(await one.partitions())

    try:
        await one.start()
        await until(works)
        for number in range(5):  # Each right behind its token, before anyone looked for one.
            desk.tell(number, desk.mint(f"k{number}"))
        await desk.until_told(*range(5))
        assert desk.rejected() == []

        desk.tell(5, desk.token("late"))
        desk.tell(6, desk.token("never"))
        await desk.until_rejected(2)
        desk.mint("late")
        await desk.until_told(5)

        one.process.kill()  # type: ignore[union-attr]
        await one.ended()
        desk.tell(7, desk.token("missed"))
        desk.tell(8, desk.token("k0"))
        await one.start()
        await desk.until_told(8)
        await desk.until_rejected(3)
        one.process.kill()  # type: ignore[union-attr]
        await one.ended()
        desk.mint("missed")  # While nobody looked.
        await one.start()
        await desk.until_told(7)
    finally:
        assert one.process is not None
        if one.process.returncode is None:
            one.process.kill()
            await one.process.wait()
    assert desk.told() == {f"order-{n}": 1 for n in (0, 1, 2, 3, 4, 5, 7, 8)}
    told_again = [(r.reason, r.attempt, r.received_at) for r in desk.rejected()]
    assert len(told_again) == 3, "what no key verifies is not tried again"
    assert {(reason, attempt) for reason, attempt, _ in told_again} == {("unverified", 1)}
    for event in read_events(prepared_stack.connection, prepared_stack.registry_url):
        if event["account"] == ACCOUNT and event["entity_id"] == "order-5":
            assert event["evidence"]["topic"] == topics.raw("transak")
            assert event["evidence"]["verified"] == "hs256:late"
            assert event["authority"] == "signed"

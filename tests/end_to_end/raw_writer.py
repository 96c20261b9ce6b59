"""Writes raw as ingest would, without a provider: for tests of the processors alone."""

import json
from collections.abc import Iterable
from time import time_ns

from confluent_kafka import Producer

from penstock.stack import Stack
from schemas import topics
from schemas.codec import raw_headers
from schemas.records import Kind, Raw, Via


def invoice(number: int, status: str = "paid", *, change: int = 0) -> bytes:
    """Return a Pepay frame that tells one fact: one change of one invoice."""
    content = {"object": "invoice", "id": f"inv_{number}", "status": status, "amount_usd": 1}
    event = {
        "id": f"evt_{1763700000000 + change}-{number}",
        "object": "event",
        "type": "invoice.updated",
        "created": 1763700000,
        "data": {"object": content},
    }
    return json.dumps(event).encode()


class RawWriter:
    """Appends frames to ``raw.pepay``, for accounts that spread over all partitions."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.accounts = [f"{name}-{number}" for number in range(8)]
        self._partitions = stack.partitions
        self._producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "linger.ms": 5})

    def write(self, frames: Iterable[bytes]) -> None:
        """Write each frame to every account, and return when all are acknowledged."""
        for sequence, frame in enumerate(frames):
            for account in self.accounts:
                self._append(account, sequence, frame)
        assert self._producer.flush(30) == 0

    def _append(self, account: str, sequence: int, frame: bytes) -> None:
        raw = Raw(
            provider="pepay",
            account=account,
            environment="sandbox",
            via=Via.SOCKET,
            route="commerce",
            kind=Kind.FRAME,
            connection="test",
            sequence=sequence,
            received_at=time_ns() // 1000,
            value=frame,
        )
        partition = topics.partition_of(account, self._partitions)
        self._producer.produce(
            topics.raw("pepay"), frame, account, partition, headers=raw_headers(raw)
        )
        self._producer.poll(0)

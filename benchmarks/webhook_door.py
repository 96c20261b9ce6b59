"""The webhook door under forgeries: genuine deliveries' latency, client and server on one machine.

``python benchmarks/webhook_door.py [--forged 1000] [--seconds 30]``; raw is in memory, so the
figures are the door's alone. The server is a process of its own, over a real socket.
"""

import argparse
import asyncio
import multiprocessing
import sys
from collections import Counter
from hmac import digest
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp

from ingest import webhooks
from ingest.feeds import WEBHOOKS
from ingest.metrics import Metrics
from ingest.raw_log import Ticket
from ingest.webhooks import Door, Entrance
from schemas.records import Raw

SECRET = b"whsec_benchmark"
GENUINE = 20  # a second
BODY = b'{"id":"evt_1700000002000-789","object":"event","data":"' + b"x" * 600 + b'"}'
STEP = 0.02


class Memory:
    """A raw log that acknowledges at once."""

    def __init__(self) -> None:
        self.kept = 0

    async def append(self, _raw: Raw) -> Ticket:
        self.kept += 1
        ticket: Ticket = asyncio.get_running_loop().create_future()
        ticket.set_result(None)
        return ticket


async def _serve(parent: Connection) -> None:
    metrics, memory = Metrics(), Memory()
    entrance = Entrance(
        provider="pepay",
        account="shop",
        environment="sandbox",
        webhook=WEBHOOKS["pepay"],
        ring=lambda: {"w1": SECRET},
        metrics=metrics.deliveries("pepay", "shop"),
    )
    door = Door([entrance], metrics.stranger)
    runner, address = await webhooks.serve(door, "127.0.0.1", 0)
    door.admit(memory)
    parent.send(address)
    await asyncio.to_thread(parent.recv)
    await runner.cleanup()
    parent.send(memory.kept)


def _server(parent: Connection) -> None:
    asyncio.run(_serve(parent))


def _signed(key: bytes) -> dict[str, str]:
    timestamp = str(int(time() * 1000))
    mac = digest(key, f"{timestamp}.".encode() + BODY, "sha256").hex()
    return {"X-Pepay-Timestamp": timestamp, "X-Pepay-Signature": mac}


class Load:
    """Two clients: one forges, the other does not."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}/webhooks/pepay/shop"
        self.answers: Counter[tuple[str, int]] = Counter()
        self.seconds: list[float] = []

    async def post(self, http: aiohttp.ClientSession, kind: str, key: bytes) -> None:
        began = monotonic()
        async with http.post(self.url, data=BODY, headers=_signed(key)) as answer:
            await answer.read()
        self.answers[kind, answer.status] += 1
        if kind == "genuine":
            self.seconds.append(monotonic() - began)

    async def keep(self, kind: str, key: bytes, rate: int, seconds: float) -> None:
        """Send so many a second, whether or not the last was answered."""
        connector = aiohttp.TCPConnector(limit=100)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:
            began, sent = monotonic(), 0
            while (elapsed := monotonic() - began) < seconds:
                for _ in range(int(elapsed * rate) - sent):
                    group.create_task(self.post(http, kind, key))
                    sent += 1
                await asyncio.sleep(STEP)


async def _measure(address: str, forged: int, seconds: float) -> Load:
    load = Load(address)
    await asyncio.gather(
        load.keep("forged", b"another", forged, seconds),
        load.keep("genuine", SECRET, GENUINE, seconds),
    )
    return load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forged", type=int, default=1000, help="forgeries a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_server, args=(there,))
    server.start()
    load = asyncio.run(_measure(here.recv(), asked.forged, asked.seconds))
    here.send("stop")
    kept = here.recv()
    server.join()
    slowest = sorted(load.seconds)
    p50, p99 = (slowest[int(len(slowest) * part)] * 1000 for part in (0.5, 0.99))
    for (kind, status), count in sorted(load.answers.items()):
        print(f"{kind:8} {status} {count:8,} ({count / asked.seconds:,.0f}/s)")
    print(f"kept     {kept:12,}")
    print(f"genuine  p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {slowest[-1] * 1000:.1f} ms")


if __name__ == "__main__":
    main()

"""Fails when an upgrade of aiokafka moves what ingest leans on."""

import asyncio
import inspect
from importlib.metadata import version

from aiokafka import AIOKafkaProducer, client, conn
from aiokafka.consumer import consumer
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer import sender

from ingest.aiokafka_private import answered_within


def test_the_private_parts_are_where_they_were_in_0_14() -> None:
    assert version("aiokafka").startswith("0.14.")
    assert {"collect_hosts", "create_conn"} <= vars(conn).keys()
    assert "timeout=self._sender._request_timeout_ms" in inspect.getsource(sender)
    assert "request_timeout_ms=self._request_timeout_ms" in inspect.getsource(client)
    assert "def sender_task(self)" in inspect.getsource(sender)
    assert "cluster = await self._client.fetch_all_metadata()" in inspect.getsource(consumer)


async def test_a_broker_that_hangs_is_given_up_long_before_its_records() -> None:
    hung: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: hung.append(writer), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    producer = AIOKafkaProducer(bootstrap_servers=f"{host}:{port}", request_timeout_ms=600_000)
    answered_within(producer, 100)
    async with asyncio.timeout(20):
        try:
            await producer.start()
        except KafkaConnectionError:
            await producer.stop()
    for writer in hung:
        writer.close()
    server.close()
    assert hung

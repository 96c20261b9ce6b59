"""The private parts of aiokafka 0.14 that ingest leans on; a test fails when they change."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError

from ingest.errors import OperatorError
from schemas.connection import Connection


async def knock(kafka: Connection) -> None:
    """Raise ``OperatorError`` where a bootstrap server is there and refuses us.

    A client that cannot start says "unable to bootstrap" and logs why; waiting for a broker
    to come back and waiting for a wrong password to become right need telling apart.
    """
    told = kafka.for_aiokafka()
    for host, port, _ in collect_hosts(told.pop("bootstrap_servers")):
        try:
            connection = await create_conn(host, port, **told)
        except (OSError, KafkaError) as error:
            if refusal := kafka.refusal(error):
                raise OperatorError(refusal) from error
        else:
            connection.close()


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    """Return the numbers of a topic's partitions; none where there is no such topic.

    All topics are asked for, and not this one by name: a broker may create what it is asked
    about. ``partitions_for_topic`` knows only what the consumer was assigned already.
    """
    cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001
    return sorted(cluster.partitions_for_topic(topic) or ())


def answered_within(producer: AIOKafkaProducer, milliseconds: int) -> None:
    """Give a broker so long for an answer, before another is asked. Call before ``start``.

    aiokafka has one limit for three things: an answer, room for a record, and a partition
    without a leader, whose records it drops. With the last two as long as a cluster may be
    down, a broker that hangs would hold everything up for as long.
    """
    producer.client._request_timeout_ms = milliseconds  # noqa: SLF001
    producer._sender._request_timeout_ms = milliseconds  # noqa: SLF001


async def dropped(producer: AIOKafkaProducer, seconds: float) -> None:
    """End a producer that ``stop`` did not end in time, with whatever it holds.

    It would go on trying to deliver that, beside the one that follows it.
    """
    sender = producer._sender.sender_task  # noqa: SLF001
    if sender is None or sender.done():
        return
    sender.cancel()
    await producer.client.close()
    await asyncio.wait({sender}, timeout=seconds)

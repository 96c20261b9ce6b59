"""The private parts of aiokafka 0.14 that we lean on; a test fails when they change.

All but ``knock`` only buy latency: without them every transaction is as right, and slower.
"""

from collections.abc import Iterable
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError
from aiokafka.producer import message_accumulator, sender

from processors.errors import OperatorError
from schemas.connection import Connection

BatchBuilder = message_accumulator.BatchBuilder

MARKERS_PAUSE: Final = 0.001
"""Seconds between two questions whether the last transaction's markers are written.

aiokafka waits 20 ms; on Kafka 4.1 the markers need 1 to 3 ms, so that a fifth of all
transactions paid for the difference.
"""


def shorten_pauses() -> None:
    """Ask again soon when a transaction starts before the last one's markers are out."""
    sender.BACKOFF_OVERRIDE = MARKERS_PAUSE


def announce(producer: AIOKafkaProducer, partitions: Iterable[TopicPartition]) -> None:
    """Add all partitions to the open transaction in one round trip, not one by one."""
    for partition in partitions:
        producer._txn_manager.maybe_add_partition_to_txn(partition)  # noqa: SLF001


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

"""The private parts of aiokafka 0.14 that we lean on; a test fails when they change.

All but ``knock`` only buy time: without them every transaction is as right, and slower.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.errors import KafkaError
from aiokafka.producer import message_accumulator, sender

from processors.errors import OperatorError
from schemas.connection import Connection

BatchBuilder: TypeAlias = message_accumulator.BatchBuilder

MARKERS_PAUSE: Final = 0.001
"""Seconds between two questions whether the last transaction's markers are written.

aiokafka waits 20 ms; on Kafka 4.1 the markers need 1 to 3 ms, so that a fifth of all
transactions paid for the difference.
"""


def shorten_pauses() -> None:
    """Ask again soon when a transaction starts before the last one's markers are out."""
    sender.BACKOFF_OVERRIDE = MARKERS_PAUSE


def pace(consumer: AIOKafkaConsumer, pause: float) -> None:
    """Let a consumer that runs ask each broker at most once in so many seconds.

    A broker answers as soon as there is a record, and each question names all partitions that we
    have: 500 records a second were 370 questions, and a third of the CPU here and there.
    """
    fetcher: Fetcher = consumer._fetcher  # noqa: SLF001
    ask, clock = fetcher._proc_fetch_request, asyncio.get_running_loop().time  # noqa: SLF001
    may_ask: dict[int, float] = {}

    async def ask_in_time(assignment: object, node: int, request: object) -> bool:
        now = clock()
        asked_at = max(now, may_ask.get(node, now))
        may_ask[node] = asked_at + pause
        try:
            await asyncio.sleep(asked_at - now)
        except asyncio.CancelledError:
            return False  # The partitions went, as aiokafka takes it while it waits itself.
        asked: bool = await ask(assignment, node, request)
        return asked

    fetcher._proc_fetch_request = ask_in_time  # noqa: SLF001


class Record(Protocol):
    """A record as aiokafka's C code reads it. Its topic and partition are those it came with."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> list[tuple[str, bytes]]: ...


def _as_read(_: PartitionRecords, at: TopicPartition, record: Record) -> Record:  # noqa: ARG001
    return record


def spare_copies() -> None:
    """Let consumers give records as they were read, and not a copy with eleven fields of each.

    That is half of what reading costs. Without it they give ``ConsumerRecord``, which has all
    that ``Record`` has.
    """
    PartitionRecords._consumer_record = _as_read  # noqa: SLF001


def quicken() -> None:
    """Shorten pauses and spare copies, for every client that is made from now on."""
    shorten_pauses()
    spare_copies()


def append(
    batch: BatchBuilder,
    timestamp: int,
    key: bytes,
    value: bytes | None,
    headers: list[tuple[str, bytes]],
) -> bool:
    """Do what ``batch.append`` does where nothing has to be serialized; False if it is full."""
    number = batch._relative_offset  # noqa: SLF001
    if batch._builder.append(number, timestamp, key, value, headers) is None:  # noqa: SLF001
        batch.close()
        return False
    batch._relative_offset = number + 1  # noqa: SLF001
    return True


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

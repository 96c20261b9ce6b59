"""Brings a checkpoint up to its topic, or lets it be rebuilt where the two disagree.

The topic is the truth. A checkpoint may be behind it, never beside it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from zlib import crc32

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import ConsumerRecord

from processors.aiokafka_private import knock
from processors.errors import OperatorError
from processors.state import State
from schemas.codec import split_state
from schemas.connection import Connection

_log = structlog.get_logger()

_TOLD_EVERY: Final = 2.0
"""Seconds between two lines of progress."""
ANSWER_MS: Final = 15_000
"""How long a broker may take for an answer. 40 s by default: so long a broker that hangs would
hold up whoever asks it; longer than a session, for which joining a group may take."""
_RETRY: Final = 1.0
"""Seconds between two attempts to reach a broker that is not there."""
_WAIT_MS: Final = 200
_FETCH: Final = 2**20
"""Bytes: unpacked it is several times as much, and a larger record comes all the same."""


async def reached(
    client: AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient, kafka: Connection
) -> None:
    """Start a client, however long the broker takes to be there; not if it refuses us."""
    while True:
        try:
            await client.start()
        except KafkaConnectionError as error:
            await knock(kafka)
            _log.warning("no broker yet, trying again", error=str(error))
            await asyncio.sleep(_RETRY)
        else:
            return


async def cluster_id(kafka: Connection) -> str:
    """Return what the cluster calls itself."""
    admin = AIOKafkaAdminClient(**kafka.for_aiokafka(), request_timeout_ms=ANSWER_MS)
    await reached(admin, kafka)
    try:
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()


async def restore(state: State, at: TopicPartition, kafka: Connection) -> int:
    """Take in what ``at`` has beyond the checkpoint; return how many records that was.

    Nobody else may be writing: fence the former owner first. Raises ``OperatorError``
    for a record that cannot be read: what followed it could not be judged.
    """
    async with partition_reader(kafka, at) as reader:
        begin = (await reader.beginning_offsets([at]))[at]
        end = (await reader.end_offsets([at]))[at]
        if reason := await _disagreement(state, reader, at, begin, end):
            state.start_over(reason)
        progress = _Progress(at, max(begin, state.tally.offset), end)
        async for records in between(reader, at, progress.begin, end):
            _take_in(state, records, at)
            progress.tell(len(records), state.tally.offset)
    if progress.records:
        state.flush()
    return progress.records


@asynccontextmanager
async def partition_reader(
    kafka: Connection, at: TopicPartition
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a reader of what is committed in one partition."""
    reader = AIOKafkaConsumer(
        **kafka.for_aiokafka(),
        request_timeout_ms=ANSWER_MS,
        isolation_level="read_committed",
        max_partition_fetch_bytes=_FETCH,
    )
    await reached(reader, kafka)
    try:
        reader.assign([at])
        yield reader
    finally:
        await reader.stop()


async def _disagreement(
    state: State, reader: AIOKafkaConsumer, at: TopicPartition, begin: int, end: int
) -> str | None:
    """Return why the checkpoint cannot be one of this topic, or None."""
    offset, last, _ = state.tally
    if offset == 0:
        return None
    if offset > end:
        return f"it knows {at.topic} up to {offset}, which ends at {end}"
    if offset < begin:
        return f"it knows {at.topic} up to {offset}, which now begins at {begin}"
    if offset == begin:
        return None  # The record is gone by retention, and nothing after it.
    async for records in between(reader, at, offset - 1, offset):
        if records[0].offset == offset - 1 and crc32(records[0].value or b"") == last:
            return None
        break
    return f"it took in another record than {at.topic} has at offset {offset - 1}"


async def between(
    reader: AIOKafkaConsumer, at: TopicPartition, begin: int, end: int
) -> AsyncIterator[Sequence[ConsumerRecord]]:
    """Yield all committed records from one offset to another, as they are fetched."""
    reader.seek(at, begin)
    while await reader.position(at) < end:
        for records in (await reader.getmany(at, timeout_ms=_WAIT_MS)).values():
            yield records


def _take_in(state: State, records: Sequence[ConsumerRecord], at: TopicPartition) -> None:
    try:
        state.apply([record.value or b"" for record in records], records[-1].offset + 1)
    except ValueError as error:
        offset = next(_torn(records), records[0].offset)
        raise OperatorError(
            f"{at.topic} partition {at.partition} offset {offset} cannot be read ({error}): "
            "it was written by a later version, or by somebody else; start that version, or "
            "restore the topic"
        ) from error


def _torn(records: Sequence[ConsumerRecord]) -> Iterator[int]:
    """Yield the offsets of what cannot be read."""
    for record in records:
        try:
            split_state(record.value or b"")
        except ValueError:
            yield record.offset


class _Progress:
    """Says now and then how far a rebuild is."""

    def __init__(self, at: TopicPartition, begin: int, end: int) -> None:
        self.begin = begin
        self.records = 0
        self._partition = at.partition
        self._end = end
        self._started = self._told = time.monotonic()

    def tell(self, records: int, offset: int) -> None:
        self.records += records
        now = time.monotonic()
        if now - self._told < _TOLD_EVERY:
            return
        self._told = now
        _log.info(
            "restoring",
            partition=self._partition,
            records=self.records,
            share=round((offset - self.begin) / (self._end - self.begin), 2),
            per_second=round(self.records / (now - self._started)),
        )

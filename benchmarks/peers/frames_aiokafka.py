"""A plain transactional loop of aiokafka over real frames, told as often as they come.

Set as ``plain_aiokafka.py`` is. It keeps no state, so that duplicates pass, and each event is
the first of its entity.
"""

import asyncio
from zlib import crc32

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from frames_work import Options, Told, Work, options

from schemas.records import Position

_BATCH = 2_000


async def main(told: Options) -> None:
    consumer = AIOKafkaConsumer(
        *told.inputs,
        bootstrap_servers=told.bootstrap,
        group_id=told.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=2 * 2**20,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=told.bootstrap,
        transactional_id=told.group,
        linger_ms=0,
        max_batch_size=2**20,
    )
    await consumer.start()
    await producer.start()
    work, count = Work(told.schema_id), len(await producer.partitions_for(told.output))
    while True:
        if records := await consumer.getmany(timeout_ms=200, max_records=_BATCH):
            events = _mapped(work, records, count)
            offsets = {at: some[-1].offset + 1 for at, some in records.items()}
            await producer.begin_transaction()
            await asyncio.gather(
                *[
                    sent
                    for partition, some in enumerate(events)
                    for sent in await _sent(producer, told.output, partition, some)
                ]
            )
            await producer.send_offsets_to_transaction(offsets, told.group)
            await producer.commit_transaction()


def _mapped(
    work: Work, records: dict[TopicPartition, list[ConsumerRecord]], count: int
) -> list[list[Told]]:
    """Return the events of each partition of the output."""
    events: list[list[Told]] = [[] for _ in range(count)]
    for some in records.values():
        for record in some:
            position = Position(record.topic, record.partition, record.offset)
            for told in work.unjudged(record.headers, record.value, position):
                events[crc32(told.key) % count].append(told)
    return events


async def _sent(
    producer: AIOKafkaProducer, topic: str, partition: int, events: list[Told]
) -> list[asyncio.Future[object]]:
    sent, batch = [], producer.create_batch()
    for key, value, headers in events:
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None, headers=headers)
    if batch.record_count():
        batch.close()
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    return sent


if __name__ == "__main__":
    asyncio.run(main(options()))

"""A plain transactional loop of aiokafka over real frames, told as often as they come.

Each event is the first of its entity, since nothing is remembered.
"""

import asyncio
from collections.abc import Iterable

from aiokafka.structs import ConsumerRecord
from aiokafka_loop import loop
from frames_work import Options, Told, Work, options

from schemas.records import Position


async def main(told: Options) -> None:
    work = Work(told.schema_id)

    def events_of(record: ConsumerRecord) -> Iterable[Told]:
        position = Position(record.topic, record.partition, record.offset)
        return work.unjudged(record.headers, record.value, position)

    await loop(told, events_of)


if __name__ == "__main__":
    asyncio.run(main(options()))

"""A plain transactional loop of aiokafka: the reference work, told as often as it comes."""

import asyncio

import orjson
from aiokafka.structs import ConsumerRecord
from aiokafka_loop import Event, loop
from options import Options, options


async def main(told: Options) -> None:
    encoded = told.encoded

    def event_of(record: ConsumerRecord) -> tuple[Event]:
        event = orjson.loads(record.value)
        return ((event["id"].encode(), encoded(event), []),)

    await loop(told, event_of)


if __name__ == "__main__":
    asyncio.run(main(options()))

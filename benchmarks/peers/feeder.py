"""Writes a backlog of the reference work, and prints what must come of it as JSON.

One event in ten was told before, by either topic; an account is always in one partition.
"""

import argparse
import json
from collections import deque
from collections.abc import Iterator
from random import Random
from zlib import crc32

import orjson
import work
from confluent_kafka import Producer
from outcome import outcome

_PARTITIONS = 4
_TOLD_AGAIN_EVERY = 10
_REMEMBERED = 20_000
"""An event is told again while at most so many others were told."""


def events(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield (account, JSON); the same for the same count."""
    chance = Random(8)  # noqa: S311 - the same each time
    told: deque[tuple[str, bytes]] = deque(maxlen=_REMEMBERED)
    for number in range(count):
        if number % _TOLD_AGAIN_EVERY == _TOLD_AGAIN_EVERY - 1:
            yield chance.choice(told)
        else:
            told.append(work.raw_event(number, chance))
            yield told[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topics", required=True)
    parser.add_argument("--count", type=int, required=True)
    asked = parser.parse_args()
    producer = Producer({"bootstrap.servers": asked.bootstrap, "linger.ms": 50})
    topics = asked.topics.split(",")

    def fed() -> Iterator[tuple[bytes, bytes]]:
        chance = Random(9)  # noqa: S311 - the same each time
        for account, value in events(asked.count):
            at = crc32(account.encode()) % _PARTITIONS
            while True:
                try:
                    producer.produce(chance.choice(topics), value, account, at)
                    break
                except BufferError:
                    producer.poll(0.1)
            event = orjson.loads(value)
            yield event["id"].encode(), work.fastavro_bytes(event)
        producer.flush()

    print(json.dumps(outcome(fed())))


if __name__ == "__main__":
    main()

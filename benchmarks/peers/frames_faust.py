"""A usual Faust agent with tables over real frames, at least once.

Set as ``faust_agent.py`` is: the tables are in memory, and their changelog in Kafka.
"""

import faust
from frames_work import Channels, Work, options

from schemas.codec import pack_entity, pack_fact, unpack_entity, unpack_fact
from schemas.records import EntitySeen, FactSeen, Position

told = options()
app = faust.App(
    told.group,
    broker=f"kafka://{told.bootstrap}",
    datadir=told.state,
    store="memory://",
    topic_partitions=4,
    topic_disable_leader=True,
    web_enabled=False,
    broker_commit_interval=0.5,
    producer_linger=0.005,
)
raw = app.topic(*told.inputs, value_type=bytes, value_serializer="raw")
events = app.topic(told.output, key_type=bytes, value_type=bytes, value_serializer="raw")
facts = app.Table("facts", key_type=bytes, value_type=bytes, partitions=4)
entities = app.Table("entities", key_type=bytes, value_type=bytes, partitions=4)
work = Work(told.schema_id)


class Remembered(Channels):
    """What the tables know."""

    def fact(self, key: bytes) -> FactSeen | None:
        packed = facts.get(key)
        return None if packed is None else unpack_fact(packed)

    observation = fact

    def entity(self, key: bytes) -> EntitySeen | None:
        packed = entities.get(key)
        return None if packed is None else unpack_entity(packed)


@app.agent(raw)
async def tell(stream: faust.StreamT[bytes]) -> None:
    remembered = Remembered()
    async for event in stream.events():
        message = event.message
        position = Position(message.topic, message.partition, message.offset)
        batch = work.judged(event.headers.items(), event.value, position, remembered)
        for name, fact in batch.facts.items():
            facts[name] = pack_fact(fact)
        for name, entity in batch.entities.items():
            entities[name] = pack_entity(entity)
        remembered.learn(batch)
        for key, value, headers in work.records(batch):
            await events.send(key=key, value=value, headers=headers)


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()

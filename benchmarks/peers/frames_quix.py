"""quixstreams over real frames, exactly once, with its state store (RocksDB) and changelog.

Set as ``quix.py`` is. Facts and entities are in the state of their account.
"""

from collections.abc import Sequence

from frames_work import Channels, Options, Told, Work, options
from quixstreams import Application, State, message_context
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.models import Serializer

from schemas.codec import pack_entity, pack_fact, unpack_entity, unpack_fact
from schemas.records import ChannelSeen, EntitySeen, FactSeen, Position


class Value(Serializer):
    """Writes the value of an event, which goes through the stream with its key and headers."""

    def __call__(self, value: Told, ctx: object) -> bytes:  # noqa: ARG002 - as it is called
        return value.value


class Remembered:
    """What the state of one account knows."""

    def __init__(self, state: State, channels: Channels) -> None:
        self._state = state
        self._channels = channels

    def fact(self, key: bytes) -> FactSeen | None:
        packed = self._state.get_bytes(f"fact/{key.hex()}")
        return None if packed is None else unpack_fact(packed)

    observation = fact

    def entity(self, key: bytes) -> EntitySeen | None:
        packed = self._state.get_bytes(f"entity/{key.hex()}")
        return None if packed is None else unpack_entity(packed)

    def channel(self, name: str) -> ChannelSeen | None:
        return self._channels.channel(name)


class Judge:
    def __init__(self, schema_id: int) -> None:
        self._work = Work(schema_id)
        self._channels = Channels()

    def __call__(
        self,
        value: bytes,
        _key: bytes,
        _timestamp: int,
        headers: Sequence[tuple[str, bytes]],
        state: State,
    ) -> list[Told]:
        at = message_context()
        position = Position(at.topic, at.partition, at.offset)
        remembered = Remembered(state, self._channels)
        batch = self._work.judged(headers, value, position, remembered)
        for name, fact in batch.facts.items():
            state.set_bytes(f"fact/{name.hex()}", pack_fact(fact))
        for name, entity in batch.entities.items():
            state.set_bytes(f"entity/{name.hex()}", pack_entity(entity))
        self._channels.learn(batch)
        return self._work.records(batch)


def main(told: Options) -> None:
    application = Application(
        broker_address=told.bootstrap,
        consumer_group=told.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=told.state,
        commit_interval=1.0,
        producer_extra_config={
            "linger.ms": 5,
            "batch.size": 1_000_000,
            "batch.num.messages": 10_000,
        },
        consumer_extra_config={"queued.min.messages": 20_000},
        use_changelog_topics=True,
        loglevel="WARNING",
    )
    output = application.topic(told.output, value_serializer=Value(), key_serializer="bytes")
    frames = _frames(application, told.inputs)
    events = frames.apply(Judge(told.schema_id), stateful=True, expand=True, metadata=True)
    events = events.set_headers(lambda event, *_: event.headers)
    events.to_topic(output, key=lambda event: event.key)
    application.run()


def _frames(application: Application, inputs: list[str]) -> StreamingDataFrame:
    first, *others = (
        application.dataframe(
            application.topic(name, value_deserializer="bytes", key_deserializer="bytes")
        )
        for name in inputs
    )
    for other in others:
        first = first.concat(other)
    return first


if __name__ == "__main__":
    main(options())

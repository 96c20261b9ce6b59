"""quixstreams, exactly once, with its state store (RocksDB) and changelog: the reference work.

Set well: large producer batches, a commit each second, bytes in the state in place of JSON.
An event is looked up before it is encoded, so that a duplicate costs no Avro.
"""

from typing import Any

import orjson
from options import Options, options
from quixstreams import Application, State
from quixstreams.models import Serializer


class Second(Serializer):
    """Writes the second of a pair: its first is the key."""

    def __call__(self, value: tuple[str, bytes], ctx: object) -> bytes:  # noqa: ARG002
        return value[1]


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
    encoded = told.encoded

    def once(raw: bytes, state: State) -> tuple[str, bytes] | None:
        event: dict[str, Any] = orjson.loads(raw)
        name = event["id"]
        if state.get_bytes(name) is not None:
            return None
        state.set_bytes(name, b"1")
        return name, encoded(event)

    first, second = (
        application.dataframe(
            application.topic(name, value_deserializer="bytes", key_deserializer="bytes")
        )
        for name in told.inputs
    )
    output = application.topic(told.output, value_serializer=Second(), key_serializer="str")
    events = first.concat(second).apply(once, stateful=True)
    events.filter(lambda pair: pair is not None).to_topic(output, key=lambda pair: pair[0])
    application.run()


if __name__ == "__main__":
    main(options())

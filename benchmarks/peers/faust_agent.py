"""A usual Faust agent with a table: the reference work, at least once.

Set well: the table is in memory, which is cheaper than RocksDB, and values pass as bytes.
Faust's own ``exactly_once`` sends outside its transaction, so that it would be no gain.
"""

import faust
import orjson
from options import options

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
seen = app.Table("seen", key_type=str, value_type=int, partitions=4)
encoded = told.encoded


@app.agent(raw)
async def once(stream: faust.StreamT[bytes]) -> None:
    async for value in stream:
        event = orjson.loads(value)
        name = event["id"]
        if name not in seen:
            seen[name] = 1
            await events.send(key=name.encode(), value=encoded(event))


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()

"""What Python peers do with a real frame: our mapping, our rules and our encoder, as a library.

A peer brings its own plumbing and its own state. It neither writes ``open`` nor ``witnesses``.
Evidence names raw also where a copy of how it begins was read.
"""

import argparse
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from time import time_ns
from typing import NamedTuple

from processors.batch import Batch, Memory
from processors.frame import Frame, Place, encoded, event_of
from processors.mapper import Keys
from processors.mappers import MAPPERS
from processors.pipeline import process
from schemas import topics
from schemas.codec import Headers, cloud_event_headers, confluent, raw_record
from schemas.records import Change, ChannelSeen, Event, Position, Raw
from schemas.topics import joined


class Options(NamedTuple):
    bootstrap: str
    group: str
    inputs: list[str]
    output: str
    state: str
    """A directory of its own."""
    schema_id: int


def options() -> Options:
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "group", "inputs", "output", "state", "schema-id"):
        parser.add_argument(f"--{name}", required=True)
    told = parser.parse_args()
    return Options(
        told.bootstrap,
        told.group,
        told.inputs.split(","),
        told.output,
        told.state,
        int(told.schema_id),
    )


class Told(NamedTuple):
    """A record of ``events``."""

    key: bytes
    value: bytes
    headers: Headers


class Work:
    def __init__(self, schema_id: int) -> None:
        self._prefix = confluent(schema_id)
        reference = os.environ["REFERENCE"].encode()
        unsigned = Keys(reference_id="r1", reference=reference)
        signed = Keys(
            reference_id="r1",
            reference=reference,
            verification={"k1": os.environ["TOKEN"].encode()},
        )
        self._keys = {name: signed if name == "transak" else unsigned for name in MAPPERS}

    def judged(
        self,
        headers: Iterable[tuple[str, bytes]],
        value: bytes,
        position: Position,
        memory: Memory,
    ) -> Batch:
        """Return all that a frame leads to, judged by what a peer remembers."""
        raw = raw_record(headers, value)
        position = position._replace(topic=topics.raw(raw.provider))
        batch = Batch(memory, time_ns() // 1000)
        process(raw, position, MAPPERS[raw.provider], self._keys[raw.provider], batch)
        if batch.rejected:
            raise SystemExit(f"rejected, not the same work: {batch.rejected[0].message}")
        return batch

    def records(self, batch: Batch) -> list[Told]:
        return [self._told(event, written) for event, written in batch.events]

    def unjudged(
        self, headers: Iterable[tuple[str, bytes]], value: bytes, position: Position
    ) -> Iterator[Told]:
        """Yield the events of a frame, as if nothing had been told before."""
        raw, now = raw_record(headers, value), time_ns() // 1000
        mapper, keys = MAPPERS[raw.provider], self._keys[raw.provider]
        position = position._replace(topic=topics.raw(raw.provider))
        frame = Frame(raw, position, mapper, sha256(value).hexdigest())
        for index, part in enumerate(mapper.open(raw, keys)):
            route = mapper.routes[part.kind]
            for number, one in enumerate(route.states(route.decoder.decode(part.body), part, keys)):
                name = f"{index}.{number}" if number else str(index)
                place = _first(raw, one.identity, name, one.occurred_at)
                event = event_of(frame, part, one, place, now)
                yield self._told(event, encoded(event))

    def _told(self, event: Event, written: bytes) -> Told:
        return Told(event.key.encode(), self._prefix + written, cloud_event_headers(event))


def _first(
    raw: Raw, identity: tuple[str, ...] | None, number: str, occurred_at: int | None
) -> Place:
    """Return the place of something that is the first of its entity."""
    named = identity or (raw.connection, str(raw.sequence), number)
    return Place(
        joined(raw.provider, raw.account, *named),
        raw.received_at if occurred_at is None else occurred_at,
        1 if identity else 0,
        is_stale=False,
        change=Change.STATUS if identity else Change.NONE,
    )


class Channels:
    """When channels were alive: what no peer makes durable."""

    def __init__(self) -> None:
        self._seen: dict[str, ChannelSeen] = {}

    def channel(self, name: str) -> ChannelSeen | None:
        return self._seen.get(name)

    def learn(self, batch: Batch) -> None:
        self._seen.update(batch.channels)

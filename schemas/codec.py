"""Bytes of every record: Avro for other teams, headers of raw, packed ``state``.

The Avro encoders are generated from the ``.avsc`` when the module is imported, and
are held byte-equal to fastavro by ``tests/schemas/test_codec.py``.
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Final, NamedTuple

import msgspec

from schemas.avro_writer import encoder
from schemas.records import (
    Authority,
    ChannelSeen,
    EntitySeen,
    Event,
    FactSeen,
    Kind,
    Micros,
    OpenEntity,
    Raw,
    StateRecord,
    Status,
    Via,
)
from schemas.times import micros_ascii

Headers = list[tuple[str, bytes]]

# ---- Avro ---------------------------------------------------------------------------


def schema_text(name: str) -> str:
    """Return the canonical text of a schema, ``event`` for ``event.avsc``.

    It is registered byte for byte: the registry's ids are of the exact text.
    """
    return resources.files("schemas").joinpath(f"{name}.avsc").read_text("utf-8")


def confluent(schema_id: int) -> bytes:
    """Return the five bytes that go before a record in Confluent's wire format."""
    return struct.pack(">bI", 0, schema_id)


encode_event: Final = encoder(schema_text("event"))
encode_rejected: Final = encoder(schema_text("rejected"))
encode_coverage: Final = encoder(schema_text("coverage"))
encode_witness: Final = encoder(schema_text("witness"))


def cloud_event_headers(event: Event) -> Headers:
    """Return Kafka headers by which a consumer can route without decoding.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
    """
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_type", event.type.encode()),
        ("ce_source", f"/{event.provider}/{event.account}".encode()),
        ("ce_time", micros_ascii(event.occurred_at)),
        ("content-type", b"application/avro"),
    ]


# ---- raw ----------------------------------------------------------------------------

_SIGNATURE: Final = "signature:"


_ORIGIN: Final = ("provider", "account", "environment", "via", "route", "kind", "connection")


def raw_headers(raw: Raw) -> Headers:
    """Return the headers of a raw record; ``raw_record`` reads them back."""
    headers = [
        *_origin(
            raw.provider,
            raw.account,
            raw.environment,
            raw.via,
            raw.route,
            raw.kind,
            raw.connection,
        ),
        ("sequence", b"%d" % raw.sequence),
        ("received_at", b"%d" % raw.received_at),
    ]
    if raw.signature:
        headers += ((_SIGNATURE + name, text.encode()) for name, text in raw.signature.items())
    return headers


@lru_cache(maxsize=1024)
def _origin(*texts: str) -> tuple[tuple[str, bytes], ...]:
    """Return the headers that all frames of a connection share."""
    return tuple((name, text.encode()) for name, text in zip(_ORIGIN, texts, strict=True))


_VIA: Final = {via.encode(): via for via in Via}
_KIND: Final = {kind.encode(): kind for kind in Kind}


def raw_record(headers: Iterable[tuple[str, bytes]], value: bytes) -> Raw:
    """Return a raw record from its headers and value.

    Raises ``ValueError`` where a header is missing or cannot be read: such a record
    was not written by ingest.
    """
    told = dict(headers)
    try:
        return Raw(
            provider=told["provider"].decode(),
            account=told["account"].decode(),
            environment=told["environment"].decode(),
            via=_VIA[told["via"]],
            route=told["route"].decode(),
            kind=_KIND[told["kind"]],
            connection=told["connection"].decode(),
            sequence=int(told["sequence"]),
            received_at=int(told["received_at"]),
            signature={
                name.removeprefix(_SIGNATURE): text.decode()
                for name, text in told.items()
                if name.startswith(_SIGNATURE)
            }
            if len(told) > 9  # noqa: PLR2004
            else {},
            value=value,
        )
    except KeyError as error:
        raise ValueError(f"raw record without a proper header {error}") from error


# ---- open ---------------------------------------------------------------------------

_OPEN: Final = msgspec.json.Decoder(OpenEntity)


def encode_open(entity: OpenEntity) -> bytes:
    """Return the value of a record of ``open``: JSON; a tombstone has none."""
    return msgspec.json.encode(entity)


def decode_open(value: bytes) -> OpenEntity:
    """Return an open entity; ``msgspec.MsgspecError`` for what is none."""
    return _OPEN.decode(value)


# ---- state --------------------------------------------------------------------------
#
# One record per transaction, key = the partition's number as text, big-endian:
#
#   u8   version, 1
#   u16  positions: each a topic (u16 length, UTF-8), i64 next offset
#   u32  facts:     each 16 B id, then a fact as below
#   u32  entities:  each 16 B key, u16 length, then an entity as below
#   u16  channels:  each a name, i64 last alive (us), a connection, a cause: texts as above
#
# fact, 24 B:  8 B stakes · u8 recipe · u8 flags (1 = fact) · u16 paths · u32 received, 10 ms
#              · i64 offset
# entity:      u32 sequence · u8 flags (1 = version, 2 = final) · 2 x i64 version · u8 rank
#              · u32 touched, s · 8 B last observation
#              · u8 statuses: each u8 position in Status, 8 B stakes
#
# Ids and keys are 16-byte BLAKE2b of their text, stakes are 8-byte BLAKE2b. A local
# store keeps the same bytes under the same ids.

_STATE_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BH")
_LEN16: Final = struct.Struct(">H")
_LEN32: Final = struct.Struct(">I")
_I64: Final = struct.Struct(">q")
_FACT: Final = struct.Struct(">8sBBHIq")
_ENTITY: Final = struct.Struct(">IBqqBI8sB")
_TOLD: Final = struct.Struct(">B8s")
_STATUSES: Final = tuple(Status)
_STATUS_POSITION: Final = {status: position for position, status in enumerate(Status)}
_HAS_VERSION, _IS_FINAL = 1, 2
_FACT_ENTRY: Final = struct.Struct(f"16s{_FACT.size}s")
_FACT_FLAGS: Final = 9
_ENTITY_TOUCHED: Final = 22

_PATHS: Final = {
    (via, authority): 1 << position
    for position, (via, authority) in enumerate(
        (via, authority) for via in Via for authority in Authority
    )
}


def path_bit(via: Via, authority: Authority) -> int:
    """Return the bit of one path in ``FactSeen.paths``."""
    return _PATHS[via, authority]


_VIA_OF: Final = {bit: via for (via, _), bit in _PATHS.items()}


def via_of(paths: int) -> Via | None:
    """Return how a fact came that one path alone has brought; None where several have."""
    return _VIA_OF.get(paths)


def hundredths(time: Micros) -> int:
    """Return a time as ``FactSeen.received_at`` has it."""
    return time // 10_000 % 2**32


def behind(time: Micros, first: int) -> float:
    """Return by how many seconds a time is behind a ``FactSeen.received_at``.

    Below 0 if it is ahead, which is told up to ten days.
    """
    apart = (hundredths(time) - first) % 2**32
    return (apart if apart < 2**32 - _TEN_DAYS else apart - 2**32) / 100


_TEN_DAYS: Final = 10 * 86_400 * 100


def pack_fact(fact: FactSeen) -> bytes:
    return _FACT.pack(
        fact.stakes, fact.recipe, fact.is_fact, fact.paths, fact.received_at, fact.offset
    )


def unpack_fact(packed: bytes) -> FactSeen:
    stakes, recipe, flags, paths, received_at, offset = _FACT.unpack(packed)
    return FactSeen(stakes, recipe, bool(flags), paths, received_at, offset)


def pack_entity(entity: EntitySeen) -> bytes:
    has_version = entity.version is not None
    major, minor = entity.version or (0, 0)
    flags = has_version * _HAS_VERSION + entity.is_final * _IS_FINAL
    head = _ENTITY.pack(
        entity.sequence,
        flags,
        major,
        minor,
        entity.rank,
        entity.touched_at,
        entity.observed,
        len(entity.stakes),
    )
    told = [_TOLD.pack(_STATUS_POSITION[s], h) for s, h in entity.stakes.items()]  # type: ignore[index]
    return head + b"".join(told)


def unpack_entity(packed: bytes) -> EntitySeen:
    sequence, flags, major, minor, rank, touched_at, observed, _ = _ENTITY.unpack_from(packed)
    told = _TOLD.iter_unpack(packed[_ENTITY.size :])
    return EntitySeen(
        sequence=sequence,
        version=(major, minor) if flags & _HAS_VERSION else None,
        rank=rank,
        is_final=bool(flags & _IS_FINAL),
        touched_at=touched_at,
        observed=observed,
        stakes={_STATUSES[position]: stakes for position, stakes in told},
    )


def pack_state(state: StateRecord) -> bytes:
    """Return the value of one ``state`` record."""
    parts = [_HEAD.pack(_STATE_VERSION, len(state.positions))]
    for topic, offset in state.positions.items():
        parts += (_text(topic), _I64.pack(offset))
    parts.append(_LEN32.pack(len(state.facts)))
    for key, fact in state.facts.items():
        parts += (key, pack_fact(fact))
    parts.append(_LEN32.pack(len(state.entities)))
    for key, entity in state.entities.items():
        packed = pack_entity(entity)
        parts += (key, _LEN16.pack(len(packed)), packed)
    parts.append(_LEN16.pack(len(state.channels)))
    for name, channel in state.channels.items():
        parts += (_text(name), pack_channel(channel))
    return b"".join(parts)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _LEN16.pack(len(encoded)) + encoded


class _Reader:
    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.at = 0

    def take(self, size: int) -> bytes:
        taken = self.packed[self.at : self.at + size]
        if len(taken) < size:
            raise ValueError(f"state record ends at byte {len(self.packed)}")
        self.at += size
        return taken

    def one(self, layout: struct.Struct) -> int:
        (number,) = layout.unpack(self.take(layout.size))
        return int(number)

    def text(self) -> str:
        return self.take(self.one(_LEN16)).decode()


class PackedState(NamedTuple):
    """A ``state`` record cut into its parts, facts and entities left packed."""

    positions: Mapping[str, int]
    facts: Sequence[tuple[bytes, bytes]]
    entities: Sequence[tuple[bytes, bytes]]
    channels: Mapping[str, ChannelSeen]


def split_state(packed: bytes) -> PackedState:
    """Cut a ``state`` record apart; ``ValueError`` if it is torn or of a later version.

    A local store takes the parts as they are: a rebuild of ten million ids has no time
    to make an object of each.
    """
    reader = _Reader(packed)
    version, positions = _HEAD.unpack(reader.take(_HEAD.size))
    if version != _STATE_VERSION:
        raise ValueError(f"state record: expected version 1, found {version}")
    offsets = {reader.text(): reader.one(_I64) for _ in range(positions)}
    facts = list(_FACT_ENTRY.iter_unpack(reader.take(_FACT_ENTRY.size * reader.one(_LEN32))))
    entities = [
        (reader.take(16), reader.take(reader.one(_LEN16))) for _ in range(reader.one(_LEN32))
    ]
    channels = {
        reader.text(): ChannelSeen(reader.one(_I64), reader.text(), reader.text())
        for _ in range(reader.one(_LEN16))
    }
    if reader.at < len(packed):
        raise ValueError(f"state record: {len(packed) - reader.at} bytes after its end")
    return PackedState(offsets, facts, entities, channels)


def unpack_state(packed: bytes) -> StateRecord:
    """Return a ``state`` record; ``ValueError`` if it is torn or of a later version."""
    positions, facts, entities, channels = split_state(packed)
    return StateRecord(
        positions,
        {key: unpack_fact(fact) for key, fact in facts},
        {key: unpack_entity(entity) for key, entity in entities},
        channels,
    )


def tells_fact(packed_fact: bytes) -> bool:
    """Return ``FactSeen.is_fact``, unpacking nothing else."""
    return bool(packed_fact[_FACT_FLAGS])


def touched_at(packed_entity: bytes) -> int:
    """Return ``EntitySeen.touched_at``, unpacking nothing else. ``ValueError`` if torn."""
    if len(packed_entity) < _ENTITY.size:
        raise ValueError(f"state record: entity of {len(packed_entity)} bytes")
    (seconds,) = _LEN32.unpack_from(packed_entity, _ENTITY_TOUCHED)
    return int(seconds)


def pack_channel(channel: ChannelSeen) -> bytes:
    return _I64.pack(channel.alive_at) + _text(channel.connection) + _text(channel.cause)


def unpack_channel(packed: bytes) -> ChannelSeen:
    reader = _Reader(packed)
    return ChannelSeen(reader.one(_I64), reader.text(), reader.text())

"""Packed ``state`` records: nothing is lost, nothing torn is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import pack_state, path_bit, unpack_state
from schemas.records import Authority, ChannelSeen, EntitySeen, FactSeen, StateRecord, Status, Via

U32 = st.integers(0, 2**32 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
HASHES = st.binary(min_size=8, max_size=8)
IDS = st.binary(min_size=16, max_size=16)

FACTS = st.builds(
    FactSeen,
    stakes=HASHES,
    recipe=st.integers(0, 255),
    is_fact=st.booleans(),
    paths=st.integers(0, 2**16 - 1),
    received_at=U32,
    offset=I64,
)
ENTITIES = st.builds(
    EntitySeen,
    sequence=U32,
    version=st.none() | st.tuples(I64, I64),
    rank=st.integers(0, 255),
    is_final=st.booleans(),
    touched_at=U32,
    observed=HASHES,
    stakes=st.dictionaries(st.sampled_from(Status), HASHES),
)
CHANNELS = st.builds(
    ChannelSeen,
    alive_at=I64,
    connection=st.text(max_size=20),
    cause=st.text(max_size=20),
)
STATES = st.builds(
    StateRecord,
    positions=st.dictionaries(st.text(max_size=20), I64, max_size=5),
    facts=st.dictionaries(IDS, FACTS, max_size=5),
    entities=st.dictionaries(IDS, ENTITIES, max_size=5),
    channels=st.dictionaries(st.text(max_size=20), CHANNELS, max_size=5),
)


@given(STATES)
def test_state_is_read_back_as_it_was_written(state: StateRecord) -> None:
    assert unpack_state(pack_state(state)) == state


@given(STATES, st.data())
def test_torn_record_is_refused_wherever_it_was_torn(
    state: StateRecord, draw: st.DataObject
) -> None:
    whole = pack_state(state)
    torn = whole[: draw.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(ValueError, match="state record"):
        unpack_state(torn)


@given(STATES, st.binary(min_size=1, max_size=9))
def test_record_with_something_after_its_end_is_refused(state: StateRecord, more: bytes) -> None:
    with pytest.raises(ValueError, match="state record"):
        unpack_state(pack_state(state) + more)


def test_record_of_a_later_version_is_refused() -> None:
    packed = pack_state(StateRecord({}, {}, {}, {}))
    with pytest.raises(ValueError, match="version 1, found 2"):
        unpack_state(b"\x02" + packed[1:])


def test_bytes_of_version_1_stay_readable() -> None:
    packed = bytes.fromhex(
        """
        01 0001 0008 7261772e61636d65 0000000000000009
        00000001 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 0102030405060708 01 01 0003 65000000
          0000000000000008
        00000001 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 002c 00000002 03 0000000000000005
          0000000000000000 04 65000001 0000000000000000 01 04 1112131415161718
        0001 0009 61636d652f6d2f78 79 0000000000000007 0002 6331 0000
        """
    )
    state = StateRecord(
        positions={"raw.acme": 9},
        facts={b"\xaa" * 16: FactSeen(bytes(range(1, 9)), 1, True, 3, 0x65000000, 8)},
        entities={
            b"\xbb" * 16: EntitySeen(
                sequence=2,
                version=(5, 0),
                rank=4,
                is_final=True,
                touched_at=0x65000001,
                observed=bytes(8),
                stakes={Status.COMPLETED: bytes(range(0x11, 0x19))},
            )
        },
        channels={"acme/m/xy": ChannelSeen(alive_at=7, connection="c1", cause="")},
    )
    assert pack_state(state) == packed
    assert unpack_state(packed) == state


def test_every_path_has_a_bit_of_its_own_and_they_fit() -> None:
    bits = [path_bit(via, authority) for via in Via for authority in Authority]
    assert len(set(bits)) == len(bits)
    assert sum(bits) < 2**16


def test_places_of_statuses_are_for_life() -> None:
    assert list(Status) == [
        "created", "pending", "processing", "on_hold", "completed", "failed", "declined",
        "cancelled", "expired", "refunded", "reversed", "unknown", "open", "partially_filled",
        "filled",
    ]  # fmt: skip

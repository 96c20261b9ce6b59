"""What a transaction learnt, in records that the broker takes."""

from processors.pipeline import Batch
from processors.state import State, records_of
from schemas.codec import pack_state
from schemas.records import ChannelSeen, EntitySeen, FactSeen

FACT = FactSeen(b"stakes00", 1, True, 1, 1_700_000_000, 7)
ENTITY = EntitySeen(1, None, 0, False, 1_700_000_000, bytes(8), {})


def learnt(facts: int, entities: int) -> Batch:
    batch = Batch(State(), 0)
    batch.facts = {n.to_bytes(16, "big"): FACT for n in range(facts)}
    batch.entities = {n.to_bytes(16, "big"): ENTITY for n in range(entities)}
    batch.channels = {"acme/main/orders": ChannelSeen(1, "c1", "")}
    return batch


def test_a_large_transaction_is_split_and_the_positions_come_last() -> None:
    records = list(records_of(learnt(12_000, 3), {"raw.acme": 5}))
    assert [len(record.facts) for record in records] == [5_000, 5_000, 2_000]
    assert [bool(record.positions) for record in records] == [False, False, True]
    assert [bool(record.channels) for record in records] == [False, False, True]
    assert max(len(pack_state(record)) for record in records) < 2**20


def test_an_empty_transaction_still_says_how_far_it_read() -> None:
    (record,) = records_of(Batch(State(), 0), {"raw.acme": 5})
    assert record.positions == {"raw.acme": 5}


def test_replaying_the_topic_restores_all_of_it() -> None:
    state = State()
    for record in records_of(learnt(7_000, 2), {"raw.acme": 5}):
        state.replay(pack_state(record))
    assert len(state) == 7_000
    assert state.fact(bytes(16)) == FACT
    assert state.entity(bytes(16)) == ENTITY
    assert state.channel("acme/main/orders") == ChannelSeen(1, "c1", "")
    assert state.positions == {"raw.acme": 5}

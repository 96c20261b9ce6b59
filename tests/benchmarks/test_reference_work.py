"""The reference work is the same work for whoever does it: what differs is not compared."""

import json
from random import Random
from typing import Any

import pytest

from benchmarks.peers import ours, work
from benchmarks.peers.outcome import outcome

_CHANCE = Random(1)
_RAWS = [work.raw_event(number, _CHANCE)[1] for number in (*range(300), 123_456_789)]


def _altered(**fields: Any) -> bytes:
    return json.dumps(json.loads(_RAWS[0]) | fields).encode()


@pytest.mark.parametrize(
    "raw",
    [
        *_RAWS[::30],
        _altered(status="FAILED", test=True),
        _altered(cust=None, country=None, merchant=None),
        _altered(amount="-12.5", fee="0", rate="123456789012345678901234.000000001"),
        _altered(tags=[], seq=-1, ts=-(2**40)),
        _altered(merchant="Ünïcødé 漢字"),
    ],
)
def test_our_generated_encoder_writes_what_fastavro_writes(raw: bytes) -> None:
    assert ours.PREFIX + ours.encoded(ours.decoded(raw)) == work.fastavro_bytes(json.loads(raw))


def test_what_is_written_by_hand_is_what_fastavro_writes() -> None:
    for told in map(json.loads, _RAWS):
        assert work.bytes_by_hand(told) == work.fastavro_bytes(told)


def test_an_event_of_the_reference_work_has_600_bytes() -> None:
    assert {len(raw) for raw in _RAWS} <= set(range(595, 606))


def test_an_outcome_is_blind_to_order_and_repeats_and_to_nothing_else() -> None:
    pairs = [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
    again = [*reversed(pairs), pairs[0]]
    assert outcome(again)[1:] == outcome(pairs)[1:]
    assert (outcome(pairs).records, outcome(again).records) == (3, 4)
    assert outcome([*pairs[:2], (b"c", b"4")])[1:] != outcome(pairs)[1:]
    assert outcome([*pairs[:2], (b"c3", b"")])[1:] != outcome(pairs)[1:]

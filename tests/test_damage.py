"""What becomes of damaged frames, of every provider and by every path. ``make fuzz`` goes on.

Each part leaves by one door, whole, and takes no other along; ``tests/fuzz/doors.py`` says what
that means, ``tests/fuzz/damage.py`` what is done to a frame.
"""

import json
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.delivery import Delivery, Verdict
from ingest.feeds import WEBHOOKS
from tests.fuzz.case import Case, case, case_of, elsewhere, intact, tried
from tests.fuzz.damage import MEMBERS, VALUES, damaged_at, layers, replaced
from tests.fuzz.doors import judged
from tests.fuzz.ingestion import judged_at_the_door
from tests.test_every_provider import RECORDINGS, by_recording, lines, raw

pytestmark = pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")

RANDOM = st.randoms(use_true_random=False)
fuzzed = settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def numbers(path: Path) -> range:
    return range(len(lines(path)))


@cache
def told(path: Path) -> tuple[int, ...]:
    """Return the frames of a recording that tell something."""
    return tuple(number for number in numbers(path) if intact(path, number).events)


@by_recording
def test_every_recorded_part_leaves_by_one_door(path: Path) -> None:
    assert all(intact(path, number).doors for number in numbers(path))


@by_recording
@fuzzed
@given(draw=st.data(), chance=RANDOM)
def test_a_damaged_part_leaves_by_one_door_and_takes_no_other_along(
    path: Path, draw: st.DataObject, chance: Random
) -> None:
    assert tried(case_of(chance, path, draw.draw(st.sampled_from(numbers(path)))))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["NaN", "-Infinity", "sNaN", "1e400", "-1", "0001-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@by_recording
@fuzzed
@given(draw=st.data())
def test_any_json_may_stand_in_place_of_any_value(path: Path, draw: st.DataObject) -> None:
    number = draw.draw(st.sampled_from(told(path)))
    layer = draw.draw(st.sampled_from(layers(raw(path, number).value)))
    place = draw.draw(st.sampled_from(layer.places))
    value = json.dumps(draw.draw(JSON)).encode()
    kind = "any JSON" if b"NaN" not in value and b"Infinity" not in value else "no number"
    assert tried(Case(path, number, replaced(kind, layer, place, value)))


@by_recording
def test_every_value_of_every_frame_may_be_damaged(path: Path) -> None:
    """Each in one of the ways, which its place decides: the same in every run."""
    for number in told(path):
        for layer in layers(raw(path, number).value):
            for place in layer.places:
                chance = Random(f"{path.parent.name} {path.stem} {number} {place.pointer}")
                kind = chance.choice((*VALUES, *MEMBERS))
                spoilt = damaged_at(chance, kind, layer, place, elsewhere())
                assert tried(Case(path, number, spoilt))


@by_recording
def test_a_frame_cut_at_any_byte_is_rejected_whole(path: Path) -> None:
    for number in told(path):
        frame = raw(path, number).value
        for end in range(len(frame)):
            batch = judged(raw(path, number, frame[:end])).batch
            assert (len(batch.events), len(batch.rejected)) == (0, 1)


DELIVERIES = st.builds(
    Delivery,
    headers=st.dictionaries(
        st.sampled_from([name for webhook in WEBHOOKS.values() for name in webhook.signature]),
        st.text(),
    ),
    token=st.text(),
    body=st.binary() | st.builds(json.dumps, JSON).map(str.encode),
    received_at=st.integers(0, 2**52),
)


@pytest.mark.parametrize("provider", WEBHOOKS)
@fuzzed
@given(delivery=DELIVERIES)
def test_nobody_without_a_key_is_let_in(provider: str, delivery: Delivery) -> None:
    verdict = WEBHOOKS[provider].judge(delivery, {"current": b"a key that nobody guesses"})
    assert verdict in {Verdict.FORGED, Verdict.PROBE}


@pytest.mark.parametrize(
    "path",
    [path for path in RECORDINGS if path.stem == "webhook"],
    ids=lambda path: path.parent.name,
)
def test_whoever_signed_a_recorded_delivery_is_let_in(path: Path) -> None:
    verdicts = {
        judged_at_the_door(raw(path, number), raw(path, number).value) for number in numbers(path)
    }
    assert Verdict.GENUINE in verdicts


@given(seed=st.integers(0, 9), number=st.integers(0, 10**6))
@fuzzed
def test_a_case_of_the_fuzzer_is_the_same_whenever_it_is_asked_for(seed: int, number: int) -> None:
    assert case(seed, number) == case(seed, number)

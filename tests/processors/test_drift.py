"""What a provider begins to send is noticed by shape, and nothing else happens."""

import json
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from processors import metrics
from processors.batch import Batch
from processors.drift import EVERY, Drift, drift_of
from processors.drift_log import MOST, tell_new
from processors.mapper import Part
from processors.mappers import MAPPERS
from processors.pipeline import process
from schemas.records import Position, Raw
from tests.processors.memory import Remembered
from tests.test_every_provider import (
    FRAMES,
    RECORDINGS,
    keys_of,
    lines,
    opened,
    play,
    raw,
)

PEPAY = FRAMES / "pepay" / "socket.jsonl"
LOOKED_AT = Position("raw.pepay", 0, EVERY * 3)


def drifts(record: Raw, offset: int = 0) -> list[Drift]:
    """What is new in one frame, at an offset that is looked at or at another."""
    batch = Batch(Remembered(), record.received_at)
    position = Position(f"raw.{record.provider}", 0, offset)
    process(record, position, MAPPERS[record.provider], keys_of(record.provider), batch)
    return batch.drifts


def with_fields(**fields: object) -> Raw:
    tree, sealed = opened(raw(PEPAY, 0).value)
    tree["data"]["object"].update(fields)
    return raw(PEPAY, 0, sealed(tree))


def recorded() -> Iterator[tuple[str, Drift]]:
    for path in RECORDINGS:
        for number, line in enumerate(lines(path)):
            yield from ((line["note"], drift) for drift in drifts(raw(path, number)))


def test_every_field_of_every_recording_is_read_or_listed() -> None:
    assert list(recorded()) == []


def test_a_new_field_is_named_with_the_place_where_it_can_be_read() -> None:
    (drift,) = drifts(with_fields(loyalty_points=7, tax={"vat": 1}), offset=EVERY)
    where = f"raw.pepay/0/{EVERY}/data/object"
    assert drift == Drift("pepay", "commerce.order.updated", ("loyalty_points", "tax"), where)


def test_a_new_field_changes_nothing_of_what_is_told() -> None:
    told = play(Batch(Remembered(), 0), with_fields(loyalty_points=7))
    before = play(Batch(Remembered(), 0), raw(PEPAY, 0))
    assert [(e.id, e.purchase) for e, _ in told.events] == [
        (e.id, e.purchase) for e, _ in before.events
    ]
    assert told.rejected == []


def test_one_frame_in_sixteen_is_looked_at() -> None:
    looked_at = [n for n in range(64) if drifts(with_fields(loyalty_points=7), offset=n)]
    assert looked_at == [0, 16, 32, 48]


def test_what_may_be_an_id_or_a_person_is_not_named() -> None:
    names = ("alice@example.com", "Alice Doe", "7f3a", "a" * 41, "key_0123456789")
    (drift,) = drifts(with_fields(**dict.fromkeys(names, 1)))
    assert drift.fields == ("?",)


def test_what_nobody_reads_is_not_looked_into() -> None:
    assert drifts(with_fields(metadata={"loyalty_points": 7})) == []


def test_at_most_eight_names_are_told() -> None:
    (drift,) = drifts(with_fields(**{f"new_{letter}": 1 for letter in "abcdefghijkl"}))
    assert len(drift.fields) == 8


@pytest.mark.parametrize("body", [b'{"x":"\xff"}', b'{"x":' + b"[" * 100_000, b'{"x":1e999}'])
def test_what_cannot_be_looked_at_is_left_alone(body: bytes) -> None:
    part = Part(kind="commerce.order.updated", body=body)
    assert drift_of(MAPPERS["pepay"], part, LOOKED_AT) is None


def test_a_shape_is_logged_once_and_without_a_value_and_shapes_are_bounded() -> None:
    seen: set[tuple[str, str, tuple[str, ...]]] = set()
    found = drifts(with_fields(loyalty_points=70123))
    with capture_logs() as said:
        tell_new(found, seen)
        tell_new(found, seen)
    assert len(said) == 1
    assert "70123" not in json.dumps(said)
    with capture_logs() as said:
        tell_new((Drift("pepay", "x", (f"a{n}",), "") for n in range(2 * MOST)), seen)
    assert len(said) == MOST - 1


def test_new_fields_and_unknown_statuses_are_counted() -> None:
    batch = Batch(Remembered(), 0)
    record = with_fields(loyalty_points=7, status="teleported")
    process(record, LOOKED_AT, MAPPERS["pepay"], keys_of("pepay"), batch)
    fields = metrics.DRIFT.labels("pepay", "commerce.order.updated")
    statuses = metrics.UNKNOWN.labels("pepay", "purchase")
    before = fields._value.get(), statuses._value.get()  # noqa: SLF001
    metrics.committed(batch, 0.1, record.received_at)
    after = fields._value.get(), statuses._value.get()  # noqa: SLF001
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)

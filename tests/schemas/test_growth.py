"""What released bytes mean never changes: scales, units, logical and physical types."""

from pathlib import Path

import pytest

from schemas.codec import schema_text
from schemas.growth import changed, meanings

RELEASED = sorted((Path(__file__).parent / "released").glob("*.v*.avsc"))


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.name)
def test_no_field_of_a_released_version_is_read_otherwise_today(released: Path) -> None:
    name = released.name.partition(".")[0]
    assert changed(released.read_text(), schema_text(name)) == []


def test_every_schema_has_a_released_version() -> None:
    names = {path.name.partition(".")[0] for path in RELEASED}
    assert names == {"event", "rejected", "coverage", "witness"}


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        ('"scale": 18', '"scale": 8'),
        ('"precision": 38', '"precision": 28'),
        ('"logicalType": "decimal", ', ""),
        ("timestamp-micros", "timestamp-millis"),
        ('"logicalType": "timestamp-micros"', '"doc": "micros"'),
        ('{"name": "hops", "type": "int"', '{"name": "hops", "type": "long"'),
        ('"type": ["null", "string"]', '"type": ["null", "bytes"]'),
    ],
)
def test_change_of_meaning_is_found_wherever_it_hides(was: str, is_now: str) -> None:
    assert was in SAMPLE
    assert changed(SAMPLE, SAMPLE.replace(was, is_now)) != []


def test_line_names_the_field_by_its_path() -> None:
    money = "bytes logicalType=decimal precision=38 scale="
    assert changed(SAMPLE, SAMPLE.replace('"scale": 18', '"scale": 8')) == [
        f"legs[].money.amount: was {money}18, is {money}8",
        f"total.amount: was {money}18, is {money}8",
    ]


def test_fields_may_come_and_go() -> None:
    shorter = SAMPLE.replace('{"name": "hops", "type": "int"},', "")
    assert changed(SAMPLE, shorter) == changed(shorter, SAMPLE) == []


def test_named_type_is_followed_to_every_place_of_its_use() -> None:
    assert list(meanings(SAMPLE)) == [
        "hops",
        "at",
        "legs[].name",
        "legs[].money.amount",
        "total.amount",
    ]


SAMPLE = """{"type": "record", "name": "R", "fields": [
  {"name": "hops", "type": "int"},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
  {"name": "legs", "type": {"type": "array", "items": {"type": "record", "name": "Leg", "fields": [
    {"name": "name", "type": ["null", "string"]},
    {"name": "money", "type": {"type": "record", "name": "Money", "fields": [
      {"name": "amount", "type": ["null",
        {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 18}]}
    ]}}
  ]}}},
  {"name": "total", "type": ["null", "Money"]}
]}"""

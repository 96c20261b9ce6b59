"""What may grow and what may not, told in words that name the field."""

import pytest

from schemas.codec import schema_text
from schemas.gate import objections
from schemas.growth import differences, refused
from schemas.registry import SUBJECTS, Refused
from schemas.released import released

SAMPLE = """{"type": "record", "name": "R", "namespace": "penstock", "doc": "A sample.", "fields": [
  {"name": "hops", "type": "int", "default": 0, "doc": "How many."},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}, "default": 0},
  {"name": "legs", "type": {"type": "array", "items": {"type": "record", "name": "Leg", "fields": [
    {"name": "name", "type": ["null", "string"], "default": null},
    {"name": "money", "type": {"type": "record", "name": "Money", "fields": [
      {"name": "amount", "type": ["null",
        {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 18}]}
    ]}, "default": {"amount": null}}
  ]}}, "default": []},
  {"name": "total", "type": ["null", "Money"], "default": null},
  {"name": "must", "type": "string"}
]}"""
OTHER_VALUES = "readers of the other version would read other values without an error"
UNREADABLE = "readers of one version could not read records of the other"
AMOUNT = "null or bytes as decimal"
NULLABLE = '["null", "string"]'
HOPS = '{"name": "hops", "type": "int", "default": 0, "doc": "How many."}'
HOPS_DEFAULT = '"default": 0, "doc"'
BY_NAME = "readers find a record by its name"


def changed(was: str, is_now: str) -> str:
    assert SAMPLE.count(was) == 1
    return SAMPLE.replace(was, is_now)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_schema_may_become_the_next_version(subject: str) -> None:
    assert released(SUBJECTS[subject])
    assert [str(one) for one in objections(subject, schema_text(SUBJECTS[subject]))] == []


@pytest.mark.parametrize(
    ("was", "is_now", "told"),
    [
        ("18}", "8}", f"Money.amount: was {AMOUNT}(38, 18), is {AMOUNT}(38, 8): {OTHER_VALUES}"),
        ("38", "28", f"Money.amount: was {AMOUNT}(38, 18), is {AMOUNT}(28, 18): {OTHER_VALUES}"),
        (
            "timestamp-micros",
            "timestamp-millis",
            f"R.at: was long as timestamp-micros, is long as timestamp-millis: {OTHER_VALUES}",
        ),
        (
            ', "logicalType": "timestamp-micros"',
            "",
            f"R.at: was long as timestamp-micros, is long: {OTHER_VALUES}",
        ),
        ('"int"', '"long"', f"R.hops: was int, is long: {UNREADABLE}"),
        (NULLABLE, '"string"', f"Leg.name: was null or string, is string: {UNREADABLE}"),
        (
            NULLABLE,
            '["null", "bytes"]',
            f"Leg.name: was null or string, is null or bytes: {UNREADABLE}",
        ),
        ('"name": "R"', '"name": "S"', f"S: stands where R stood: {BY_NAME}"),
        (
            '"penstock"',
            '"elsewhere"',
            f"R: its namespace was 'penstock', is 'elsewhere': {BY_NAME}",
        ),
        ('"name": "must"', '"name": "may"', "R.must: was removed and had no default: readers of"),
        (HOPS_DEFAULT, '"doc"', "R.hops: lost its default 0: it could never be taken away again"),
        (
            HOPS_DEFAULT,
            '"default": 1, "doc"',
            "R.hops: its default was 0, is 1: a record that lacks it would be read as another",
        ),
        (
            '"type": "string"}',
            '"type": "string"}, {"name": "more", "type": "string"}',
            "R.more: was added as string without a default: older records lack it",
        ),
    ],
)
def test_change_that_harms_a_reader_is_told_with_its_field(
    was: str, is_now: str, told: str
) -> None:
    assert str(refused(SAMPLE, changed(was, is_now))[0]).startswith(told)


@pytest.mark.parametrize(
    ("was", "is_now", "told"),
    [
        ('"doc": "A sample."', '"doc": "One."', ["R: is described in other words"]),
        ("How many.", "Hops.", ["R.hops: is described in other words"]),
        ('"type": "string"}', '"type": "string", "default": ""}', ['R.must: got the default ""']),
        (f"{HOPS},", "", ["R.hops: was removed, readers of that version read 0"]),
        (
            HOPS,
            f'{{"name": "n", "type": "int", "default": 7}}, {HOPS}',
            ["R.n: was added as int, 7 where a record lacks it"],
        ),
        (
            '{"amount": null}',
            '{"amount": null, "more": 1}',
            ["Leg.money: its default follows its fields"],
        ),
    ],
)
def test_change_that_harms_nobody_is_told_and_let_through(
    was: str, is_now: str, told: list[str]
) -> None:
    later = changed(was, is_now)
    assert [str(remark) for remark in differences(SAMPLE, later)] == told
    assert refused(SAMPLE, later) == []


def test_order_of_fields_is_told_and_let_through() -> None:
    must = '{"name": "must", "type": "string"}'
    swapped = SAMPLE.replace(HOPS, "X").replace(must, HOPS).replace("X", must)
    told = [str(remark) for remark in differences(SAMPLE, swapped)]
    assert told == ["R: its fields stand in another order"]


def test_same_text_differs_in_nothing() -> None:
    assert differences(SAMPLE, SAMPLE) == []


def test_text_that_is_no_schema_is_one_line() -> None:
    with pytest.raises(Refused, match="witnesses-value: not an Avro schema"):
        list(objections("witnesses-value", "{"))

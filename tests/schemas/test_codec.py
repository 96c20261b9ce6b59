"""Avro bytes: as fastavro writes them, and read back as they were."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import avro_python, avro_writer, codec
from schemas.codec import confluent, schema_text
from schemas.records import Event, Level
from tests.schemas.record_strategies import PAYLOADS, any_event, any_record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECORDS = ("event", "rejected", "coverage", "witness")
SCHEMAS = {name: fastavro.parse_schema(json.loads(schema_text(name))) for name in RECORDS}

Encoder = Callable[[Any], bytes]
MakeEncoder = Callable[[str], Encoder]
LANGUAGES: dict[str, MakeEncoder] = {
    "Python": avro_python.encoder,
    "C": avro_writer.encoder,
}
IN_PYTHON = {name: avro_python.encoder(schema_text(name)) for name in RECORDS}
IN_USE: dict[str, Encoder] = {
    "event": codec.encode_event,
    "rejected": codec.encode_rejected,
    "coverage": codec.encode_coverage,
    "witness": codec.encode_witness,
}


@pytest.fixture(params=LANGUAGES)
def encoder(request: pytest.FixtureRequest) -> MakeEncoder:
    """Return what makes encoders; the one in C is not everywhere."""
    if request.param == "C" and avro_writer.Encoder is None:
        pytest.skip("not run: the Avro writer in C was not built, see hatch_build.py")
    return LANGUAGES[request.param]


def plain(value: Any, name: str = "") -> Any:
    """Return a record as fastavro reads it: dicts, lists, aware times."""
    match value:
        case msgspec.Struct():
            told = msgspec.structs.asdict(value)
            return {field: plain(inner, field) for field, inner in told.items()}
        case tuple():
            return [plain(item) for item in value]
        case int() if name.endswith("_at"):
            return EPOCH + timedelta(microseconds=value)
        case _:
            return value


def assert_same_bytes_and_meaning(name: str, record: Any) -> None:
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, SCHEMAS[name], plain(record))
    written = IN_USE[name](record)
    assert written == expected.getvalue()
    assert IN_PYTHON[name](record) == written
    assert fastavro.schemaless_reader(io.BytesIO(written), SCHEMAS[name], None) == plain(record)


@pytest.mark.parametrize("payload", PAYLOADS)
@settings(max_examples=20)
@given(draw=st.data())
def test_event_is_written_as_fastavro_writes_it(payload: str, draw: st.DataObject) -> None:
    assert_same_bytes_and_meaning("event", draw.draw(any_event(payload)))


@pytest.mark.parametrize("name", ["rejected", "coverage", "witness"])
@given(draw=st.data())
def test_record_is_written_as_fastavro_writes_it(name: str, draw: st.DataObject) -> None:
    assert_same_bytes_and_meaning(name, draw.draw(any_record(name)))


LEVEL = """{"type": "record", "name": "Level", "fields": [
  {"name": "side", "type": "string"},
  {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 18}},
  {"name": "quantity", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 18}}
]}"""  # noqa: E501 - one field a line


@pytest.mark.parametrize(
    "digits",
    [
        "0",
        "-0.000000000000000001",
        "0.000000000000000127",
        "-0.000000000000000128",
        "99999999999999999999.999999999999999999",
        "-99999999999999999999.999999999999999999",
        "1E+19",
        "30",
        "30.0",
    ],
)
def test_amount_keeps_every_digit(encoder: MakeEncoder, digits: str) -> None:
    written = encoder(LEVEL)(Level("", Decimal(digits), Decimal(0)))
    read = fastavro.schemaless_reader(io.BytesIO(written), json.loads(LEVEL), None)
    assert read["price"] == Decimal(digits)


@given(
    amount=st.decimals(allow_nan=False, allow_infinity=False, places=18).filter(
        lambda amount: abs(amount) < Decimal("1e20")
    ),
    exponent=st.integers(0, 19),
)
def test_any_amount_is_the_same_bytes_in_both_languages(amount: Decimal, exponent: int) -> None:
    for number in (amount, amount.normalize(), Decimal(f"{int(amount) % 10}E+{exponent}")):
        level = Level("", number, -number)
        written = {language: make(LEVEL)(level) for language, make in LANGUAGES.items()}
        assert len({*written.values()}) == 1


def test_what_cannot_be_written_leaves_nothing_in_the_next_record(encoder: MakeEncoder) -> None:
    encode = encoder(LEVEL)
    sound = Level("buy", Decimal("1.5"), Decimal(2))
    expected = encode(sound)
    for broken in (
        Level("\ud800", Decimal(1), Decimal(1)),
        Level("buy", Decimal(1), Decimal("NaN")),
    ):
        with pytest.raises((UnicodeEncodeError, ValueError, ArithmeticError)):
            encode(broken)
        assert encode(sound) == expected


NUMBER = '{"type": "record", "name": "N", "fields": [{"name": "n", "type": "long"}]}'


class Numbered(msgspec.Struct):
    n: int


def test_fields_are_found_wherever_a_record_of_another_class_keeps_them(
    encoder: MakeEncoder,
) -> None:
    class Later(msgspec.Struct):
        added: str
        n: int

    class Unslotted:
        n = 7

    encode = encoder(NUMBER)
    for record in (Numbered(7), Later("", 7), Unslotted(), Numbered(7)):
        assert encode(record) == b"\x0e"


def test_record_that_lacks_a_field_is_refused(encoder: MakeEncoder) -> None:
    encode = encoder(NUMBER)
    for record in (Level("", Decimal(0), Decimal(0)), msgspec.defstruct("Other", [])()):
        with pytest.raises(AttributeError):
            encode(record)
    assert encode(Numbered(7)) == b"\x0e"


@pytest.mark.parametrize("bits", [0, 6, 7, 12, 13, 14, 26, 27, 28, 41, 42, 51, 52, 62, 63])
def test_number_is_written_as_fastavro_writes_it_wherever_a_byte_is_added(
    encoder: MakeEncoder, bits: int
) -> None:
    near = [2**bits + more for more in (-2, -1, 0, 1) if 2**bits + more < 2**63]
    for n in [*near, *(-number for number in near), -(2**63)]:
        expected = io.BytesIO()
        fastavro.schemaless_writer(expected, json.loads(NUMBER), {"n": n})
        assert encoder(NUMBER)(Numbered(n)) == expected.getvalue()


def test_more_words_and_amounts_than_are_remembered_stay_right(
    encoder: MakeEncoder,
) -> None:
    encode = encoder(LEVEL)
    for number in range(10_000):
        record = Level(f"side {number}", Decimal(number), Decimal(-number))
        read = fastavro.schemaless_reader(io.BytesIO(encode(record)), json.loads(LEVEL), None)
        assert read == msgspec.structs.asdict(record)


def test_amount_with_more_places_than_the_schema_is_refused_not_rounded(
    encoder: MakeEncoder,
) -> None:
    with pytest.raises(ArithmeticError):
        encoder(LEVEL)(Level("", Decimal("1E-19"), Decimal(0)))


@pytest.mark.parametrize(
    "construct",
    ['"double"', '{"type": "map", "values": "int"}', '["int", "string"]', '"Elsewhere"'],
)
def test_construct_outside_the_contract_is_refused_when_the_schema_is_loaded(
    encoder: MakeEncoder,
    construct: str,
) -> None:
    text = '{"type": "record", "name": "R", "fields": [{"name": "f", "type": %s}]}'
    with pytest.raises(ValueError, match="no rule for"):
        encoder(text % construct)


def test_confluent_prefix_is_a_zero_and_the_id_big_endian() -> None:
    assert confluent(258) == b"\x00\x00\x00\x01\x02"


@given(event=any_event("notice"))
def test_time_of_the_headers_has_every_microsecond_of_the_event(event: Event) -> None:
    (told,) = [value for name, value in codec.cloud_event_headers(event) if name == "ce_time"]
    assert told.endswith(b"Z")
    assert len(told) == len("2026-11-21T00:00:00.000000Z")
    assert datetime.fromisoformat(told.decode()) == plain(event.occurred_at, "occurred_at")

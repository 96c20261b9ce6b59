"""What we wrote is read back by ourselves too, older versions included."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.avro_reader import Reader
from schemas.codec import (
    confluent,
    encode_coverage,
    encode_event,
    encode_rejected,
    encode_witness,
    encoder,
    schema_text,
)
from schemas.records import Coverage, Event, Rejected, Witness
from tests.schemas.record_strategies import any_record

NUMBERS = {"coverage": 1, "rejected": 2, "witness": 3, "event": 4}
ENCODE = {
    "coverage": encode_coverage,
    "rejected": encode_rejected,
    "witness": encode_witness,
    "event": encode_event,
}
KIND = {"coverage": Coverage, "rejected": Rejected, "witness": Witness, "event": Event}


def text_of(number: int) -> str:
    return next(schema_text(name) for name, known in NUMBERS.items() if known == number)


@pytest.mark.parametrize("name", NUMBERS)
@given(draw=st.data())
def test_a_record_is_read_back_as_it_was_written(name: str, draw: st.DataObject) -> None:
    record = draw.draw(any_record(name))
    value = confluent(NUMBERS[name]) + ENCODE[name](record)
    assert Reader(KIND[name], text_of)(value) == record


@pytest.mark.parametrize("value", [b"", b"\x01\x00\x00\x00\x02", b"\x00\x00\x00\x00\x02", b"\x00"])
def test_what_is_no_record_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        Reader(Rejected, text_of)(value)


@given(any_record("witness"))
def test_what_an_older_version_lacked_has_its_default(record: Witness) -> None:
    schema = json.loads(schema_text("witness"))
    older = json.dumps({**schema, "fields": schema["fields"][:-1]})
    value = confluent(7) + encoder(older)(record)
    assert Reader(Witness, lambda _: older)(value) == replace(record, published_at=0)

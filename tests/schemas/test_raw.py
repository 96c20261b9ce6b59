"""Raw records: headers say who, how and when; they are read back as written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import raw_headers, raw_record
from schemas.records import Kind, Raw, Via

RAWS = st.builds(
    Raw,
    provider=st.text(),
    account=st.text(),
    environment=st.text(),
    via=st.sampled_from(Via),
    route=st.text(),
    kind=st.sampled_from(Kind),
    connection=st.text(),
    sequence=st.integers(0, 2**52),
    received_at=st.integers(0, 2**52),
    signature=st.dictionaries(st.text(min_size=1), st.text()),
    value=st.binary(),
)
RAW = Raw(
    provider="acme",
    account="main",
    environment="sandbox",
    via=Via.SOCKET,
    route="orders",
    kind=Kind.FRAME,
    connection="c1",
    sequence=7,
    received_at=1_700_000_000_000_001,
    value=b"{}",
)


@given(RAWS)
def test_raw_record_is_read_back_as_it_was_written(raw: Raw) -> None:
    assert raw_record(raw_headers(raw), raw.value) == raw


def test_header_names_are_those_of_the_design() -> None:
    assert dict(raw_headers(RAW)) == {
        "provider": b"acme",
        "account": b"main",
        "environment": b"sandbox",
        "via": b"socket",
        "route": b"orders",
        "kind": b"frame",
        "connection": b"c1",
        "sequence": b"7",
        "received_at": b"1700000000000001",
    }


@pytest.mark.parametrize("name", dict(raw_headers(RAW)))
def test_record_without_a_header_was_not_written_by_ingest(name: str) -> None:
    headers = [(other, value) for other, value in raw_headers(RAW) if other != name]
    with pytest.raises(ValueError, match=name):
        raw_record(headers, b"")


@pytest.mark.parametrize("name", ["via", "kind", "sequence", "received_at"])
def test_header_that_cannot_be_read_was_not_written_by_ingest(name: str) -> None:
    headers = {**dict(raw_headers(RAW)), name: b"?"}
    with pytest.raises(ValueError, match=r"."):
        raw_record(headers.items(), b"")

"""Records of ``open``: JSON that ingest reads back as the task wrote it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode_open, encode_open
from schemas.records import OpenEntity

TRADE = OpenEntity(
    provider="acme",
    account="main",
    entity_kind="trade",
    entity_id="t1",
    status="pending",
    since=1_700_000_000_000_001,
)


def test_an_open_entity_is_json_under_its_names() -> None:
    assert msgspec.json.decode(encode_open(TRADE)) == {
        "provider": "acme",
        "account": "main",
        "entity_kind": "trade",
        "entity_id": "t1",
        "status": "pending",
        "since": 1_700_000_000_000_001,
    }
    assert TRADE.key == "acme/main/trade/t1"


@given(
    st.builds(
        OpenEntity,
        provider=st.text(),
        account=st.text(),
        entity_kind=st.text(),
        entity_id=st.text(),
        status=st.text(),
        since=st.integers(0, 2**52),
    )
)
def test_an_open_entity_is_read_back_as_it_was_written(entity: OpenEntity) -> None:
    assert decode_open(encode_open(entity)) == entity


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"provider": 1}'])
def test_what_is_no_open_entity_is_refused(value: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_open(value)

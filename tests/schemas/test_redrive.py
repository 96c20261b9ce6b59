"""Records of redrive: the original's bytes and headers, and which part of it is meant."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import raw_headers, raw_record
from schemas.records import Header, Position, Rejected
from schemas.redrive import (
    MAX_ATTEMPTS,
    Again,
    Asked,
    NotRedriven,
    again,
    again_headers,
    decode_asked,
    encode_asked,
    redrive,
)
from tests.schemas.test_raw import RAW

REJECTED = Rejected(
    provider="acme",
    account="main",
    environment="sandbox",
    reason="malformed",
    message="$: expected an object, found none",
    topic="raw.acme",
    partition=3,
    offset=19,
    part="/0/1",
    value=RAW.value,
    size=len(RAW.value),
    headers=tuple(Header(name, value) for name, value in raw_headers(RAW)),
    mapper="acme@1",
    attempt=1,
    received_at=RAW.received_at,
    rejected_at=RAW.received_at + 1,
)
ABOUT = st.builds(
    Again,
    of=st.builds(Position, st.just("raw.x"), st.integers(0), st.integers(0)),
    part=st.text(),
    attempt=st.integers(1, 5),
)


def test_a_redriven_part_has_the_bytes_and_headers_of_its_frame() -> None:
    record = redrive(REJECTED)
    assert (record.partition, record.key) == (3, "main")
    assert raw_record(record.headers, record.value) == RAW
    assert again(record.headers) == Again(Position("raw.acme", 3, 19), "/0/1", attempt=2)


def test_header_names_are_those_of_the_design() -> None:
    assert again_headers(Again(Position("raw.acme", 3, 19), "/a", 2)) == [
        ("of", b"raw.acme/3/19"),
        ("part", b"/a"),
        ("attempt", b"2"),
    ]


@given(ABOUT)
def test_what_it_is_about_is_read_back(told: Again) -> None:
    assert again(again_headers(told)) == told


def test_after_five_attempts_it_stays_rejected() -> None:
    last = msgspec.structs.replace(REJECTED, attempt=MAX_ATTEMPTS - 1)
    assert again(redrive(last).headers).attempt == 5
    with pytest.raises(NotRedriven, match="stays rejected"):
        redrive(msgspec.structs.replace(REJECTED, attempt=5))


def test_a_frame_that_was_cut_is_redriven_whole_or_not_at_all() -> None:
    cut = msgspec.structs.replace(REJECTED, value=RAW.value[:1])
    with pytest.raises(NotRedriven, match=r"raw\.acme partition 3 offset 19"):
        redrive(cut)
    assert redrive(cut, RAW.value).value == RAW.value


@pytest.mark.parametrize("name", ["of", "part", "attempt"])
def test_a_record_that_does_not_say_what_it_is_about_is_refused(name: str) -> None:
    headers = [header for header in redrive(REJECTED).headers if header[0] != name]
    with pytest.raises(ValueError, match=name):
        again(headers)
    for value in (b"?", b"a/b/c", b""):
        if name != "part":
            with pytest.raises(ValueError, match=r"."):
                again([*headers, (name, value)])


@given(st.lists(ABOUT).map(tuple))
def test_audit_names_every_part_that_was_asked_for(parts: tuple[Again, ...]) -> None:
    asked = Asked(
        run="r1",
        asked_at=1,
        by="ada@desk",
        filters={"reason": "conflict"},
        chosen=len(parts),
        parts=parts,
    )
    assert decode_asked(encode_asked(asked)) == asked

"""Records in a segment: whole ones are found, whatever happened around them."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.framing import cut, found, framed

payloads = st.lists(st.binary(min_size=1, max_size=60), max_size=8)
salts = st.integers(0, 2**32 - 1)


def told(segment: bytes, salt: int, start: int = 0) -> list[bytes]:
    return [each.payload for each in found(segment, salt, start)]


def joined(told: list[bytes], salt: int) -> bytes:
    return b"".join(framed(payload, salt) for payload in told)


@given(payloads, salts)
def test_what_was_written_is_read_in_its_order(written: list[bytes], salt: int) -> None:
    segment = joined(written, salt)
    assert told(segment, salt) == written
    assert cut(segment, salt) == 0


@given(payloads, salts, st.data())
def test_a_torn_tail_costs_only_the_record_that_it_tore(
    written: list[bytes], salt: int, data: st.DataObject
) -> None:
    segment = joined(written, salt)
    end = data.draw(st.integers(0, len(segment)))
    whole = [each.payload for each in found(segment, salt) if each.end <= end]
    assert told(segment[:end], salt) == whole
    assert cut(segment[:end], salt) == end - len(joined(whole, salt))


@given(payloads, payloads, salts, st.integers(1, 5000))
def test_a_tail_of_zeroes_is_no_record(
    before: list[bytes], behind: list[bytes], salt: int, zeroes: int
) -> None:
    segment = joined(before, salt) + bytes(zeroes) + joined(behind, salt)
    assert told(segment, salt) == before + behind
    assert cut(segment, salt) == zeroes


@given(payloads.filter(bool), salts, st.data())
def test_a_flipped_bit_costs_one_record_and_none_of_its_neighbours(
    written: list[bytes], salt: int, data: st.DataObject
) -> None:
    segment = bytearray(joined(written, salt))
    at = data.draw(st.integers(0, len(segment) - 1))
    segment[at] ^= 1 << data.draw(st.integers(0, 7))
    ends = [each.end for each in found(joined(written, salt), salt)]
    hit = sum(end <= at for end in ends)
    assert told(bytes(segment), salt) == written[:hit] + written[hit + 1 :]


@given(st.binary(min_size=1, max_size=60), salts, salts)
def test_a_frame_cannot_pass_for_a_record_where_the_one_around_it_is_damaged(
    forged: bytes, salt: int, guessed: int
) -> None:
    segment = bytearray(framed(framed(forged, guessed), salt))
    segment[5] ^= 1  # The length: what is in the payload is searched for a record.
    assert told(bytes(segment), salt) == ([forged] if guessed == salt else [])


@given(payloads, salts, st.data())
def test_reading_begins_where_a_record_ended(
    written: list[bytes], salt: int, data: st.DataObject
) -> None:
    segment = joined(written, salt)
    ends = [0, *(each.end for each in found(segment, salt))]
    number = data.draw(st.integers(0, len(written)))
    assert told(segment, salt, ends[number]) == written[number:]

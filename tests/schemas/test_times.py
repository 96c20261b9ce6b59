"""Times as text: the form that ids and headers are made of."""

from schemas.times import micros_ascii, millis_text


def test_time_for_an_id_has_milliseconds_and_is_cut_not_rounded() -> None:
    assert millis_text(1743772509000000) == "2025-04-04T13:15:09.000Z"
    assert millis_text(1743772509999999) == "2025-04-04T13:15:09.999Z"


def test_time_for_a_header_keeps_its_microseconds() -> None:
    assert micros_ascii(1743772509000001) == b"2025-04-04T13:15:09.000001Z"


def test_both_ends_of_the_times_that_we_take_can_be_written() -> None:
    assert millis_text(0) == "1970-01-01T00:00:00.000Z"
    assert micros_ascii(2**52 - 1) == b"2112-09-17T23:53:47.370495Z"

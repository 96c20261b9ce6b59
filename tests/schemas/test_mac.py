"""Our way to HMAC-SHA256, held to the library's."""

import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.mac import mac


@given(key=st.binary(max_size=130), messages=st.lists(st.binary(), min_size=1))
@example(key=bytes(64), messages=[b"", b"a"])
@example(key=bytes(65), messages=[b"", b"a"])
def test_it_is_what_the_library_says_however_often_a_key_signs(
    key: bytes, messages: list[bytes]
) -> None:
    assert [mac(key, message) for message in messages] == [
        hmac.digest(key, message, "sha256") for message in messages
    ]

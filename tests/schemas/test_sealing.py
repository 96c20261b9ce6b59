"""Sealed tokens: they open where they belong, under the key that sealed them, and nowhere else."""

from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import SigningKey
from schemas.sealing import (
    NONCE_BYTES,
    KeysSection,
    Unopened,
    opened,
    record_key,
    seal,
    sealing_key,
)

SEALED_WITH = bytes(range(32))
NONCE = bytes(range(NONCE_BYTES))
KEY = SigningKey(
    provider="acme",
    account="main",
    key_id="4f1c",
    token="an access token",
    minted_at=1_750_000_000_000_000,
    expires_at=1_750_604_800_000_000,
)
VALUE = seal(KEY, SEALED_WITH, NONCE)
WRITTEN = (
    # By hand: the form, the nonce, then AESGCM of the JSON, with the form and the key beside it.
    "01000102030405060708090a0b3c20a669aa93ab7fe833b5b193881b00e6f4ab1691183c134d0991a7274b6d"
    "d3687e8cd08daa77e12bcd1bcfb2a51c5edf3a42a178a2ccb15af908233a829bce915fa51fa0a20615733fcf"
    "00cda32c8551e4bd07123c321cdfc7affb4dc089bdfbc869d69471f82aae2c12902d0d5116c80211f482b107"
    "a07cc862fdb4d65a368b6230f684e7fb6375729b0fb95b4f74eb993beabe58eef1be"
)


def test_what_was_sealed_opens_again() -> None:
    assert record_key(KEY) == "acme/main/4f1c"
    assert opened("acme/main/4f1c", VALUE, SEALED_WITH) == KEY


def test_form_of_a_value_is_what_records_of_years_ago_have() -> None:
    assert VALUE.hex() == WRITTEN


def test_token_is_in_no_value_and_no_repr() -> None:
    assert b"access token" not in VALUE
    assert "access token" not in repr(KEY)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(Unopened, match=r"^keys, record acme/main/4f1c: .*keys\.seal") as caught:
        opened("acme/main/4f1c", VALUE, bytes(32))
    assert "access token" not in str(caught.value)


@given(at=st.integers(0, len(VALUE) - 1), change=st.integers(1, 255))
def test_one_altered_byte_anywhere_opens_nothing(at: int, change: int) -> None:
    altered = bytearray(VALUE)
    altered[at] ^= change
    with pytest.raises(Unopened):
        opened("acme/main/4f1c", bytes(altered), SEALED_WITH)


@given(st.integers(0, len(VALUE) - 1))
def test_torn_value_opens_nothing(length: int) -> None:
    with pytest.raises(Unopened):
        opened("acme/main/4f1c", VALUE[:length], SEALED_WITH)


@pytest.mark.parametrize("at", ["acme/other/4f1c", "acme/main/4f1d", "other/main/4f1c"])
def test_value_moved_to_another_record_key_opens_nothing(at: str) -> None:
    with pytest.raises(Unopened):
        opened(at, VALUE, SEALED_WITH)


def test_later_form_asks_for_an_upgrade() -> None:
    with pytest.raises(Unopened, match="upgrade"):
        opened("acme/main/4f1c", b"\x02" + VALUE[1:], SEALED_WITH)


def test_same_token_sealed_again_cannot_be_told_from_another() -> None:
    again = seal(replace(KEY, key_id="77aa"), SEALED_WITH, NONCE[::-1])
    assert again[1 + NONCE_BYTES :][:16] != VALUE[1 + NONCE_BYTES :][:16]
    assert opened("acme/main/77aa", again, SEALED_WITH).token == KEY.token


# ---- the key that seals --------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [SEALED_WITH.hex(), SEALED_WITH.hex().upper(), b64encode(SEALED_WITH).decode()]
)
def test_key_is_read_in_hex_and_in_base64(text: str) -> None:
    assert sealing_key(f"{text}\n") == SEALED_WITH


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "0 bytes"),
        (SEALED_WITH[:16].hex(), "16 bytes"),
        (b64encode(SEALED_WITH + b"!").decode(), "33 bytes"),
        ("correct horse battery staple", "other text"),
        ("пароль", "other text"),
    ],
)
def test_anything_else_is_one_line_that_does_not_repeat_it(text: str, found: str) -> None:
    with pytest.raises(ValueError, match=found) as caught:
        sealing_key(text)
    assert "openssl rand -base64 32" in str(caught.value)
    assert not text or text not in str(caught.value)


def test_section_takes_a_reference_and_never_the_key_itself() -> None:
    assert KeysSection.model_validate({"seal": "env:PENSTOCK_SEAL"}).seal == "env:PENSTOCK_SEAL"
    assert KeysSection().seal is None
    with pytest.raises(ValueError, match="seal") as caught:
        KeysSection.model_validate({"seal": SEALED_WITH.hex()})
    assert SEALED_WITH.hex() not in str(caught.value)

"""Whose key signed a rejected frame, and what a ring knows of minted keys."""

import pytest

from processors.errors import Malformed, OperatorError, Unverified
from processors.frame import Frame, rejection_of
from processors.mapper import Keys, Mapper, Part
from processors.pipeline import verifies
from processors.settings import KeyRing, Processors, References, Settings
from schemas.records import Kind, Position, Raw, Rejected, SigningKey, Via
from schemas.sealing import KeysSection

KEYS = Keys(reference_id="r1", reference=b"reference", verification={"set": b"in settings"})


def opened(raw: Raw, keys: Keys) -> list[Part]:
    if raw.value.removeprefix(b"torn ") not in keys.verification.values():
        raise Unverified("frame: expected one of our keys, found another")
    if raw.value.startswith(b"torn "):
        raise Malformed("frame: expected a whole one, found a torn one")
    return []


ACME = Mapper(provider="acme", version=1, open=opened, routes={})


def rejected(value: bytes) -> Rejected:
    raw = Raw(
        provider="acme",
        account="main",
        environment="sandbox",
        via=Via.SOCKET,
        route="orders",
        kind=Kind.FRAME,
        connection="c1",
        sequence=1,
        received_at=1,
        value=value,
    )
    frame = Frame(raw, Position("raw.acme", 0, 1), ACME, "")
    return rejection_of(frame, "", Unverified("frame"), None, 1)


@pytest.mark.parametrize(
    ("value", "is_verified"), [(b"in settings", True), (b"torn in settings", True), (b"?", False)]
)
def test_a_key_verifies_what_it_signed_whatever_else_is_wrong_with_it(
    value: bytes, *, is_verified: bool
) -> None:
    assert verifies(rejected(value), ACME, KEYS) is is_verified


def minted(account: str) -> SigningKey:
    return SigningKey(
        provider="acme", account=account, key_id="new", token="minted", minted_at=1, expires_at=2
    )


def test_a_minted_key_is_the_newest_of_its_account_beside_those_of_the_settings() -> None:
    unlisted = Keys(reference_id="r1", reference=b"reference")
    ring = KeyRing({("acme", "main"): KEYS}, unlisted)
    ring.add(minted("main"))
    ring.add(minted("other"))
    assert list(ring.of("acme", "main").verification.items()) == [
        ("new", b"minted"),
        ("set", b"in settings"),
    ]
    assert ring.of("acme", "other").verification == {"new": b"minted"}
    assert ring.of("acme", "third").verification == {}
    assert KEYS.verification == {"set": b"in settings"}


def settings(seal: str | None) -> Settings:
    references = References(id="r1", key="env:REFERENCE")
    return Settings(processors=Processors(references=references), keys=KeysSection(seal=seal))


def test_without_a_seal_no_key_is_followed() -> None:
    assert settings(None).sealed_with() is None


def test_a_seal_is_32_bytes_or_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAL", "11" * 32)
    assert settings("env:SEAL").sealed_with() == b"\x11" * 32
    monkeypatch.setenv("SEAL", "short and secret")
    with pytest.raises(OperatorError, match=r"keys\.seal: expected 32 bytes") as caught:
        settings("env:SEAL").sealed_with()
    assert "secret" not in str(caught.value)

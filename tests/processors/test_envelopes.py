"""Envelopes: double encoding undone, and tokens judged as PyJWT judges them."""

import hmac
import json
from base64 import urlsafe_b64encode

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.envelopes import pusher, socketio, verified
from processors.errors import FrameError, Malformed, UnknownKind, Unverified
from schemas.tokens import SLACK

SECRET = b"new secret".ljust(64, b".")
OLDER = b"older secret".ljust(64, b".")
ANOTHER = b"another secret".ljust(64, b".")
RING = {"new": SECRET, "old": OLDER}
TWINS = {"twin": b"twin-access-token"}
NOW = 1_743_900_000 * 1_000_000
ORDER = {"id": "order-1", "status": "COMPLETED"}
CLAIMS = b'{"id":"order-1","status":"COMPLETED"}'

# "Vector" of providers/transak.md and of protocols.md 5: computed apart from this code.
VECTOR = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    ".eyJpZCI6Im9yZGVyLTEiLCJzdGF0dXMiOiJDT01QTEVURUQifQ"
    ".uUs0F0KvY3jbgkwLf4IN8Zq2LF3Bo7oOzgwK8xgoVQA"
)


# ---- Pusher -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "content"),
    [
        ({"a": 1}, b'{"a": 1}'),
        ('{"a": 1}', b'{"a": 1}'),
        ("  {}", b"{}"),
        ("a.b.c", "a.b.c"),
        ('"a.b.c"', "a.b.c"),
        ("", ""),
        ("[1]", "[1]"),
    ],
)
def test_data_is_an_object_whichever_way_it_is_encoded_and_text_otherwise(
    data: object, content: bytes | str
) -> None:
    frame = json.dumps({"event": "e", "channel": "c", "data": data}).encode()
    assert pusher(frame) == ("e", content)


@pytest.mark.parametrize("data", [None, 1, True, []])
def test_data_that_is_neither_text_nor_an_object_is_malformed(data: object) -> None:
    with pytest.raises(Malformed, match=r"^\$\.data: expected text or an object"):
        pusher(json.dumps({"event": "e", "data": data}).encode())


@pytest.mark.parametrize(
    "frame", [b"", b"[]", b'{"data":"{}"}', b'{"event":"e"}', b'{"event":"","data":{}}']
)
def test_a_message_without_an_event_or_data_is_malformed(frame: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        pusher(frame)


# ---- Socket.IO --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "opened"),
    [
        (b'42["trade",{"a":1}]', ("/", "trade", (b'{"a":1}',))),
        (b'42/user,["channel", 1.50 ,"b"]', ("/user", "channel", (b"1.50", b'"b"'))),
        (b'42/user?token=x,["x"]', ("/user", "x", ())),
        (b'4213["x"]', ("/", "x", ())),
        (b'42/m,13["a/b,c"]', ("/m", "a/b,c", ())),
    ],
)
def test_an_event_is_opened_to_its_name_and_the_bytes_of_its_arguments(
    frame: bytes, opened: tuple[str, str, tuple[bytes, ...]]
) -> None:
    assert socketio(frame) == opened


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b'451-["trade",{"_placeholder":true,"num":0}]', UnknownKind),
        (b'40{"sid":"x"}', UnknownKind),
        (b"42[]", Malformed),
        (b'42{"a":1}', Malformed),
        (b'42/public["x"]', Malformed),
        (b"42", Malformed),
        (b"9", Malformed),
        (b"", Malformed),
        (b"\x00\xff", Malformed),
        (b"42[7]", msgspec.MsgspecError),
        (b'42["x",NaN]', msgspec.MsgspecError),
        (b'42["x"', msgspec.MsgspecError),
        (b'42["\xff"]', UnicodeDecodeError),
    ],
)
def test_what_is_no_plain_event_is_refused(frame: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        socketio(frame)


# ---- tokens -----------------------------------------------------------------------------


def token(claims: object = ORDER, key: bytes = SECRET, **header: object) -> str:
    """Sign as the header says, whatever it says."""
    told = {"alg": "HS256", **header}
    return signed(json.dumps(told).encode(), json.dumps(claims).encode(), key, str(told["alg"]))


def signed(header: bytes, claims: bytes, key: bytes, algorithm: str = "HS256") -> str:
    text = f"{armoured(header)}.{armoured(claims)}"
    mac = hmac.digest(key, text.encode(), "sha512" if algorithm == "HS512" else "sha256")
    return f"{text}.{armoured(mac)}"


def armoured(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def unsigned(text: str) -> str:
    return text.rpartition(".")[0] + "."


def test_the_published_vector_verifies() -> None:
    assert verified(VECTOR, TWINS, NOW) == ("twin", CLAIMS)


def test_the_key_that_signed_is_named() -> None:
    assert verified(token(key=OLDER), RING, NOW).key_id == "old"


def test_a_number_in_the_claims_keeps_its_digits() -> None:
    claims = b'{"rate":0.0006130127560164107}'
    assert verified(signed(b'{"alg":"HS256"}', claims, SECRET), RING, NOW).claims == claims


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(token(key=ANOTHER), id="signed with another key"),
        pytest.param(unsigned(token(alg="none")), id="alg none"),
        pytest.param(token(alg="none"), id="alg none, signed"),
        pytest.param(token(alg="HS512"), id="HS512 with the right key"),
        pytest.param(token(alg="RS256"), id="RS256, signed as HS256"),
        pytest.param(token(alg="hs256"), id="a name like the right one"),
        pytest.param(token(alg=None), id="no alg"),
        pytest.param(token(crit=["b64"], b64=False), id="asks for an extension"),
        pytest.param(unsigned(VECTOR), id="no signature"),
        pytest.param(VECTOR[:-1] + "B", id="a signature with other last bits"),
        pytest.param(VECTOR.replace(armoured(CLAIMS), armoured(b"{}")), id="claims altered"),
    ],
)
def test_a_token_that_no_key_of_ours_signed_is_unverified(forged: str) -> None:
    with pytest.raises(Unverified):
        verified(forged, {**RING, **TWINS}, NOW)


def test_without_keys_nothing_is_verified() -> None:
    with pytest.raises(Unverified, match="one of 0 keys"):
        verified(VECTOR, {}, NOW)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("not-a-token", id="one segment"),
        pytest.param(VECTOR.rpartition(".")[0], id="two segments"),
        pytest.param(VECTOR + ".x", id="four segments"),
        pytest.param("!!!" + VECTOR, id="a character of no alphabet"),
        pytest.param(VECTOR.replace("_", "/").replace("-", "+").replace("eyJp", "ey/p"), id="+/"),
        pytest.param(VECTOR + "=", id="padding"),
        pytest.param("é" + VECTOR, id="not ASCII"),
    ],
)
def test_text_that_is_no_token_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match=r"^token: expected "):
        verified(text, RING, NOW)


@pytest.mark.parametrize("header", [b"", b"[]", b"{", b'{"alg":1}', b'{"alg":"\xff"}'])
def test_a_header_that_is_no_json_object_is_malformed(header: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        verified(signed(header, CLAIMS, SECRET), RING, NOW)


@pytest.mark.parametrize("claims", [[], "text", 1, None, {"exp": "tomorrow"}])
def test_signed_claims_that_are_no_json_object_are_malformed(claims: object) -> None:
    with pytest.raises(msgspec.MsgspecError):
        verified(token(claims), RING, NOW)


def test_a_token_is_taken_until_a_minute_after_it_expired() -> None:
    expiry = NOW // 1_000_000 - SLACK
    assert verified(token({**ORDER, "exp": expiry}), RING, NOW)
    with pytest.raises(Unverified, match="exp"):
        verified(token({**ORDER, "exp": expiry - 1}), RING, NOW)


def test_no_message_of_ours_shows_what_a_token_says() -> None:
    told = token({"id": "planted"}, key=ANOTHER)
    for text in (told, told + "=", f"planted{told}", token(alg="planted")):
        with pytest.raises(FrameError) as refused:
            verified(text, RING, NOW)
        assert "planted" not in str(refused.value)
        assert told.split(".")[1] not in str(refused.value)


def judged_by_us(text: str) -> bytes | None:
    try:
        return verified(text, RING, NOW).claims
    except (FrameError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def judged_by_pyjwt(text: str) -> bytes | None:
    for key in RING.values():
        try:
            payload = jwt.PyJWS().decode(text, key, ["HS256"])
            jwt.decode(text, key, ["HS256"], {"verify_exp": False})
        except (jwt.InvalidTokenError, UnicodeEncodeError):
            continue
        assert isinstance(payload, bytes)
        return payload
    return None


SPOILS = st.tuples(
    st.integers(0, 400), st.sampled_from(["", "A", "-", "_", "+", ".", "é"]), st.integers(0, 1)
)
"""Where, what to put there, and how many characters it replaces. No "=", which PyJWT takes."""


@given(
    claims=st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(), max_size=3),
    key=st.sampled_from([SECRET, OLDER, ANOTHER]),
    algorithm=st.sampled_from(["HS256", "HS256", "HS512", "none"]),
    spoil=st.none() | SPOILS,
)
def test_an_independent_judge_comes_to_the_same_verdict(
    claims: dict[str, object], key: bytes, algorithm: str, spoil: tuple[int, str, int] | None
) -> None:
    text = token(claims, key, alg=algorithm)
    if spoil is not None:
        at, put, cut = spoil
        text = text[:at] + put + text[at + cut :]
    assert judged_by_us(text) == judged_by_pyjwt(text)

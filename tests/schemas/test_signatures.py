"""What a delivery's signature covers, where the delivery does not show it as bytes."""

import json

import pytest

from schemas.signatures import assetpay

KEY = "0" * 64
TIME = "2026-03-11T10:00:00.000Z"


def covered(trade: str) -> bytes:
    body = f'{{"payload":{{"trade":{trade},"timestamp":"{TIME}","key":"{KEY}"}}}}'
    return assetpay.signed({}, body.encode()).text


@pytest.mark.parametrize(
    ("told", "printed"),
    [
        ('{"b": 1, "a": {"d": [1, 2], "c": null}}', '{"a":{"c":null,"d":[1,2]},"b":1}'),
        ('{"a": 8.60}', '{"a":8.6}'),
        ('{"a": 10.0}', '{"a":10}'),
        ('{"a": 0.00001}', '{"a":0.00001}'),
        ('{"a": true, "b": "é\\n"}', '{"a":true,"b":"é\\n"}'),
    ],
)
def test_the_older_assetpay_signs_what_javascript_prints(told: str, printed: str) -> None:
    assert covered(told) == printed.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        json.dumps({"payload": None}).encode(),
        json.dumps({"payload": {"trade": {}, "timestamp": TIME, "key": "short"}}).encode(),
        json.dumps({"payload": {"trade": {}, "timestamp": "yesterday", "key": KEY}}).encode(),
        json.dumps({"payload": {"trade": {}, "timestamp": 5, "key": KEY}}).encode(),
        b'{"payload":' + b"[" * 100_000,
    ],
)
def test_a_body_that_says_no_signature_is_an_error_with_one_line(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected it, or payload\.key, found neither"):
        assetpay.signed({}, body)

"""``[kafka]``: what may be said together, and what must never be repeated."""

import ssl
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed
from pydantic import ValidationError

from schemas.connection import Connection, KafkaSection, Security

SECRET = "correct horse battery staple"
SIGNED_IN = {"security": "sasl_tls", "username": "penstock", "password": "env:KAFKA_PASSWORD"}


def connection(told: dict[str, str]) -> Connection:
    return KafkaSection.model_validate(told).connection(lambda _: SECRET)


def test_nothing_said_is_this_machine_in_the_clear() -> None:
    assert connection({}) == Connection("127.0.0.1:9092")
    assert connection({}).for_librdkafka() == {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "PLAINTEXT",
    }


def test_a_user_signs_in_over_tls_with_either_client() -> None:
    told = connection({"bootstrap_servers": "kafka:9093", **SIGNED_IN})
    for_aiokafka = told.for_aiokafka()
    assert for_aiokafka["security_protocol"] == "SASL_SSL"
    assert for_aiokafka["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert for_aiokafka["ssl_context"].check_hostname
    assert for_aiokafka["sasl_mechanism"] == "SCRAM-SHA-512"
    assert for_aiokafka["sasl_plain_password"] == SECRET
    assert told.for_librdkafka() == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "penstock",
        "sasl.password": SECRET,
    }


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"security": "ssl"}, "plaintext"),
        ({"security": "sasl_tls", "username": "penstock"}, "needs username and password"),
        ({"security": "tls", "username": "penstock"}, 'need security = "sasl_tls"'),
        ({"password": "env:KAFKA_PASSWORD"}, 'need security = "sasl_tls"'),
        ({"ca": "/ca.pem"}, 'ca needs security = "tls"'),
        ({"security": "tls", "ca": "/nowhere/ca.pem"}, "cannot read /nowhere/ca.pem"),
        ({"sasl": "plain"}, "not permitted"),
    ],
)
def test_what_cannot_be_meant_is_refused(told: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        KafkaSection.model_validate(told)


def test_a_password_is_never_repeated() -> None:
    told = connection(SIGNED_IN)
    assert told.security is Security.SASL_TLS
    assert SECRET not in repr(told) + str(told)
    with pytest.raises(ValidationError) as refused:
        KafkaSection.model_validate({**SIGNED_IN, "password": SECRET})
    assert SECRET not in str(refused.value)


def test_an_authority_must_be_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(ValidationError, match="holds no certificate in PEM"):
        connection({"security": "tls", "ca": str(tmp_path / "ca.pem")})


def test_only_what_waiting_will_not_mend_is_a_refusal() -> None:
    told = connection(SIGNED_IN)
    assert "kafka.password" in str(told.refusal(SaslAuthenticationFailed()))
    assert told.refusal(ConnectionRefusedError()) is None
    assert told.refusal(KafkaConnectionError()) is None

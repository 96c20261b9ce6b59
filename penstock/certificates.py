"""Who a secured local stack is: an authority of its own, a certificate, a user.

Kafka reads PEM: https://kafka.apache.org/documentation/#security_ssl. The certificate names the
loopback address, is made anew at every start of the stack and lives a week; its authority's key
is never written.
"""

import datetime as dt
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from penstock.ports import LOOPBACK
from schemas.connection import MECHANISM, Connection, Security

_LIVES: Final = dt.timedelta(days=7)
_LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True, slots=True)
class Identity:
    """The files and the one user of a secured stack."""

    directory: Path
    username: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, stack: Path) -> Self:
        """Return the identity of a stack that was started in a directory."""
        directory = stack / "tls"
        return cls(directory, "penstock", (directory / "password").read_text())

    @classmethod
    def renewed(cls, stack: Path) -> Self:
        """Return the identity of a stack about to start: new certificates, the old password."""
        _make(stack / "tls")
        return cls.of(stack)

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def password_file(self) -> Path:
        return self.directory / "password"

    def connection(self, bootstrap_servers: str) -> Connection:
        return Connection(
            bootstrap_servers, Security.SASL_TLS, str(self.ca), self.username, self.password
        )

    def broker_settings(self) -> Mapping[str, str]:
        """Return what a broker must know: clients and brokers by password, controllers by TLS."""
        clients = f"listener.name.clients.{MECHANISM.lower()}.sasl.jaas.config"
        return {
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SSL",
            "sasl.enabled.mechanisms": MECHANISM,
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            clients: f'{_LOGIN} required username="{self.username}" password="{self.password}";',
            # A password is known once its record is read from the controllers: these need another.
            "listener.name.controller.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.directory / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
        }


def _make(directory: Path) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key.public_key(), authority, authority_key)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    shown = certificate.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)
    _write(directory / "ca.pem", authority.public_bytes(Encoding.PEM))
    _write(directory / "broker.pem", private + shown)
    if not (directory / "password").is_file():  # The cluster knows it from its first start.
        _write(directory / "password", secrets.token_hex(16).encode())


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a local penstock stack")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _begun(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    key: ec.EllipticCurvePublicKey, authority: x509.Certificate, signs: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    reached_as = [x509.IPAddress(ipaddress.ip_address(LOOPBACK)), x509.DNSName("localhost")]
    return (
        _begun(name, authority.subject, key)
        .add_extension(x509.SubjectAlternativeName(reached_as), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signs.public_key()), critical=False
        )
        .sign(signs, hashes.SHA256())
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIVES)
    )

"""How a Kafka cluster is reached, and as whom: said once, in the words of both clients.

Both programs and the operator's command read the same section ``[kafka]``, and may not
import each other; so its shape is here. No client library is: each is given its options by
name, and each program reads the secret with its own reader.
https://kafka.apache.org/documentation/#security
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT_SERVERS: Final = "127.0.0.1:9092"
MECHANISM: Final = "SCRAM-SHA-512"
"""The only one spoken: the broker keeps no password, and none crosses the wire."""

_SASL_AUTHENTICATION_FAILED: Final = 58
"""https://kafka.apache.org/protocol#protocol_error_codes"""

Reference = Annotated[str, Field(pattern=r"^(env|file):.+")]
"""Where a secret is: ``env:NAME`` or ``file:/path``, never the secret itself."""


class Security(StrEnum):
    """What protects the connection."""

    PLAINTEXT = "plaintext"
    TLS = "tls"
    SASL_TLS = "sasl_tls"
    """TLS, and a user name with a password (SCRAM-SHA-512)."""


_PROTOCOLS: Final = {
    Security.PLAINTEXT: "PLAINTEXT",
    Security.TLS: "SSL",
    Security.SASL_TLS: "SASL_SSL",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster and the way to it. The password is in no ``repr``."""

    bootstrap_servers: str
    """``HOST:PORT[,HOST:PORT…]``."""
    security: Security = Security.PLAINTEXT
    ca: str | None = None
    """PEM file of who signs the brokers' certificates; None: whom the system trusts."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.bootstrap_servers

    def for_aiokafka(self) -> dict[str, Any]:
        """Return the arguments of every aiokafka client.

        https://aiokafka.readthedocs.io/en/stable/api.html#ssl-authentication
        """
        told: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": _PROTOCOLS[self.security],
        }
        if self.security is not Security.PLAINTEXT:
            told["ssl_context"] = ssl.create_default_context(cafile=self.ca)
        if self.security is Security.SASL_TLS:
            told["sasl_mechanism"] = MECHANISM
            told["sasl_plain_username"] = self.username
            told["sasl_plain_password"] = self.password
        return told

    def for_librdkafka(self) -> dict[str, str]:
        """Return the settings of every librdkafka client.

        https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
        """
        told = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": _PROTOCOLS[self.security],
        }
        if self.security is not Security.PLAINTEXT and self.ca:
            told["ssl.ca.location"] = self.ca
        if self.security is Security.SASL_TLS:
            told["sasl.mechanism"] = MECHANISM
            told["sasl.username"] = self.username or ""
            told["sasl.password"] = self.password or ""
        return told

    def refusal(self, error: BaseException) -> str | None:
        """Return one line if an error says that waiting will not help; None if it may.

        A broker that is away may come back; a certificate that is not trusted and a
        password that is wrong stay so until somebody changes them.
        """
        if isinstance(error, ssl.SSLCertVerificationError):
            return self.untrusted(error.verify_message)
        if getattr(error, "errno", None) == _SASL_AUTHENTICATION_FAILED:
            return self.unwelcome()
        return None

    def untrusted(self, why: str) -> str:
        return (
            f"kafka on {self} shows a certificate that {self.ca or 'the system'} does not "
            f"vouch for ({why}); correct kafka.ca or the address"
        )

    def unwelcome(self) -> str:
        return (
            f"kafka on {self} refuses user {self.username}; correct kafka.username or what "
            "kafka.password points to"
        )


class KafkaSection(BaseModel):
    """``[kafka]`` of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap_servers: str | None = None
    """None: this machine for the programs, a local stack for the operator's command."""
    security: Security = Security.PLAINTEXT
    ca: Path | None = None
    username: str | None = None
    password: Reference | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = self.username is not None, self.password is not None
        if self.security is Security.SASL_TLS and names != (True, True):
            raise ValueError('security = "sasl_tls" needs username and password')
        if self.security is not Security.SASL_TLS and any(names):
            raise ValueError('username and password need security = "sasl_tls"')
        if self.security is Security.PLAINTEXT and self.ca:
            raise ValueError('ca needs security = "tls" or "sasl_tls"')
        if self.ca:
            _require_certificate(self.ca)
        return self

    def connection(self, secret: Callable[[str], str]) -> Connection:
        """Return the connection; ``secret`` reads what a reference points to."""
        return Connection(
            bootstrap_servers=self.bootstrap_servers or DEFAULT_SERVERS,
            security=self.security,
            ca=str(self.ca) if self.ca else None,
            username=self.username,
            password=secret(self.password) if self.password else None,
        )


def _require_certificate(path: Path) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ValueError(f"ca: {path} holds no certificate in PEM") from error
    except OSError as error:
        raise ValueError(f"ca: cannot read {path} ({error.strerror})") from error

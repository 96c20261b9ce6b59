"""The processors' part of the settings file, and the secrets that it names."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from processors.errors import OperatorError
from processors.mapper import Keys
from schemas.connection import Connection, KafkaSection, Reference
from schemas.records import SigningKey
from schemas.sealing import KeysSection, sealing_key


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Registry(_Section):
    url: str = "http://127.0.0.1:8081/apis/ccompat/v7"


class References(_Section):
    """The key of the hashes that stand for persons."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    key: Reference


class Processors(_Section):
    application: str = Field(default="penstock", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Group id, and prefix of the transactional ids."""
    http: str = Field(default="127.0.0.1:0", pattern=r"^[^:]+:\d{1,5}$")
    references: References
    linger_ms: int = Field(default=18, ge=0, le=1000)
    """A broker is asked for records at most once in so many milliseconds."""
    state_directory: Path = Path("state")
    """Where tasks keep what they remember; a relative path is beside the settings file.

    Costs some 60 bytes for each fact of the horizon. It may be lost at any time, and is
    then rebuilt from the topic ``state``.
    """


class Account(BaseModel):
    """What mapping needs of an account; the rest of its table is ingest's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    name: str
    environment: Literal["production", "sandbox"]
    keys: dict[str, Reference] = Field(default_factory=dict)
    """Key id → verification key, newest first."""
    unit: Annotated[str, Field(pattern=r"^(1|0\.0{0,16}1)$")] | None = None
    """What the provider counts money in, where its documents do not say: ``1``, ``0.01`` …"""


class Settings(BaseModel):
    """Everything that the processors are told from outside."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kafka: KafkaSection = KafkaSection()
    registry: Registry = Registry()
    processors: Processors
    keys: KeysSection = KeysSection()
    accounts: tuple[Account, ...] = ()

    def sealed_with(self) -> bytes | None:
        """Return what seals ``keys``, read now; None where no token is minted.

        Raises ``OperatorError``.
        """
        if self.keys.seal is None:
            return None
        try:
            return sealing_key(_secret(self.keys.seal, "keys.seal").decode())
        except ValueError as error:
            raise OperatorError(f"keys.seal: {error}") from error

    def connection(self) -> Connection:
        """Return the way to Kafka, with its secret read now. Raises ``OperatorError``."""
        return self.kafka.connection(lambda at: _secret(at, "kafka.password").decode())


class Environment(BaseSettings):
    """Variables that win over the file: ``PENSTOCK_BOOTSTRAP_SERVERS`` and the like."""

    model_config = SettingsConfigDict(env_prefix="PENSTOCK_")

    settings: Path = Path("penstock.toml")
    bootstrap_servers: str | None = None
    registry_url: str | None = None


def load(path: Path | None = None) -> Settings:
    """Return the settings of a file, or of ``PENSTOCK_SETTINGS``, or ``penstock.toml``.

    Raises ``OperatorError`` with one line: what is wrong, where, and what to do.
    """
    environment = Environment()
    path = path or environment.settings
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OperatorError(
            f"cannot read {path} ({error.strerror}); name it by --settings"
        ) from error
    except ValueError as error:
        raise OperatorError(f"{path} is not TOML: {error}") from error
    if environment.bootstrap_servers:
        told.setdefault("kafka", {})["bootstrap_servers"] = environment.bootstrap_servers
    if environment.registry_url:
        told.setdefault("registry", {})["url"] = environment.registry_url
    try:
        settings = Settings.model_validate(told)
    except ValidationError as error:
        raise OperatorError(f"{path}: {_first_of(error)}") from error
    return _beside(path, settings)


def _beside(path: Path, settings: Settings) -> Settings:
    directory = path.resolve().parent / settings.processors.state_directory
    processors = settings.processors.model_copy(update={"state_directory": directory})
    return settings.model_copy(update={"processors": processors})


def _first_of(error: ValidationError) -> str:
    """Return one line about the first mistake; never the value, which may be a secret."""
    mistake = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(step) for step in mistake["loc"])
    return f"{where}: {mistake['msg']}"


class KeyRing:
    """The secrets that mapping needs, by account. Never in a ``repr``."""

    def __init__(self, listed: Mapping[tuple[str, str], Keys], unlisted: Keys) -> None:
        self._listed = dict(listed)
        self._unlisted = unlisted

    def add(self, key: SigningKey) -> None:
        """Take in a key that was minted while running: the newest of its account."""
        keys = self.of(key.provider, key.account)
        newest = {key.key_id: key.token.encode(), **keys.verification}
        self._listed[key.provider, key.account] = replace(keys, verification=newest)

    def of(self, provider: str, account: str) -> Keys:
        """Return an account's keys; of one that is not listed, nothing verifies."""
        return self._listed.get((provider, account), self._unlisted)


def key_ring(settings: Settings) -> KeyRing:
    """Read every secret that the settings name, now."""
    references = settings.processors.references
    unlisted = Keys(
        reference_id=references.id, reference=_secret(references.key, "processors.references.key")
    )
    listed = {
        (account.provider, account.name): replace(
            unlisted,
            places=None
            if account.unit is None
            else -int(Decimal(account.unit).as_tuple().exponent),
            verification={
                key_id: _secret(at, f"{account.provider} account {account.name}, key {key_id}")
                for key_id, at in account.keys.items()
            },
        )
        for account in settings.accounts
    }
    return KeyRing(listed, unlisted)


def _secret(reference: str, owner: str) -> bytes:
    kind, _, place = reference.partition(":")
    if kind == "env":
        secret = os.environ.get(place, "")
    else:
        try:
            secret = Path(place).read_text("utf-8")
        except OSError as error:
            raise OperatorError(f"{owner}: cannot read {place} ({error.strerror})") from error
    if not secret.strip():
        where = f"variable {place}" if kind == "env" else place
        raise OperatorError(f"{owner}: {where} is empty; put the secret there")
    return secret.strip().encode()

"""Ingest's part of the settings file. The only place that reads it."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest import credentials, feed
from ingest.errors import SettingsError
from ingest.feeds import FEEDS, WEBHOOKS, feed_of
from schemas.connection import Connection, KafkaSection, Reference
from schemas.sealing import KeysSection, sealing_key


def _known(provider: str) -> str:
    if provider not in FEEDS:
        raise ValueError(f"expected one of {', '.join(FEEDS)}")
    return provider


def _socket_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise ValueError("expected ws://host/path or wss://host/path")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("expected no query, fragment or user: credentials have their own place")
    return url


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Webhooks(_Section):
    address: str = Field(pattern=r"^[^:]+:\d{1,5}$")
    """Where deliveries are taken; port 0 is any. TLS is for who stands in front."""


class SpoolSection(_Section):
    """Where frames wait on disk while Kafka is slow or away."""

    directory: Path = Path("spool")
    """A relative path is beside the settings file. One process per account may use it."""
    max_bytes: int = Field(default=2**30, ge=2**20)
    """Of one account. Beyond that reading stops, and the hole is on ``coverage``."""
    fsync: bool = True
    """Whether what waits survives a power cut; a killed process it survives anyway."""
    persistent: bool = False
    """Whether the disk outlives the pod: then a webhook is answered once it is on it."""

    @model_validator(mode="after")
    def _durable(self) -> Self:
        if self.persistent and not self.fsync:
            raise ValueError("persistent needs fsync")
        return self


class Ingest(_Section):
    http: str = Field(default="127.0.0.1:9464", pattern=r"^[^:]+:\d{1,5}$")
    """Where ``/metrics`` and ``/health`` listen; port 0 is any."""
    webhooks: Webhooks | None = None
    spool: SpoolSection = SpoolSection()


class Account(_Section):
    provider: Annotated[str, AfterValidator(_known)]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Key on raw, and part of every id: a new name retells every fact."""
    environment: Literal["production", "sandbox"]
    url: Annotated[str, AfterValidator(_socket_url)] | None = None
    """None: what the provider publishes for the environment."""
    credentials: dict[str, Reference] = Field(default_factory=dict)
    keys: dict[str, Reference] = Field(default_factory=dict, repr=False)
    """Key id → what verifies the provider's signatures, newest first: the processors', too."""
    unit: Any = None
    """What money is counted in: the processors'."""
    webhook: dict[str, Any] | None = Field(default=None, repr=False)
    """Options of its deliveries; None: we take none."""
    options: dict[str, Any] = Field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}"

    def with_secrets(self) -> feed.Account:
        """Return what the feed sees, with secrets read now. Raises ``SettingsError``."""
        return feed.Account(
            provider=self.provider,
            name=self.name,
            environment=self.environment,
            url=self.url or feed_of(self.provider, self.name).endpoints[self.environment],
            options=self.options,
            secrets=credentials.read(self.credentials, f"account {self}"),
        )


class Settings(BaseModel):
    """Everything that ingest is told from outside."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kafka: KafkaSection = KafkaSection()
    keys: KeysSection = KeysSection()
    ingest: Ingest = Ingest()
    accounts: tuple[Account, ...] = Field(min_length=1)

    def connection(self) -> Connection:
        """Return the way to Kafka, with its secret read now. Raises ``SettingsError``."""
        return self.kafka.connection(lambda at: credentials.secret(at, "kafka.password"))

    def sealed_with(self) -> bytes | None:
        """Return the key that seals minted tokens, read now. Raises ``SettingsError``."""
        if self.keys.seal is None:
            return None
        try:
            return sealing_key(credentials.secret(self.keys.seal, "keys.seal"))
        except ValueError as error:
            raise SettingsError(f"keys.seal: {error}") from error


class Environment(BaseSettings):
    """Variables that win over the file: ``PENSTOCK_BOOTSTRAP_SERVERS`` and the like."""

    model_config = SettingsConfigDict(env_prefix="PENSTOCK_")

    settings: Path = Path("penstock.toml")
    bootstrap_servers: str | None = None


def load(path: Path | None = None, webhooks: str | None = None) -> Settings:
    """Return the settings of a file, or of ``PENSTOCK_SETTINGS``, or ``penstock.toml``.

    ``webhooks``: where this process takes them, whatever the file says.
    Raises ``SettingsError`` with one line: what is wrong, where, and what to do.
    """
    environment = Environment()
    path = path or environment.settings
    told = _told(path)
    if environment.bootstrap_servers:
        told.setdefault("kafka", {})["bootstrap_servers"] = environment.bootstrap_servers
    if webhooks:
        told.setdefault("ingest", {})["webhooks"] = {"address": webhooks}
    try:
        settings = Settings.model_validate(told)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_first_of(error)}") from error
    for account in settings.accounts:
        _check(account, path)
        _check_webhook(account, settings.ingest, path)
        _check_seal(account, settings.keys, path)
    _check_names(settings.accounts, path)
    return _beside(path, settings)


def _beside(path: Path, settings: Settings) -> Settings:
    directory = path.resolve().parent / settings.ingest.spool.directory
    spool = settings.ingest.spool.model_copy(update={"directory": directory})
    ingest = settings.ingest.model_copy(update={"spool": spool})
    return settings.model_copy(update={"ingest": ingest})


def chosen(settings: Settings, providers: Iterable[str]) -> tuple[Account, ...]:
    """Return the accounts of these providers, or all where none is named."""
    wanted = set(providers)
    accounts = tuple(a for a in settings.accounts if not wanted or a.provider in wanted)
    if missing := wanted - {account.provider for account in accounts}:
        raise SettingsError(
            f"no account of {', '.join(sorted(missing))}; add [[accounts]] or change --provider"
        )
    return accounts


def _told(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"cannot read {path} ({error.strerror}); name it by --settings"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


_REFERENCES = (("kafka", "password"), ("keys", "seal"))


def _first_of(error: ValidationError) -> str:
    """Return one line about the first mistake; never the value, which may be a secret."""
    mistake = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(step) for step in mistake["loc"])
    loc = mistake["loc"]
    is_secret = "credentials" in loc or (loc[:1] == ("accounts",) and "keys" in loc)
    if is_secret or loc in _REFERENCES:
        return f"{where}: expected env:NAME or file:/path, never the secret itself"
    return f"{where}: {mistake['msg']}"


def _check(account: Account, path: Path) -> None:
    followed = feed_of(account.provider, account.name)
    if account.url is None and account.environment not in followed.endpoints:
        raise SettingsError(
            f"{path}: account {account}: no address is published for {account.environment}; set url"
        )
    wanted, allowed = followed.credentials, followed.optional_credentials
    if not wanted <= account.credentials.keys() <= wanted | allowed:
        others = f" and perhaps {_listed(allowed)}" if allowed else ""
        raise SettingsError(
            f"{path}: account {account}: credentials: expected {_listed(wanted)}{others}"
            f", found {_listed(account.credentials)}"
        )


def _check_webhook(account: Account, ingest: Ingest, path: Path) -> None:
    if account.webhook is None:
        return
    if mistake := _webhook_mistake(account, account.webhook, ingest):
        raise SettingsError(f"{path}: account {account}: webhook: {mistake}")


def _webhook_mistake(account: Account, options: Mapping[str, Any], ingest: Ingest) -> str | None:
    if account.provider not in WEBHOOKS:
        return "this provider sends none; remove it"
    if ingest.webhooks is None:
        return "nobody listens; set address in [ingest.webhooks]"
    if not account.keys:
        return "expected keys, by which deliveries are known, found none"
    try:
        WEBHOOKS[account.provider].check(options)
    except ValueError as error:
        return str(error)
    return None


def mints(account: Account) -> bool:
    """Return whether an account is granted tokens that sign what we verify."""
    login = feed.fitted(feed_of(account.provider, account.name), account.credentials).login
    return login is not None and login.signs is not None


def _check_seal(account: Account, keys: KeysSection, path: Path) -> None:
    if mints(account) and keys.seal is None:
        raise SettingsError(
            f"{path}: account {account}: its tokens are to be kept: expected [keys] seal, "
            "found none; add it, or leave out the credentials that are optional"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _check_names(accounts: Iterable[Account], path: Path) -> None:
    seen: set[str] = set()
    for account in accounts:
        if str(account) in seen:
            raise SettingsError(f"{path}: account {account} is there twice; name one differently")
        seen.add(str(account))

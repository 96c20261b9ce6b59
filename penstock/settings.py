"""Where Kafka and the registry are: by option, environment, or the settings file.

https://docs.pydantic.dev/latest/concepts/pydantic_settings/
"""

import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from penstock.errors import OperatorError
from schemas.connection import KafkaSection

_DEFAULT_FILE: Final = Path("penstock.toml")


class Engine(StrEnum):
    """What runs a local stack."""

    JAVA = "java"
    DOCKER = "docker"


class Environment(BaseSettings):
    """What the environment says."""

    model_config = SettingsConfigDict(
        env_prefix="PENSTOCK_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    bootstrap_servers: str | None = None
    registry_url: str | None = None
    settings: Path | None = None
    engine: Engine = Field(default=Engine.JAVA, validation_alias="STACK")


class _Registry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str | None = None


class Settings(BaseModel):
    """The parts of the settings file that the operator's command reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    kafka: KafkaSection = KafkaSection()
    registry: _Registry = _Registry()


def environment() -> Environment:
    """Return what the environment says; ``OperatorError`` if it makes no sense."""
    try:
        return Environment()
    except ValidationError as error:
        raise OperatorError(_complaint("the environment", error)) from error


def settings(file: Path | None = None) -> Settings:
    """Return the settings in a file; empty ones if none is named and none is here."""
    named = file or environment().settings
    path = named or _DEFAULT_FILE
    if named is None and not path.is_file():
        return Settings()
    try:
        return Settings.model_validate(_toml(path))
    except ValidationError as error:
        raise OperatorError(_complaint(str(path), error)) from error


def secret(reference: str) -> str:
    """Return what ``env:NAME`` or ``file:/path`` holds, now; ``OperatorError`` if nothing."""
    kind, _, place = reference.partition(":")
    try:
        found = os.environ.get(place, "") if kind == "env" else Path(place).read_text("utf-8")
    except OSError as error:
        raise OperatorError(f"kafka.password: {place}: {error.strerror}") from error
    if not found.strip():
        raise OperatorError(f"kafka.password: {place} is empty: put the secret there")
    return found.strip()


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise OperatorError(f"{path}: not TOML: {error}") from error


def _complaint(where: str, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return f"{where}: {key}: {first['msg']}: correct or remove it"

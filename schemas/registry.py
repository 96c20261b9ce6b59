"""The schema registry, by Confluent's protocol, which Apicurio speaks too.

Two habits of Apicurio shape this: an id is of the exact text, and a subject starts
without any compatibility rule.
https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import fastavro
import httpx
from fastavro.schema import SchemaParseException, UnknownType

from schemas import growth, topics
from schemas.codec import schema_text

MODE: Final = "FULL_TRANSITIVE"
"""Every version must read every other: readers and writers are upgraded in any order."""

SUBJECTS: Final = {
    f"{topics.EVENTS}-value": "event",
    f"{topics.REJECTED}-value": "rejected",
    f"{topics.COVERAGE}-value": "coverage",
    f"{topics.WITNESSES}-value": "witness",
}
"""Subject → name of its ``.avsc``; subjects are named after their topics."""


_MISSING: Final = (40401, 40402, 40403)
"""No such subject, version, schema."""


class RegistryError(Exception):
    """One line: what the registry did not do, where, and what to do about it."""


class Unreachable(RegistryError):
    """Nobody answers at the address, or not in time."""


class Missing(RegistryError):
    """The registry does not hold what was asked for."""


class Incompatible(RegistryError):
    """A version that some reader of another version could not read."""


class Refused(RegistryError):
    """The registry, or the parser, does not take this."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a schema must not become the next version of a subject."""

    subject: str
    against: str
    """What it was held against: ``released v1``, ``registered version 3``."""
    remark: growth.Remark

    def __str__(self) -> str:
        return f"{self.subject}: {self.remark} ({self.against})"


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry: ``url`` ends before ``/subjects``."""

    url: str
    seconds: float = 10.0
    """How long one question may take."""

    def answers(self) -> bool:
        """Whether the registry does its work."""
        try:
            self._ask("GET", "/subjects")
        except RegistryError:
            return False
        return True

    def mode(self, subject: str) -> str | None:
        """Return the compatibility rule of a subject; None if it has none of its own."""
        try:
            told = self._ask("GET", f"/config/{_path(subject)}")
        except Missing:
            return None
        return str(told["compatibilityLevel"])

    def versions(self, subject: str) -> dict[int, str]:
        """Return version → text of a subject, oldest first; none if it has none."""
        path = f"/subjects/{_path(subject)}/versions"
        try:
            numbers = self._ask("GET", path)
        except Missing:
            return {}
        return {int(n): str(self._ask("GET", f"{path}/{n}")["schema"]) for n in numbers}

    def schema_id(self, subject: str, text: str) -> int:
        """Return the id of exactly this text; ``Missing`` if it was not registered."""
        try:
            told = self._ask("POST", f"/subjects/{_path(subject)}", {"schema": text})
        except Missing as error:
            raise Missing(
                f"the registry at {self.url} lacks this version of {subject}: "
                "run `penstock schemas register`"
            ) from error
        return int(told["id"])

    def text(self, schema_id: int) -> str:
        """Return the text of an id; ``Missing`` if the registry never gave it."""
        return str(self._ask("GET", f"/schemas/ids/{schema_id}")["schema"])

    def objections(self, subject: str, text: str) -> Iterator[Objection]:
        """Yield why a text cannot be registered: first our reasons, else the registry's.

        Ours come first because the registry says some badly, and others not at all.
        Raises ``Refused`` if the text is no schema.
        """
        parse(subject, text)
        ours = [
            Objection(subject, f"registered version {number}", remark)
            for number, before in self.versions(subject).items()
            for remark in growth.refused(before, text)
        ]
        yield from ours or self._verdict(subject, text)

    def register(self, subject: str, text: str) -> int:
        """Register a text under ``FULL_TRANSITIVE`` and return its id; again is harmless.

        The rule is set first, on this subject alone: a registry may be shared.
        """
        objections = [str(objection) for objection in self.objections(subject, text)]
        if objections:
            raise Incompatible("; ".join(objections))
        self._ask("PUT", f"/config/{_path(subject)}", {"compatibility": MODE})
        path = f"/subjects/{_path(subject)}/versions"
        return int(self._ask("POST", path, {"schema": text})["id"])

    def _verdict(self, subject: str, text: str) -> Iterator[Objection]:
        path = f"/compatibility/subjects/{_path(subject)}/versions?verbose=true"
        try:
            told = self._ask("POST", path, {"schema": text})
        except Missing:
            return  # A first version is compatible with all before it.
        if not told["is_compatible"]:
            reason = told.get("reason") or "no reason told"
            remark = growth.Remark("", "the registry refuses it", _causes(reason))
            yield Objection(subject, "every registered version", remark)

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401
        try:
            answer = httpx.request(
                method, self.url.rstrip("/") + path, json=body, timeout=self.seconds
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"no schema registry answers at {self.url} ({_why(error)}): "
                "start it, or correct PENSTOCK_REGISTRY_URL or [registry] url"
            ) from error
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> Any:  # noqa: ANN401
        match answer.status_code:
            case httpx.codes.OK:
                return self._json(answer)
            case httpx.codes.NOT_FOUND if self._json(answer).get("error_code") in _MISSING:
                raise Missing(self._message(answer))
            case httpx.codes.NOT_FOUND:
                raise Refused(self._no_registry(answer))
            case httpx.codes.CONFLICT:
                raise Incompatible(self._message(answer))
            case _:
                raise Refused(
                    f"the registry at {self.url} answered {answer.status_code}: "
                    f"{self._message(answer)}"
                )

    def _message(self, answer: httpx.Response) -> str:
        return str(self._json(answer).get("message", "it does not say why"))

    def _json(self, answer: httpx.Response) -> Any:  # noqa: ANN401
        try:
            return answer.json()
        except ValueError as error:
            raise Refused(self._no_registry(answer)) from error

    def _no_registry(self, answer: httpx.Response) -> str:
        return (
            f"{self.url} answers, but not as a schema registry ({answer.status_code}): does "
            "the address end just before /subjects?"
        )


def schema_ids(registry: Registry) -> dict[str, int]:
    """Return topic → schema id of what this program writes.

    Raises ``Missing`` where the registry lacks one: a program does not register.
    """
    return {
        subject.removesuffix("-value"): registry.schema_id(subject, schema_text(name))
        for subject, name in SUBJECTS.items()
    }


def register_all(registry: Registry) -> dict[str, int]:
    """Register every schema of ours, and return subject → id."""
    return {
        subject: registry.register(subject, schema_text(name)) for subject, name in SUBJECTS.items()
    }


def _path(subject: str) -> str:
    return quote(subject, safe="")


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _causes(reason: str) -> str:
    return reason.partition("Causes: ")[2] or reason


def parse(subject: str, text: str) -> None:
    """Raise ``Refused`` with a useful message: the registry has one for everything."""
    try:
        fastavro.parse_schema(json.loads(text))
    except (SchemaParseException, UnknownType, ValueError, KeyError) as error:
        raise Refused(f"{subject}: not an Avro schema: {_why(error)}") from error

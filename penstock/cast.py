"""Who takes part when twins stand in for the providers: they, ingest and the processors."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import httpx

from penstock.demo_settings import Introduction
from penstock.errors import OperatorError
from penstock.leash import Leash
from penstock.supervisor import TRIES, Supervised, supervised

_PYTHON: Final = (sys.executable, "-m")
_SECONDS: Final = 30.0
"""How long a twin may take to start, or to finish its sentence."""
_LAST_WORDS: Final = 90.0
"""How long it may try to deliver what nobody takes at once."""
_LOOK_AGAIN: Final = 0.05
_REFERENCE_KEY: Final = "penstock-demo-reference-key-0123456789"


@dataclass(frozen=True, slots=True)
class Role:
    """One account of one provider, played by a twin."""

    provider: str
    account: str
    rate: float
    """Facts a second."""
    seed: int = 1


@dataclass(slots=True)
class Cast:
    """Everybody who takes part, with their logs and books in one directory."""

    directory: Path
    leash: Leash
    tries: int = TRIES
    """How often in a row a program may fail before we give up on it."""
    twins: list[Supervised] = field(default_factory=list)
    introductions: list[Introduction] = field(default_factory=list)
    """What each twin said of itself."""
    books: list[Path] = field(default_factory=list)
    ingest: dict[str, Supervised] = field(default_factory=dict)
    processors: list[Supervised] = field(default_factory=list)

    def programs(self) -> Iterator[Supervised]:
        yield from self.ingest.values()
        yield from self.processors

    def start_twins(self, roles: Iterable[Role]) -> None:
        """Start a twin for each role, and hear who they are."""
        for role in roles:
            self._start_twin(role)
        self.introductions += [_told(twin, "control_url") for twin in self.twins]

    def _start_twin(self, role: Role) -> None:
        name = f"{role.provider}-{role.account}"
        book = self.directory / f"books-{name}.jsonl"
        command = [*_PYTHON, "twins", role.provider, "--account", role.account]
        command += ["--rate", str(role.rate), "--seed", str(role.seed), "--books", str(book)]
        twin = supervised(f"the {name} twin", command, self._log(f"twin-{name}"), self.leash)
        twin.start()
        self.twins.append(twin)
        self.books.append(book)

    def start_ingest(
        self, provider: str, settings: Path, webhooks: str | None = None
    ) -> Supervised:
        """Start the process of a provider; ``webhooks`` is its door's own address."""
        command = [*_PYTHON, "ingest", "--settings", str(settings), "--provider", provider]
        command += ["--webhooks", webhooks] if webhooks else []
        name = f"ingest of {provider}"
        ingest = supervised(name, command, self._log(f"ingest-{provider}"), self.leash)
        ingest.tries = self.tries
        ingest.start()
        self.ingest[provider] = ingest
        return ingest

    def start_processor(self, name: str, settings: Path) -> Supervised:
        """Start one more worker; ``name`` is that of its log."""
        command = [*_PYTHON, "processors", "--settings", str(settings)]
        secrets = {"PENSTOCK_REFERENCE_KEY": _REFERENCE_KEY}
        processor = supervised(name, command, self._log(name), self.leash, secrets)
        processor.tries = self.tries
        processor.start()
        self.processors.append(processor)
        return processor

    def quiet(self) -> None:
        """Let the twins finish their sentence, and say nothing new."""
        for number in range(len(self.twins)):
            self.order(number, "quiet", within=_LAST_WORDS)

    def order(self, number: int, name: str, within: float = _SECONDS, **arguments: object) -> None:
        """Give one of the twins an order of its control; return once it is obeyed."""
        control = self.introductions[number]["control_url"]
        answer = httpx.post(f"{control}/twin/{name}", json=arguments, timeout=within)
        answer.raise_for_status()

    def is_ready(self) -> bool:
        """Return whether every ingest process follows all of its feeds."""
        return all(map(_is_ready, self.ingest.values()))

    def stop_programs(self) -> None:
        for each in self.programs():
            each.stop()

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


@contextmanager
def assembled(directory: Path, *, tries: int = TRIES) -> Iterator[Cast]:
    """Hold everybody on one leash, and at the end whoever still runs is ended."""
    leash = Leash()
    everybody = Cast(directory, leash, tries)
    try:
        yield everybody
    finally:
        everybody.stop_programs()
        for twin in everybody.twins:
            twin.stop()
        leash.close()


def _is_ready(program: Supervised) -> bool:
    told = program.told("address")
    try:
        return bool(told and httpx.get(f"http://{told['address']}/health/ready").is_success)
    except httpx.TransportError:
        return False


def _told(speaker: Supervised, wanted: str) -> Introduction:
    """Wait for a line of the log that has this key."""
    limit = monotonic() + _SECONDS
    while (said := speaker.told(wanted)) is None:
        if speaker.child.pid is None or monotonic() > limit:
            raise OperatorError(f"{speaker.child.name} did not start: {speaker.child.last_words()}")
        sleep(_LOOK_AGAIN)
    return said

"""What a case is: a name, and a play in which a connector is judged."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ingest import settings
from penstock.certification.memory_log import MemoryLog
from penstock.certification.scene import Scene, commanded, followed
from penstock.demo_settings import secret_file
from twins.server import Twin


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a connector is certified against: an account, and the twin that plays the provider."""

    account: settings.Account
    twin: Twin[Any] | None
    directory: Path
    """Where secrets are planted."""

    @property
    def playing(self) -> Twin[Any]:
        """The twin, in cases that command it."""
        return commanded(self.twin)

    @asynccontextmanager
    async def followed(
        self, log: MemoryLog | None = None, **changes: object
    ) -> AsyncIterator[Scene]:
        """Follow the account, changed so, for as long as the block lasts."""
        account = self.account.model_copy(update=changes)
        async with followed(account, self.twin, log) as scene:
            yield scene

    def planted(self, name: str, secret: str) -> dict[str, str]:
        """Return the account's credentials with this one in a file of ours; again, replace it."""
        path = secret_file(self.directory, f"planted-{name}", secret)
        return {**self.account.credentials, name: f"file:{path}"}


Play = Callable[[Peer], Awaitable[str]]
"""Returns what was seen. Raises ``Failed``, or ``NotRun`` where it cannot be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a connector must do."""

    name: str
    play: Play
    commands: bool = True
    """Whether the peer must be told what to do, so that only a twin will do."""
    terms: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the twin."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The account's, beside those that the twin names."""
    credentials: frozenset[str] = frozenset()
    """Those that the account has besides what its feed must have."""
    account: str = "main"
    takes_long: bool = False
    """Whether a limit of the provider's own is waited for, so that it had better begin early."""


def with_terms(terms: Mapping[str, Any], *cases: Case) -> tuple[Case, ...]:
    """Return these cases played by a twin with these arguments; a case's own come first."""
    return tuple(replace(case, terms={**terms, **case.terms}) for case in cases)


def live(play: Callable[[Scene], Awaitable[str]]) -> Play:
    """Return the play that begins once what the twin tells reaches raw."""

    async def played(peer: Peer) -> str:
        async with peer.followed() as scene:
            await scene.until_heard()
            return await play(scene)

    return played


def new(play: Callable[[Scene], Awaitable[str]]) -> Play:
    """Return the play that begins before the first dial."""

    async def played(peer: Peer) -> str:
        async with peer.followed() as scene:
            return await play(scene)

    return played

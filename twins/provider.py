"""The seam between what every twin shares and what one provider does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from twins.audience import Listener
from twins.books import Fact

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Publication:
    """One telling of a fact: these words to these listeners, on the main or a side channel."""

    text: str
    listeners: Sequence[Listener]
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Damage:
    """A frame made from a fact that no correct reader accepts."""

    name: str
    text: str
    listeners: Sequence[Listener]


class Provider(Protocol):
    """What differs between providers."""

    @property
    def path(self) -> str:
        """Where its WebSocket is."""

    def routes(self) -> Sequence[web.RouteDef]:
        """Return its WebSocket and REST endpoints."""

    def happens(self) -> Fact:
        """Return what happens next; REST knows it from now on."""

    def publications(self, fact: Fact) -> Sequence[Publication]:
        """Return the tellings of a fact to those who listen now."""

    def damaged(self, fact: Fact) -> Damage:
        """Return a damaged telling of a fact."""

    def refusal(self, status: int) -> web.Response:
        """Return the provider's own words for an HTTP status."""

    def expire(self) -> None:
        """Let the credential that clients use now end."""

    def secrets(self) -> dict[str, str]:
        """Return what a client must know."""

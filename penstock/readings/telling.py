"""One line of a twin's books, and what it must read as on ``events``."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that a twin wrote, in the provider's own words."""

    told_at: float
    """Seconds since the epoch."""
    provider: str
    account: str
    kind: str
    """``fact`` or ``damaged``."""
    key: tuple[str, ...]
    """What identifies the fact."""
    type: str
    status: str
    entity: str
    money: Mapping[str, str]
    """The provider's words for amounts → its digits; for currencies → their names."""
    sha256: str | None
    """Of the frame's bytes, hex; None if nobody listened."""
    fault: str | None = None
    """In what else than the usual way it was told; ``webhook`` for each try of a delivery."""


class Shown(StrEnum):
    """What a provider shows to whoever asks later."""

    EACH = "each"
    """Every change."""
    STANDING = "standing"
    """How the entity stands: what came and went in between is never told again."""
    KNOWN = "known"
    """How it stands, to who has its id: what is open is looked up, and nothing is listed."""


class Again(NamedTuple):
    """How a fact is told again."""

    shown: Shown
    page: str = ""
    """The list that it is on, where that has an end."""
    rows: int | None = None
    """How many rows of the list can be relied on; None: more than a run has."""


class Expected(NamedTuple):
    """How a telling must read."""

    event_id: str
    payload: str
    status: str
    """The provider's own word; empty where it has none."""
    amounts: Mapping[str, tuple[Decimal, str]]
    """Field of the payload, ``fees/<name>`` for a fee → amount and currency."""
    by_some_paths: frozenset[str] = frozenset()
    """Fields of ``amounts`` that not every path tells: an event without them is right too."""
    entity: str = ""
    """Provider, account and what it is about: facts of one entity share it. Empty: its
    place among them is not judged."""
    order_key: tuple[tuple[int, ...], int] = ((), 0)
    """Version and rank of the status; of two facts the larger one is newer."""
    is_final: bool = False
    """Whether its entity is not looked up any more. Asked only of what is told as ``KNOWN``."""
    again: Again | None = None
    """None: it is told once, to who listens."""
    posted: Mapping[str, tuple[Decimal, str]] = MappingProxyType({})
    """Line of a ledger → amount and currency, where a ledger posts this status."""

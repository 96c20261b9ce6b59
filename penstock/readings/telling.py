"""One line of a twin's books, and what it must read as on ``events``."""

from collections.abc import Mapping
from decimal import Decimal
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
    posted: Mapping[str, tuple[Decimal, str]] = MappingProxyType({})
    """Line of a ledger → amount and currency, where a ledger posts this status."""

"""Choices that repeat with a seed: plausible, never secret."""

from random import Random
from uuid import UUID


def dice(seed: int, purpose: str) -> Random:
    """Return a source of choices of its own, so that one purpose never disturbs another."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - nothing is protected by it


def falls(dice: Random, share: float) -> bool:
    """Decide true in this share of cases, from 0 to 1."""
    return dice.random() < share


def uuid(dice: Random) -> str:
    """Return a UUID of version 4."""
    return str(UUID(int=dice.getrandbits(128), version=4))

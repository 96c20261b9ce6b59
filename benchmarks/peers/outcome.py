"""What a topic says, in a few numbers that are equal where it says the same."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple


class Outcome(NamedTuple):
    records: int
    """All of them, also what is told twice."""
    facts: int
    """Different pairs of key and value."""
    digest: int
    """Of these pairs, in any order."""


def outcome(pairs: Iterable[tuple[bytes, bytes]]) -> Outcome:
    """Return the outcome of (key, value) of every record."""
    records, digests = 0, set()
    for key, value in pairs:
        records += 1
        digests.add(blake2b(b"%d:%b%b" % (len(key), key, value), digest_size=16).digest())
    total = sum(map(int.from_bytes, digests)) % 2**128
    return Outcome(records, len(digests), total)

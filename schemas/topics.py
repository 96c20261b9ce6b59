"""Names, keys, partitioning and settings of every topic."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

EVENTS: Final = "events"
REJECTED: Final = "rejected"
WITNESSES: Final = "witnesses"
COVERAGE: Final = "coverage"
OPEN: Final = "open"
KEYS: Final = "keys"
"""Keyed by ``provider/account/key id``, in the partition of the account: a task finds the keys of
its accounts in the partition that has its own number."""
STATE: Final = "state"
REDRIVE: Final = "redrive"
AUDIT: Final = "audit"
"""What operators did, and who did it: written in the transaction that did it, kept for ever."""
RAW_PREFIX: Final = "raw."

MAX_FRAME_BYTES: Final = 2 * 2**20
"""Largest frame that a socket may bring."""
MAX_RAW_BYTES: Final = 4 * 2**20
"""Largest raw record: a REST page may be longer than a frame."""
MAX_REJECTED_BYTES: Final = 2**20
"""How many bytes of a frame a rejected record carries."""
MAX_EVENT_BYTES: Final = 2**20
"""Largest event; a part that says more is rejected."""
MAX_RECORD_BYTES: Final = MAX_RAW_BYTES + 64 * 2**10
"""What the broker takes: the largest raw record with its headers, also on ``redrive``."""

_SAFE_REPLICATION: Final = 3
"""With three replicas, two must have a record before it counts as written."""

_DAY_MS: Final = 24 * 60 * 60 * 1000
HORIZON_DAYS: Final = 400


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it must be on the cluster."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str] = field(default_factory=dict)


def raw(provider: str) -> str:
    """Return the name of a provider's raw topic."""
    return RAW_PREFIX + provider


def partition_of(key: str, count: int) -> int:
    """Return the partition of a key: CRC-32, as librdkafka's ``consistent`` does."""
    return crc32(key.encode()) % count


def joined(*parts: str) -> str:
    """Return a readable id: ``/`` between the parts, ``/`` and ``%`` in them encoded.

    >>> joined("acme", "main", "a/b")
    'acme/main/a%2Fb'
    """
    text = "/".join(parts)
    if "%" not in text and text.count("/") == len(parts) - 1:
        return text
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def all_topics(
    providers: Iterable[str], *, partitions: int = 12, replication: int = 1
) -> tuple[Topic, ...]:
    """Return every topic of a deployment.

    ``raw.*``, ``redrive``, ``open`` and ``state`` must share one partition count, for life:
    partition p of all of them is the work of task p.
    """
    common = {
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": "2" if replication >= _SAFE_REPLICATION else "1",
        "compression.type": "producer",
    }

    def kept(name: str, days: int | None) -> Topic:
        retention = "-1" if days is None else str(days * _DAY_MS)
        settings = {**common, "cleanup.policy": "delete", "retention.ms": retention}
        return Topic(name, partitions, replication, settings)

    def compacted(name: str) -> Topic:
        settings = {**common, "cleanup.policy": "compact"}
        return Topic(name, partitions, replication, settings)

    return (
        *(kept(raw(provider), HORIZON_DAYS) for provider in providers),
        kept(REDRIVE, 7),
        kept(EVENTS, None),
        kept(REJECTED, HORIZON_DAYS),
        kept(WITNESSES, 90),
        kept(COVERAGE, None),
        kept(AUDIT, None),
        compacted(OPEN),
        compacted(KEYS),
        kept(STATE, HORIZON_DAYS),
    )

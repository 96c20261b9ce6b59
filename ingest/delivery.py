"""The vocabulary of webhooks: what was delivered, and what is to be answered. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from schemas.records import Micros
from schemas.signatures import Signed, signer


class Verdict(StrEnum):
    """What a delivery is."""

    GENUINE = "genuine"
    """Keep it, and answer 200 once it is kept."""
    QUESTION = "question"
    """Keep it, and answer 503: a 2xx would be our consent to move money."""
    PROBE = "probe"
    """Somebody tries whether we are there: answer 200, keep nothing."""
    FORGED = "forged"
    """Nobody whom we know sent this, or long ago: answer 401, keep nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One POST. Nothing of it is shown: it holds persons."""

    headers: Mapping[str, str] = field(repr=False)
    """In lower case."""
    token: str = field(repr=False, default="")
    """What the URL says as ``token``."""
    body: bytes = field(repr=False)
    received_at: Micros


Ring = Mapping[str, bytes]
"""Key id → key, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One provider's deliveries, as data."""

    judge: Callable[[Delivery, Ring], Verdict]
    """Decides, in constant time where it compares. Never raises, whatever the delivery."""
    signature: tuple[str, ...] = ()
    """Names of the headers, in lower case, that prove the body: they are kept beside it."""
    check: Callable[[Mapping[str, Any]], None]
    """Raises ``ValueError`` with one line if an account's options cannot work."""


TOLERANCE = 300_000_000
"""Microseconds between the sender's clock and ours, either way."""


def is_genuine(
    delivery: Delivery, signing: Callable[[Mapping[str, str], bytes], Signed], ring: Ring
) -> bool:
    """Return whether a key of the ring signed this delivery, of late."""
    try:
        signed = signing(delivery.headers, delivery.body)
    except ValueError:
        return False
    is_fresh = abs(delivery.received_at - signed.at) <= TOLERANCE
    return is_fresh and signer(signed, ring) is not None


def no_options(options: Mapping[str, Any]) -> None:
    """Refuse every option: for providers that have none."""
    if options:
        raise ValueError(f"expected no options, found {', '.join(sorted(options))}")

"""What a demo is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the demo is to do."""

    directory: Path
    providers: Sequence[str]
    seconds: float | None
    """After the first event; None: until it is interrupted."""
    rate: float
    """Facts a second and provider."""
    kill_processor: bool = False
    kill_ingest: bool = False
    """Each provider's process, one after the other."""
    disconnects: bool = False
    """Providers cut their connections now and then."""
    outage: float = 0.0
    """Seconds that the broker is away."""

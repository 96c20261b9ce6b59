"""Times as text: UTC, ISO 8601, ``Z``. No I/O.

https://www.rfc-editor.org/rfc/rfc3339
"""

from datetime import UTC, datetime
from functools import lru_cache

from schemas.records import Micros


def millis_text(time: Micros) -> str:
    """Return a time for an id: cut to milliseconds."""
    seconds, micros = divmod(time, 1_000_000)
    return f"{_second(seconds)}.{micros // 1000:03}Z"


def micros_ascii(time: Micros) -> bytes:
    """Return a time for a header, whole."""
    seconds, micros = divmod(time, 1_000_000)
    return b"%b.%06dZ" % (_second_ascii(seconds), micros)


# Neighbours are of the same second: to make its text costs ten times what the rest does.
@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


@lru_cache(4096)
def _second_ascii(seconds: int) -> bytes:
    return _second(seconds).encode()

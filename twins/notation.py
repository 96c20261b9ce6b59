"""How services written in JavaScript print numbers and times."""

from datetime import UTC, datetime
from decimal import Decimal


def plain(amount: Decimal) -> Decimal:
    """Return the number without zeros at the end of its decimals."""
    whole = amount.to_integral_value()
    return whole.quantize(Decimal(1)) if amount == whole else amount.normalize()


def iso(ms: int) -> str:
    """Return unix milliseconds as ISO 8601 with milliseconds and Z."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"

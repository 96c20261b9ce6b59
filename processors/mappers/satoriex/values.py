"""SatoriEx, how its prices, quantities, money, sides and times are read.

https://satoriex.io/en/docs/api
"""

from decimal import Decimal
from typing import Final

from processors.errors import InvalidValue, Malformed
from processors.mapper import Keys, digits, micros, money, scaled
from processors.mappers.satoriex import wire
from schemas.records import Micros, Money
from schemas.times import millis_text

USDC: Final = "USDC"
SHARES: Final = "SHARES"
MOST_SHARES: Final = 2**63 - 1
_WHOLE_SHARE: Final = 10_000
"""Basis points: a share of the outcome that wins pays 1 USDC."""
_MILLIS_FROM: Final = 10**11
"""A number from here on is milliseconds, below it seconds."""
FINAL: Final = 3
"""Rank of a status that nothing follows."""


def integer(number: Decimal, where: str, least: int, most: int) -> Decimal:
    """Return the number. Raises ``InvalidValue`` if it is not whole, or beyond its limits."""
    if not number.is_finite() or number != number.to_integral_value():
        raise InvalidValue(f"{where}: expected a whole number, found none")
    if not least <= number <= most:
        raise InvalidValue(f"{where}: expected {least} to {most}, found another number")
    return number


def usdc(basis_points: Decimal, where: str) -> Decimal:
    """Return basis points as USDC: 4200 is 0.42. Raises ``InvalidValue`` outside 0 to 10000."""
    return scaled(integer(basis_points, where, 0, _WHOLE_SHARE), 4)


def price(basis_points: Decimal | None, where: str) -> Money | None:
    """Return the USDC that a share costs. Raises as ``usdc`` does."""
    return None if basis_points is None else Money(usdc(basis_points, where), USDC)


def midpoint(mid: Decimal | None) -> Money | None:
    """Return the middle of two prices, which need not be a whole basis point.

    Raises ``InvalidValue`` if it is more than a share pays, or as ``money`` does.
    """
    if mid is None:
        return None
    told = money(scaled(mid, 4), USDC, "$.mid")
    if told is None or told.amount is None or told.amount > 1:
        raise InvalidValue(f"$.mid: expected 0 to {_WHOLE_SHARE}, found more")
    return told


def shares(quantity: Decimal | None, where: str, least: int = 0) -> Money | None:
    """Return whole shares. Raises ``InvalidValue`` for other numbers."""
    if quantity is None:
        return None
    return Money(integer(quantity, where, least, MOST_SHARES), SHARES)


def unsized(amount: Decimal | None, currency: str | None, where: str, keys: Keys) -> Money | None:
    """Return money whose unit nobody documents: 10000 may be 10,000 or 100.00.

    Until a setting says which, digits alone. Raises as ``money`` does.
    """
    told = money(amount, currency or USDC, where)
    if told is None or amount is None:
        return None
    if keys.places is not None:
        return money(scaled(amount, keys.places), told.currency, where)
    return Money(None, told.currency, digits(amount))


_SIDES: Final = {1: "buy", 2: "sell"}


def side(number: int | None) -> str | None:
    """Return 1 as ``buy`` and 2 as ``sell``. Raises ``InvalidValue`` for other numbers."""
    if number is None:
        return None
    if number not in _SIDES:
        raise InvalidValue("$.side: expected 1 or 2, found another number")
    return _SIDES[number]


def moment(*times: wire.Time | None) -> Micros | None:
    """Return the first time that was told."""
    for time in times:
        if isinstance(time, int) and time >= _MILLIS_FROM:
            return micros(time // 1000) + time % 1000 * 1000
        if time is not None:
            return micros(time)
    return None


def version(changed_at: Micros | None) -> tuple[int, int] | None:
    """Return what an entity's facts are ordered by: the time alone."""
    return None if changed_at is None else (changed_at, 0)


def time_text(changed_at: Micros | None) -> str:
    """Return a time for an id, which may have none."""
    return "" if changed_at is None else millis_text(changed_at)


def demanded(word: str | None, where: str) -> str:
    """Return the word. Raises ``Malformed`` if none was told."""
    if word is None:
        raise Malformed(f"{where}: expected text, found none")
    return word


def outcome_of(market: str, outcome: str | None) -> str:
    """Return the id of an outcome, or of its market where none is named."""
    return market if outcome is None else f"{market}:{outcome}"

"""The one thing that Paymium trades, and the name of its market in a currency.

https://github.com/Paymium/api-documentation
"""

from typing import Final

BTC: Final = "BTC"


def market_of(currency: str) -> str:
    """Return the name that ``GET /data/<currency>/depth`` has for a market."""
    return f"{BTC}-{currency.upper()}"

"""How each provider's words must read on ``events``: the contract, read a second time.

Written from ``docs/identity.md`` and the providers' pages, not from the mappers, so that
a twin and a mapper cannot share one misunderstanding unseen.
"""

from collections.abc import Callable, Mapping
from typing import Final

from penstock.readings import assetpay, paymium, pepay, satoriex, transak
from penstock.readings.telling import Expected, Telling

READINGS: Final[Mapping[str, Callable[[Telling], Expected]]] = {
    "assetpay": assetpay.expected,
    "paymium": paymium.expected,
    "pepay": pepay.expected,
    "satoriex": satoriex.expected,
    "transak": transak.expected,
}

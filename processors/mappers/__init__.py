"""Every provider's reading, by name. A new provider adds its line here."""

from collections.abc import Mapping
from typing import Final

from processors.mapper import Mapper
from processors.mappers import assetpay, paymium, pepay, satoriex, transak

MAPPERS: Final[Mapping[str, Mapper]] = {
    "assetpay": assetpay.MAPPER,
    "paymium": paymium.MAPPER,
    "pepay": pepay.MAPPER,
    "satoriex": satoriex.MAPPER,
    "transak": transak.MAPPER,
}

"""Every provider's reading, by name. A new provider adds its line here."""

from collections.abc import Mapping
from typing import Final

from processors.mapper import Mapper
from processors.mappers import paymium, pepay, transak

MAPPERS: Final[Mapping[str, Mapper]] = {
    "paymium": paymium.MAPPER,
    "pepay": pepay.MAPPER,
    "transak": transak.MAPPER,
}

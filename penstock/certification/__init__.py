"""What every provider's connector must do, case by case."""

from collections.abc import Mapping
from typing import Final

from penstock.certification.assetpay import CASES as ASSETPAY
from penstock.certification.case import Case
from penstock.certification.paymium import CASES as PAYMIUM
from penstock.certification.pepay import CASES as PEPAY
from penstock.certification.satoriex import CASES as SATORIEX
from penstock.certification.transak import CASES as TRANSAK

CASES: Final[Mapping[str, tuple[Case, ...]]] = {
    "assetpay": ASSETPAY,
    "paymium": PAYMIUM,
    "pepay": PEPAY,
    "satoriex": SATORIEX,
    "transak": TRANSAK,
}

"""Stand-ins of the providers: they speak the real protocols, keep books, and fail on request."""

from collections.abc import Callable, Mapping
from typing import Any

from twins.assetpay import AssetPayTwin
from twins.paymium import PaymiumTwin
from twins.pepay import PepayTwin
from twins.satoriex import SatoriexTwin
from twins.server import Twin
from twins.transak import TransakTwin

TWINS: Mapping[str, Callable[..., Twin[Any]]] = {
    "assetpay": AssetPayTwin,
    "paymium": PaymiumTwin,
    "pepay": PepayTwin,
    "satoriex": SatoriexTwin,
    "transak": TransakTwin,
}

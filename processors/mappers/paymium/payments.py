"""Paymium's merchant payments.

https://github.com/paytunia/api-documentation (Merchant API)
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from processors.mapper import (
    Keys,
    Part,
    Route,
    Seconds,
    Statement,
    Wire,
    Word,
    action,
    micros,
    money,
    stake,
)
from processors.mappers.paymium.bitcoin import BTC
from schemas.records import Invoice, Status
from schemas.times import millis_text

_PAYMENT_STATE: Final[Mapping[str, tuple[Status, int]]] = {
    "pending_payment": (Status.CREATED, 0),
    "processing": (Status.PROCESSING, 1),
    "paid": (Status.COMPLETED, 2),
    "btc_forwarded": (Status.COMPLETED, 3),
    "error": (Status.FAILED, 2),
    "expired": (Status.EXPIRED, 2),
}
_UNKNOWN: Final = (Status.UNKNOWN, 0)
_FIRST_FINAL_PAYMENT: Final = 2


class _Payment(Wire, frozen=True):
    uuid: Word
    state: Word
    currency: Word
    updated_at: Seconds
    amount: Decimal | None = None
    btc_amount: Decimal | None = None
    expires_at: Seconds | None = None
    payment_address: str | None = None


def _payment(payment: _Payment, part: Part, _: Keys) -> Iterator[Statement]:
    status, rank = _PAYMENT_STATE.get(payment.state, _UNKNOWN)
    changed_at = micros(payment.updated_at, "$.updated_at")
    payload = Invoice(
        status=status,
        provider_status=payment.state,
        amount=money(payment.amount, payment.currency, "$.amount"),
        crypto=money(payment.btc_amount, BTC, "$.btc_amount"),
        expires_at=None if payment.expires_at is None else micros(payment.expires_at),
        address=payment.payment_address,
    )
    yield Statement(
        payload=payload,
        action=action(payload, status),
        provider_type=part.context.word,
        entity_kind="payment",
        entity_id=payment.uuid,
        identity=("payment", payment.uuid, payment.state, millis_text(changed_at)),
        occurred_at=changed_at,
        status=status,
        version=(changed_at, 0),
        rank=rank,
        is_final=rank >= _FIRST_FINAL_PAYMENT,
        stakes=(
            status,
            payment.currency.upper(),
            stake(payload.amount),
            stake(payload.crypto),
        ),
    )


PAYMENT: Final = Route(msgspec.json.Decoder(_Payment), _payment)

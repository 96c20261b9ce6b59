"""What Paymium books on an account for an order.

https://github.com/Paymium/api-documentation
"""

from datetime import datetime
from decimal import Decimal

from processors.mapper import Statement, Wire, Word, micros, money, stake
from processors.mappers.paymium.frames import Told
from schemas.records import Posting


class Operation(Wire, frozen=True):
    """One element of an order's ``account_operations``."""

    uuid: Word
    amount: Decimal
    currency: Word
    created_at: datetime
    name: Word
    address: str | None = None
    tx_hash: str | None = None


def posting(operation: Operation, order_id: str, told: Told, where: str) -> Statement:
    """Return what an operation at ``where`` books, a fact that never changes.

    Raises ``InvalidValue`` as ``money`` and ``micros`` do.
    """
    amount = money(operation.amount, operation.currency, f"{where}.amount", signed=True)
    return Statement(
        payload=Posting(
            amount=amount,
            name=operation.name,
            order_id=order_id,
            tx_hash=operation.tx_hash,
            address=operation.address,
        ),
        action="booked",
        provider_type=told.word,
        entity_kind="account_operation",
        entity_id=operation.uuid,
        identity=("account_operation", operation.uuid),
        group=order_id,
        occurred_at=micros(operation.created_at, f"{where}.created_at"),
        is_final=True,
        stakes=(operation.name, operation.currency.upper(), stake(amount)),
    )

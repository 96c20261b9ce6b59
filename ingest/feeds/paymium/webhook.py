"""Paymium's payment callback: unsigned, so it is a reference to confirm and never a fact.

https://github.com/Paymium/api-documentation (merchant API, ``callback_url``)
"""

from hmac import compare_digest
from uuid import UUID

import msgspec

from ingest.delivery import Delivery, Ring, Verdict, Webhook, no_options


class _Payment(msgspec.Struct, frozen=True):
    uuid: UUID


_PAYMENT = msgspec.json.Decoder(_Payment)


def _judge(delivery: Delivery, ring: Ring) -> Verdict:
    """Let in who knows a key of ours, which is part of the URL that a payment is created with.

    Nothing else tells Paymium from anybody.
    """
    token = delivery.token.encode(errors="replace")
    if not any(compare_digest(key, token) for key in ring.values()):
        return Verdict.FORGED
    try:
        _PAYMENT.decode(delivery.body)
    except (ValueError, RecursionError):
        return Verdict.FORGED
    return Verdict.GENUINE


WEBHOOK = Webhook(judge=_judge, check=no_options)

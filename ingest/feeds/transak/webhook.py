"""Transak's webhooks: ``{"data": "<JWT>"}``, signed with the access token of the socket.

https://docs.transak.com/features/webhooks
"""

import msgspec

from ingest.delivery import Delivery, Ring, Verdict, Webhook, no_options
from schemas.tokens import verified


class _Body(msgspec.Struct, frozen=True):
    data: str


_BODY = msgspec.json.Decoder(_Body)


def _judge(delivery: Delivery, ring: Ring) -> Verdict:
    """Tell by the token alone: it names no time of its sending, and is the same when sent again."""
    try:
        verified(_BODY.decode(delivery.body).data, ring, delivery.received_at)
    except (ValueError, RecursionError):
        return Verdict.FORGED
    return Verdict.GENUINE


WEBHOOK = Webhook(judge=_judge, check=no_options)

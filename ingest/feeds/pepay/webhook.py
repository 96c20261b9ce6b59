"""Pepay's webhooks: the envelope and the ids of the socket, signed by headers.

https://docs-alpha.pepay.io/api-spec/webhooks
https://docs-alpha.pepay.io/api-spec/webhooks-authentication
"""

from ingest.delivery import Delivery, Ring, Verdict, Webhook, is_genuine, no_options
from schemas.signatures import pepay


def _judge(delivery: Delivery, ring: Ring) -> Verdict:
    genuine = is_genuine(delivery, pepay.signed, ring)
    return Verdict.GENUINE if genuine else Verdict.FORGED


WEBHOOK = Webhook(judge=_judge, signature=pepay.HEADERS, check=no_options)

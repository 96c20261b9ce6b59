"""AssetPay's callbacks: signed by a header or inside, and questions whose answer moves money.

https://assetpay.gg/docs/guides/callbacks
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/webhooks.ts
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ingest.delivery import Delivery, Ring, Verdict, Webhook, is_genuine
from schemas.signatures import assetpay


class _Subject(msgspec.Struct, frozen=True):
    type: str = ""
    status: str = ""


class _Older(msgspec.Struct, frozen=True):
    trade: _Subject = _Subject()


class _Body(msgspec.Struct, frozen=True):
    payload: _Older = _Older()
    trade: _Subject = _Subject()
    withdrawal: _Subject = _Subject()
    test: bool = False

    @property
    def asks(self) -> bool:
        """Whether any 2xx would approve a withdrawal; the older generation uses upper case.

        https://github.com/assetpaygg/assetpay-sdk#approvals
        """
        trades = {(t.type.lower(), t.status.lower()) for t in (self.trade, self.payload.trade)}
        is_question = self.withdrawal.status.lower() == "awaiting_approval"
        return is_question or ("withdraw", "initiated") in trades


_BODY = msgspec.json.Decoder(_Body)


def _judge(delivery: Delivery, ring: Ring) -> Verdict:
    body = _read(delivery.body)
    if is_genuine(delivery, assetpay.signed, ring):
        # What cannot be read might be a question, too.
        return Verdict.QUESTION if body is None or body.asks else Verdict.GENUINE
    if body is not None and body.test and assetpay.HEADERS[0] not in delivery.headers:
        return Verdict.PROBE
    return Verdict.FORGED


def _read(body: bytes) -> _Body | None:
    try:
        return _BODY.decode(body)
    except (ValueError, RecursionError):
        return None


def _check(options: Mapping[str, Any]) -> None:
    if options.keys() != {"tee"} or options["tee"] is not True:
        raise ValueError(
            "a 2xx to this provider approves withdrawals: let your own service answer it and"
            " send us a copy, then set tee = true, the only option"
        )


WEBHOOK = Webhook(judge=_judge, signature=assetpay.HEADERS, check=_check)

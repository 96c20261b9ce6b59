"""What happens at Pepay: endless purchases, their invoices and payments, from a seed.

https://docs-alpha.pepay.io/api-spec/webhooks names the events; the objects follow
https://docs-alpha.pepay.io/api-reference/events/list-events in their long and short forms.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from twins.books import Fact
from twins.chance import falls, uuid
from twins.pepay_objects import MILLIS, Change, Purchase, invoice, order, payment

CURRENCY_OF = dict.fromkeys(("amount", "paid", "remaining", "total"), "currency")
CONCURRENT = 60  # purchases under way at once
SHARED_MS = 100  # events may carry the millisecond of one that is at most this old

# A plot is the order of steps; the numbers are relative frequencies.
PLOTS: Mapping[str, int] = {
    "order invoice pay confirm settle paid submitted placed shipped delivered": 8,
    "order invoice pay settle paid placed fulfilled": 4,
    "order invoice half settle underpaid rest settle paid placed shipped delivered": 3,
    "order invoice expired": 3,
    "order invoice half settle underpaid expired": 2,
    "order invoice pay settle paid placed cancelled refunded": 2,
    "order invoice pay settle paid submitted failed refunded": 2,
    "order invoice pay reject pay settle paid placed fulfilled": 2,
    "order invoice pay reject expired": 1,
    "invoice pay settle paid": 3,
    "invoice expired": 1,
}
NETWORKS = ("bsc", "solana", "ethereum", "base")

_json = msgspec.json.Encoder(decimal_format="number")


class Lifecycles:
    """An endless stream of facts; the same seed tells the same story."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._under_way: list[Purchase] = []
        self._ms = self._n = 0

    def next(self, now: int) -> Fact:
        """Return what happens at `now`, unix milliseconds."""
        purchase = self._choose()
        step = purchase.steps.pop(0)
        if not purchase.steps:
            self._under_way.remove(purchase)
        ms, n = self._moment(now)
        purchase.began = purchase.began or ms
        return self._told(purchase, STEPS[step](purchase, ms), ms, n)

    def _choose(self) -> Purchase:
        if (len(self._under_way) < CONCURRENT and falls(self._dice, 0.3)) or not self._under_way:
            self._under_way.append(_purchase(self._dice))
            return self._under_way[-1]
        return self._dice.choice(self._under_way)

    def _moment(self, now: int) -> tuple[int, int]:
        """Return milliseconds and sequence: growing, at times several in one millisecond."""
        shares = falls(self._dice, 0.2)
        starts = self._dice.choice((1, 8, 9, 99, 456))
        if now <= self._ms or (shares and now - self._ms < SHARED_MS):
            self._n += 1
        else:
            self._ms, self._n = now, starts
        return self._ms, self._n

    def _told(self, purchase: Purchase, change: Change, ms: int, n: int) -> Fact:
        key = f"evt_{ms}-{n}"
        return Fact(
            key=(key,),
            type=change.type,
            status=change.content["status"],
            entity=change.entity,
            money=change.money,
            about=_about(purchase),
            body=_json.encode(self._envelope(key, ms // 1000, change)).decode(),
        )

    def _envelope(self, key: str, created: int, change: Change) -> dict[str, Any]:
        number, is_short = self._dice.randrange(10**9), falls(self._dice, 0.25)
        start = {"id": key, "object": "event"}
        if is_short:
            told = {"object": change.content}
            return {**start, "type": change.type, "created": created, "data": told}
        return {
            **start,
            "api_version": "2025-12-16",
            "created": created,
            "type": change.type,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": f"req_{number}", "idempotency_key": f"key-{number}"},
            "data": {"object": change.content, "previous_attributes": change.previous},
        }


def _about(purchase: Purchase) -> dict[str, str]:
    return {
        "order_id": purchase.order if purchase.has_order else "",
        "invoice_id": purchase.invoice,
        "customer_id": purchase.customer,
        "wallet_address": purchase.wallet,
        "wallet_network": purchase.network,
    }


def _purchase(dice: Random) -> Purchase:
    (plot,) = dice.choices(tuple(PLOTS), tuple(PLOTS.values()))
    number, is_short = dice.randrange(10**12), falls(dice, 0.25)
    return Purchase(
        dice=dice,
        steps=plot.split(),
        order=f"order_{number}" if is_short else uuid(dice),
        invoice=f"inv_{number}" if is_short else uuid(dice),
        customer=f"cust_{number % 997}",
        wallet=f"0x{dice.getrandbits(160):040x}",
        network=dice.choice(NETWORKS),
        total=_amount(dice),
        is_short=is_short,
        in_seconds=falls(dice, 0.1),
        has_order=plot.startswith("order"),
    )


def _amount(dice: Random) -> Decimal:
    """Return USD in thousandths, from a cent to millions, round ones included."""
    top = dice.choice((1_000, 100_000, 10_000_000, 9_999_999_999))
    grain = dice.choice((1, 10, 500, 1000))
    return max(dice.randint(10, top) // grain * grain, 10) * MILLIS


def _pay(purchase: Purchase, amount: Decimal) -> Change:
    purchase.payment = f"pay_{purchase.dice.randrange(10**12)}"
    purchase.attempt = amount
    return payment(purchase, "pending")


def _pay_part(purchase: Purchase, _: int) -> Change:
    part = (purchase.total * purchase.dice.randint(1, 9) / 10).quantize(MILLIS)
    return _pay(purchase, max(part, MILLIS))


def _pay_rest(purchase: Purchase, _: int) -> Change:
    return _pay(purchase, purchase.total - purchase.paid)


def _settle(purchase: Purchase, ms: int) -> Change:
    purchase.paid += purchase.attempt
    purchase.last_payment = ms
    return payment(purchase, "settled")


STEPS: Mapping[str, Callable[[Purchase, int], Change]] = {
    "order": lambda p, ms: order(p, "processing", ms),
    "submitted": lambda p, ms: order(p, "processing", ms, "PROVIDER_PLACEMENT_SUBMITTED"),
    "placed": lambda p, ms: order(p, "placed", ms, "AWAITING_TRACKING"),
    "shipped": lambda p, ms: order(p, "shipped", ms),
    "delivered": lambda p, ms: order(p, "delivered", ms),
    "fulfilled": lambda p, ms: order(p, "fulfilled", ms),
    "cancelled": lambda p, ms: order(p, "cancelled", ms),
    "failed": lambda p, ms: order(p, "failed", ms),
    "refunded": lambda p, ms: order(p, "refunded", ms),
    "invoice": lambda p, ms: invoice(p, "unpaid", ms),
    "underpaid": lambda p, ms: invoice(p, "underpaid", ms),
    "paid": lambda p, ms: invoice(p, "paid", ms),
    "expired": lambda p, ms: invoice(p, "expired", ms),
    "pay": _pay_rest,
    "half": _pay_part,
    "rest": _pay_rest,
    "confirm": lambda p, _: payment(p, "confirmed"),
    "settle": _settle,
    "reject": lambda p, _: payment(p, "failed"),
}

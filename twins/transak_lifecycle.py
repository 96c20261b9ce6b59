"""What happens at Transak: endless BUY and SELL orders with every status, from a seed.

https://docs.transak.com/docs/webhooks names the events, https://docs.transak.com/reference/get-orders
the fields of an order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from twins.books import Fact
from twins.chance import falls, uuid
from twins.notation import iso, plain

CURRENCY_OF = {
    "fiatAmount": "fiatCurrency",
    "amountPaid": "fiatCurrency",
    "totalFeeInFiat": "fiatCurrency",
    "partnerFeeInLocalCurrency": "fiatCurrency",
    "cryptoAmount": "cryptoCurrency",
}
ASKED_FOR = ("partnerOrderId", "walletAddress", "isBuyOrSell", "createdAt")
CONCURRENT = 60  # orders under way at once

AWAITING = "AWAITING_PAYMENT_FROM_USER"
MARKED = "PAYMENT_DONE_MARKED_BY_USER"
PENDING = "PENDING_DELIVERY_FROM_TRANSAK"
ON_HOLD = "ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK"

EVENT_OF: Mapping[str, str] = {
    AWAITING: "ORDER_CREATED",
    MARKED: "ORDER_PAYMENT_VERIFYING",
    "PROCESSING": "ORDER_PROCESSING",
    PENDING: "ORDER_PROCESSING",
    ON_HOLD: "ORDER_PROCESSING",
    "COMPLETED": "ORDER_COMPLETED",
    "EXPIRED": "ORDER_FAILED",
    "FAILED": "ORDER_FAILED",
    "CANCELLED": "ORDER_FAILED",
    "REFUNDED": "ORDER_REFUNDED",
}
PAID = {"PROCESSING", PENDING, ON_HOLD, "COMPLETED", "REFUNDED"}

# The statuses an order goes through after it is created; the numbers are relative frequencies.
PLOTS: Mapping[tuple[str, tuple[str, ...]], int] = {
    ("BUY", (MARKED, "PROCESSING", PENDING, "COMPLETED")): 10,
    ("BUY", ("PROCESSING", PENDING, "COMPLETED")): 3,
    ("BUY", ("EXPIRED",)): 2,
    ("BUY", ("CANCELLED",)): 2,
    ("BUY", (MARKED, "FAILED")): 1,
    ("BUY", (MARKED, "PROCESSING", "FAILED", "REFUNDED")): 2,
    ("BUY", (MARKED, "CANCELLED", "REFUNDED")): 1,
    ("BUY", (MARKED, "PROCESSING", PENDING, "COMPLETED", "REFUNDED")): 1,
    # Completed, and corrected afterwards: assumed, since nobody says that it cannot be.
    ("BUY", (MARKED, "PROCESSING", PENDING, "COMPLETED", "COMPLETED")): 1,
    ("SELL", (PENDING, "COMPLETED")): 4,
    ("SELL", (MARKED, PENDING, ON_HOLD, PENDING, "COMPLETED")): 2,
    ("SELL", (PENDING, ON_HOLD, "FAILED", "REFUNDED")): 1,
    ("SELL", ("EXPIRED",)): 1,
    ("SELL", ("CANCELLED",)): 1,
}
# Symbol, network, decimals, rough price of one in USD.
CRYPTO = (
    ("ETH", "ethereum", 8, 3000),
    ("BTC", "mainnet", 8, 90000),
    ("USDC", "polygon", 2, 1),
    ("SOL", "solana", 9, 150),
    ("SHIB", "ethereum", 0, Decimal("0.00001")),
)
FIAT = (("EUR", "sepa_bank_transfer"), ("USD", "credit_debit_card"), ("INR", "upi"))

_json = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class Order:
    """One user's order; `content` is what the provider shows of it now."""

    content: dict[str, Any]
    statuses: list[str]
    created: int = 0  # ms
    updated: int = 0
    omits_updated: bool = False  # at creation, as in a captured payload


class Lifecycles:
    """An endless stream of facts; the same seed tells the same story."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._under_way: list[Order] = []

    def next(self, now: int) -> Fact:
        """Return what happens at `now`, unix milliseconds."""
        order = self._choose()
        status = order.statuses.pop(0)
        if not order.statuses:
            self._under_way.remove(order)
        _stamp(order, now, self._dice.randint(0, 900))
        self._move(order, status)
        return _told(order, status)

    def _choose(self) -> Order:
        if not self._under_way or (len(self._under_way) < CONCURRENT and falls(self._dice, 0.3)):
            self._under_way.append(_order(self._dice))
            return self._under_way[-1]
        return self._dice.choice(self._under_way)

    def _move(self, order: Order, status: str) -> None:
        content = order.content
        content["status"] = status
        if status in PAID:
            content["amountPaid"] = content["fiatAmount"]
        if status == "COMPLETED":
            self._deliver(order)

    def _deliver(self, order: Order) -> None:
        # Only now is the amount final; until then it was an estimate.
        content = order.content
        scale = content["cryptoAmount"].as_tuple().exponent
        content["cryptoAmount"] += Decimal(self._dice.randint(0, 99)).scaleb(int(scale))
        content["completedAt"] = iso(order.updated)
        if content["isBuyOrSell"] == "BUY":
            content["transactionHash"] = f"0x{self._dice.getrandbits(256):064x}"
            content["transactionLink"] = f"https://etherscan.io/tx/{content['transactionHash']}"


def _stamp(order: Order, now: int, age: int) -> None:
    """Set the times: created once, `age` before it is told; updated later at every change."""
    if not order.created:
        order.created = now if order.omits_updated else now - age
    order.updated = max(now, order.updated + 1)
    order.content["createdAt"] = iso(order.created)
    order.content["updatedAt"] = iso(order.updated)


def _told(order: Order, status: str) -> Fact:
    content = dict(order.content)
    if status == AWAITING and order.omits_updated:
        del content["updatedAt"]
    symbol = content.get("cryptoCurrency") or content["cryptocurrency"]
    stakes = (*CURRENCY_OF, "conversionPrice", "isBuyOrSell")
    money = {word: str(content[word]) for word in stakes}
    order_id = content.get("id") or content["_id"]
    return Fact(
        key=(order_id, status, content.get("updatedAt", content["createdAt"])),
        type=EVENT_OF[status],
        status=status,
        entity=order_id,
        money=money | {"fiatCurrency": content["fiatCurrency"], "cryptoCurrency": symbol},
        about={word: content[word] for word in ASKED_FOR},
        body=_json.encode(content).decode(),
    )


def _order(dice: Random) -> Order:
    ((side, statuses),) = dice.choices(tuple(PLOTS), tuple(PLOTS.values()))
    content = {**_who(dice), **_what(dice, side), **_rest(dice)}
    if falls(dice, 0.03):
        content["cryptocurrency"] = content.pop("cryptoCurrency")
    if falls(dice, 0.03):
        content["_id"] = content.pop("id")
    return Order(content, [AWAITING, *statuses], omits_updated=falls(dice, 0.2))


def _who(dice: Random) -> dict[str, Any]:
    wallet = f"0x{dice.getrandbits(160):040x}"
    return {
        "id": uuid(dice),
        "walletAddress": wallet,
        "createdAt": "",
        "status": AWAITING,
        "userId": uuid(dice),
        "ipAddress": f"192.0.2.{dice.randint(1, 254)}",
        "walletLink": f"https://etherscan.io/address/{wallet}",
        "quoteId": uuid(dice),
        "partnerOrderId": f"partner-order-{dice.randrange(10**9)}",
        "countryCode": "IN",
        "stateCode": "Karnataka",
    }


def _what(dice: Random, side: str) -> dict[str, Any]:
    symbol, network, decimals, price = dice.choice(CRYPTO)
    fiat, method = dice.choice(FIAT)
    amount = _fiat_amount(dice)
    fee = (amount * dice.randint(1, 30) / 1000).quantize(Decimal("0.01"))
    return {
        "isBuyOrSell": side,
        "fiatCurrency": fiat,
        "fiatAmount": amount,
        "amountPaid": Decimal(0),
        "paymentOptionId": method,
        "cryptoCurrency": symbol,
        "network": network,
        "conversionPrice": _float(dice, 1 / Decimal(price)),
        "cryptoAmount": _crypto_amount(dice, amount / Decimal(price), decimals),
        "totalFeeInFiat": plain(fee),
        "partnerFeeInLocalCurrency": plain((fee / 4).quantize(Decimal("0.01"))),
        "fiatAmountInUsd": plain((amount * Decimal("1.1")).quantize(Decimal("0.01"))),
    }


def _rest(dice: Random) -> dict[str, Any]:
    return {
        "orderProcessingType": "NORMAL",
        "addressAdditionalData": False,
        "orderChannelType": "WIDGET",
        "tokenContractAddress": f"0x{dice.choice((0, dice.getrandbits(160))):040x}",
        "userKycType": "STANDARD",
        "cardPaymentData": {},
        "conversionPriceData": {},
        "statusHistories": [],
        "updatedAt": "",
    }


def _fiat_amount(dice: Random) -> Decimal:
    """Return whole amounts, cents, and now and then a float's noise."""
    if falls(dice, 0.4):
        return Decimal(dice.randint(5, 5000))
    if falls(dice, 0.8):
        return plain(Decimal(dice.randint(500, 50_000_000)).scaleb(-2))
    return _float(dice, Decimal(dice.randint(5, 5000)))


def _crypto_amount(dice: Random, about: Decimal, decimals: int) -> Decimal:
    if falls(dice, 0.9):
        amount = about.quantize(Decimal(1).scaleb(-decimals))
        return plain(amount) if amount else Decimal("1E-8")
    return _float(dice, about)


def _float(dice: Random, about: Decimal) -> Decimal:
    """Return a number near this one with 17 significant digits, as a double prints at worst."""
    digits = dice.randint(10**16, 10**17 - 1) // 10 * 10 + dice.randint(1, 9)
    return Decimal(digits).scaleb(about.adjusted() - 16)

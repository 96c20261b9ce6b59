"""What happens at Paymium: endless orders, transfers and payments with every state, from a seed.

https://github.com/Paymium/api-documentation names the fields of an order,
https://github.com/paytunia/api-documentation its states and those of a payment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from twins.books import Fact
from twins.chance import falls, uuid
from twins.notation import iso

CURRENCY_OF = {
    "amount": "btc",
    "traded_btc": "btc",
    "btc_fee": "btc",
    "btc_amount": "btc",
    "currency_amount": "currency",
    "traded_currency": "currency",
    "currency_fee": "currency",
    "payment_amount": "currency",
    "operation_amount": "currency",
}
CONCURRENT = 40  # orders under way at once
ORDER, TRANSFER, POSTING, PAYMENT = "order", "transfer", "account_operation", "payment"

# The states an order goes through; the numbers are relative frequencies.
PLOTS: Mapping[tuple[str, tuple[str, ...]], int] = {
    ("LimitOrder", ("pending_execution", "active", "fill", "fill", "filled")): 8,
    ("LimitOrder", ("pending_execution", "active", "filled")): 4,
    ("LimitOrder", ("pending_execution", "active", "canceled")): 3,
    ("LimitOrder", ("pending_execution", "active", "fill", "canceled")): 2,
    ("MarketOrder", ("pending_execution", "executed")): 4,
    ("MarketOrder", ("pending_execution", "canceled")): 1,
    ("BitcoinDeposit", ("pending", "executed")): 3,
    ("WireDeposit", ("pending", "processing", "executed")): 2,
    ("BitcoinTransfer", ("pending", "authorized", "processing", "executed")): 3,
    ("WireTransfer", ("pending", "canceled")): 1,
    ("EmailTransfer", ("pending_collection", "expired")): 1,
    ("EmailTransfer", ("pending_collection", "executed")): 1,
}
PAYMENT_PLOT = ("pending_payment", "processing", "paid", "btc_forwarded")
LATE_PLOT = ("pending_payment", "expired")
FEE = Decimal("0.0059")
CENT, SATOSHI = Decimal("0.01"), Decimal("1E-8")


@dataclass(slots=True)
class Under:
    """An order or a payment under way; `content` is what the provider shows of it now."""

    content: dict[str, Any]
    states: list[str]
    postings: list[Fact] = field(default_factory=list)


class Lifecycles:
    """An endless stream of facts; the same seed tells the same story."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._orders: list[Under] = []
        self._payments: list[Under] = []

    def expect_payment(self, payment_id: str) -> None:
        """Let a merchant's payment begin, since somebody asks for it."""
        plot = LATE_PLOT if falls(self._dice, 0.2) else PAYMENT_PLOT
        self._payments.append(Under(_payment(self._dice, payment_id), list(plot)))

    def next(self, now: int) -> Fact:
        """Return what happens at `now`, unix milliseconds."""
        if self._payments and falls(self._dice, 0.3):
            return self._pays(now // 1000)
        return self._orders_on(now)

    def _pays(self, now: int) -> Fact:
        payment = self._payments[0]
        state = payment.states.pop(0)
        if not payment.states:
            self._payments.remove(payment)
        content = payment.content
        content["created_at"] = content["created_at"] or now
        content |= {"state": state, "updated_at": now, "expires_at": content["created_at"] + 900}
        return Fact(
            key=(content["uuid"], state, iso(now * 1000)),
            type=PAYMENT,
            status=state,
            entity=content["uuid"],
            money={
                "payment_amount": _text(content["amount"]),
                "btc_amount": _text(content["btc_amount"]),
                "currency": content["currency"],
                "btc": "BTC",
            },
            about={"channel": content["uuid"]},
            body=_json(content),
        )

    def _orders_on(self, now: int) -> Fact:
        order = self._choose()
        state = order.states.pop(0)
        if not order.states:
            self._orders.remove(order)
        second = iso(now // 1000 * 1000)
        content = order.content
        content["created_at"] = content["created_at"] or second
        content["updated_at"] = second
        content["state"] = "active" if state == "fill" else state
        is_trade = content["direction"] is not None
        if is_trade:
            self._trade(order, state)
        if state in {"active", "executed", "filled"}:
            self._book(order, now // 1000, "lock" if state == "active" else _name_of(content))
        return _told(order, ORDER if is_trade else TRANSFER)

    def _choose(self) -> Under:
        if not self._orders or (len(self._orders) < CONCURRENT and falls(self._dice, 0.3)):
            self._orders.append(_order(self._dice))
            return self._orders[-1]
        return self._dice.choice(self._orders)

    def _trade(self, order: Under, state: str) -> None:
        content = order.content
        asked, done = content["amount"], content["traded_btc"]
        if state == "fill":
            done += ((asked - done) / self._dice.randint(2, 5)).quantize(SATOSHI)
        elif state in {"filled", "executed"}:
            done = asked
        content["traded_btc"] = done
        content["traded_currency"] = (done * content["price"]).quantize(CENT)
        content["btc_fee"] = (done * FEE).quantize(SATOSHI)

    def _book(self, order: Under, now: int, name: str) -> None:
        content = order.content
        operation = {
            "uuid": uuid(self._dice),
            "amount": _booked(content, name),
            "currency": content["currency"],
            "created_at": iso(now * 1000).replace(".000", ""),
            "created_at_int": now,
            "name": name,
            "address": None,
            "tx_hash": None,
            "is_trading_account": content["direction"] is not None,
        }
        if content["type"].startswith("Bitcoin"):
            operation["address"] = f"1{self._dice.getrandbits(150):033x}"
            operation["tx_hash"] = f"{self._dice.getrandbits(256):064x}"
        content["account_operations"] = [*content["account_operations"], operation]
        order.postings.append(_posted(operation))


def _text(amount: Decimal) -> str:
    """Return the digits as the provider prints them: never an exponent."""
    return f"{amount:f}"


def _json(content: Mapping[str, Any]) -> str:
    return msgspec.json.encode(_shown(content)).decode()


def _shown(content: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    match content:
        case Decimal():
            return _text(content)
        case dict():
            return {name: _shown(value) for name, value in content.items()}
        case list():
            return [_shown(value) for value in content]
    return content


def _name_of(content: Mapping[str, Any]) -> str:
    return "bitcoin_transfer" if content["type"].startswith("Bitcoin") else "account_operation"


def _booked(content: Mapping[str, Any], name: str) -> Decimal:
    """Return the signed amount that an operation moves."""
    if content["direction"] is None:
        moved: Decimal = content["amount"] or content["currency_amount"]
        return moved
    worth: Decimal = (content["amount"] * content["price"]).quantize(CENT)
    return -worth if name == "lock" else content["traded_currency"]


def _posted(operation: Mapping[str, Any]) -> Fact:
    return Fact(
        key=(operation["uuid"],),
        type=POSTING,
        status="",
        entity=operation["uuid"],
        money={"operation_amount": _text(operation["amount"]), "currency": operation["currency"]},
        about={},
        body="",
    )


def _told(order: Under, kind: str) -> Fact:
    content = order.content
    words = ("amount", "currency_amount", "traded_btc", "traded_currency", "btc_fee")
    told = ((word, content[word]) for word in (*words, "currency_fee"))
    money = {word: _text(amount) for word, amount in told if amount is not None}
    return Fact(
        key=(
            content["uuid"],
            content["state"],
            content["updated_at"],
            _text(content["traded_btc"]),
            _text(content["traded_currency"]),
        ),
        type=kind,
        status=content["state"],
        entity=content["uuid"],
        money=money | {"btc": "BTC", "currency": content["currency"]},
        about={},
        body=_json(content),
        also=tuple(order.postings),
    )


def _order(dice: Random) -> Under:
    ((kind, states),) = dice.choices(tuple(PLOTS), tuple(PLOTS.values()))
    content: dict[str, Any] = {
        "uuid": uuid(dice),
        "amount": None,
        "currency_amount": None,
        "state": "",
        "btc_fee": Decimal(0),
        "currency_fee": Decimal(0),
        "updated_at": "",
        "created_at": "",
        "currency": "EUR",
        "comment": None,
        "type": kind,
        "traded_btc": Decimal(0),
        "traded_currency": Decimal(0),
        "direction": None,
        "price": None,
        "account_operations": [],
    }
    btc = Decimal(dice.randint(100_000, 300_000_000)).scaleb(-8)
    euros = Decimal(dice.randint(1, 5_000_000)).scaleb(-2)
    if kind.endswith("Order"):
        price = Decimal(dice.randint(2_000_000, 9_000_000)).scaleb(-2)
        content |= {"amount": btc, "price": price, "direction": dice.choice(("buy", "sell"))}
    elif kind.startswith("Wire"):
        content["currency_amount"] = euros if kind.endswith("Deposit") else -euros
    else:
        content |= {"currency": "BTC", "amount": btc if kind.endswith("Deposit") else -btc}
    return Under(content, list(states))


def _payment(dice: Random, payment_id: str) -> dict[str, Any]:
    amount = Decimal(dice.randint(100, 100_000)).scaleb(-2)
    reference = f"order-{dice.randrange(10**6)}"
    return {
        "uuid": payment_id,
        "currency": "EUR",
        "payment_split": 0.5,
        "state": "",
        "callback_url": f"https://shop.example/payments/{reference}/callback",
        "merchant_name": "PM-U24582195",
        "expires_at": 0,
        "merchant_reference": reference,
        "amount": amount,
        "btc_amount": (amount / 40_000).quantize(SATOSHI),
        "payment_address": f"1{dice.getrandbits(150):033x}",
        "created_at": 0,
        "updated_at": 0,
        "comment": None,
        "account_operations": [],
    }

"""Paymium's public market as everybody sees it: a book, broker prices and a site notice.

Captured shapes: https://github.com/nemanull/arbitrage-observatory (docs/profiles/paymium)
"""

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from twins.books import Fact
from twins.chance import falls, uuid
from twins.notation import iso

COINS = ("btc", "eth", "ltc", "bch", "sol", "ada", "dot", "xrp", "link", "uni", "aave")
FIAT = ("eur", "usd", "chf")
LEVELS, DEEPEST = 6, 200
CENT = Decimal("0.01")
NOTICES = (
    {
        "id": 12,
        "severity": "info",
        "display_type": "banner",
        "message": {
            "en": "SMS validation may be slow",
            "fr": "La validation par SMS peut être lente",
        },
    },
)


class Market:
    """One book, kept; what changes of it is told once, and never repeated."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._price = Decimal(76_000)
        self._book: Mapping[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        self._version = 55_484_937
        self._trades: list[Fact] = []

    def burst(self, now: int) -> str:
        """Change some levels on both sides, and return the frame that tells it."""
        changed: dict[str, list[dict[str, Any]]] = {}
        for side in self._dice.choice((("bids",), ("asks",), ("bids", "asks"))):
            count = self._dice.randint(1, LEVELS)
            changed[side] = [self._change(side, now) for _ in range(count)]
        self._version += 1
        return _stream(changed)

    def trade(self, now: int) -> str:
        """Let somebody trade at `now`, unix milliseconds; the frame has no id, REST has."""
        btc = Decimal(self._dice.randint(1, 10**8)).scaleb(-8)
        content = {
            "uuid": uuid(self._dice),
            "traded_btc": f"{btc:f}",
            "traded_currency": f"{(btc * self._price).quantize(CENT):f}",
            "created_at": iso(now // 1000 * 1000).replace(".000", ""),
            "currency": "EUR",
            "side": self._dice.choice(("buy", "sell")),
            "price": f"{self._price:f}",
        }
        money = {"price": content["price"], "traded_btc": content["traded_btc"]}
        self._trades.append(
            Fact(
                key=(content["uuid"],),
                type="trade",
                status="",
                entity="BTC-EUR",
                money={**money, "currency": "EUR", "btc": "BTC"},
                about={"second": str(now // 1000)},
                body=_json({**content, "created_at_int": now // 1000}),
            )
        )
        told = {name: content[name] for name in ("price", "traded_btc", "currency")}
        return _stream({"trades": [{**told, "timestamp": now}]})

    def trades(self, since: int) -> list[Fact]:
        """Return the trades from a unix second on, the newest 1,000."""
        return [fact for fact in self._trades if int(fact.about["second"]) >= since][-1000:]

    def prices(self, now: int) -> str:
        """Return the frame of all broker quotes, which comes changed or not."""
        return _stream({"prices": {a + b: self._quote(a, b, now) for a in COINS for b in FIAT}})

    def announcement(self) -> str:
        return f'42/public,["announcement",{_json(NOTICES)}]'

    def depth(self) -> dict[str, Any]:
        """Return the book as REST shows it, best first, under a version of its own."""
        shown: dict[str, Any] = {
            side: [
                {"price": f"{price:f}", "amount": f"{levels[price]:f}"}
                for price in sorted(levels, reverse=side == "bids")[:DEEPEST]
            ]
            for side, levels in self._book.items()
        }
        return {**shown, "version": self._version, "market": "BTC-EUR"}

    def ticker(self, now: int) -> dict[str, Any]:
        return {
            "high": f"{self._price + 100:f}",
            "low": f"{self._price - 100:f}",
            "price": f"{self._price:f}",
            "bid": f"{self._price - 1:f}",
            "ask": f"{self._price + 1:f}",
            "at": now // 86_400 * 86_400,
            "currency": "EUR",
            "volume": "2.2427433",
        }

    def _change(self, side: str, now: int) -> dict[str, Any]:
        levels = self._book[side]
        if levels and falls(self._dice, 0.4):
            price = self._dice.choice(list(levels))
            del levels[price]
            amount, stamp = Decimal("0.00000000"), 0
        else:
            away = Decimal(self._dice.randint(1, 100_000)) * CENT
            price = self._price + (away if side == "asks" else -away)
            amount, stamp = Decimal(self._dice.randint(1, 10**8)).scaleb(-8), now
            levels[price] = amount
        return {
            "amount": f"{amount:f}",
            "price": f"{price:f}",
            "category": "sell" if side == "asks" else "buy",
            "currency": "EUR",
            "timestamp": stamp,
        }

    def _quote(self, base: str, quote: str, now: int) -> dict[str, Any]:
        price = self._price / (1 + COINS.index(base))
        spread = {
            "purchase_price": f"{(price * Decimal('1.01')).quantize(CENT):f}",
            "sale_price": f"{(price * Decimal('0.99')).quantize(CENT):f}",
        }
        return {
            "base_currency": base,
            "quote_currency": quote,
            "price": f"{price.quantize(CENT):f}",
            "broker_price": f"{(price + 1).quantize(CENT):f}",
            "timestamp": now,
            "swap": spread,
            "card_payment": spread,
            "variation": "0.2959",
        }


def _stream(changed: Mapping[str, Any]) -> str:
    return f'42/public,["stream",{_json(changed)}]'


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()

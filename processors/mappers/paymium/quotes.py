"""Paymium's ticker, and the prices of its conversion service.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from processors.errors import Malformed
from processors.mapper import Keys, Part, Route, Seconds, Statement, Wire, Word, micros, money, rate
from processors.mappers.paymium.bitcoin import BTC, market_of
from schemas.records import Money, NamedPrice, Quote


class _Ticker(Wire, frozen=True):
    currency: Word
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    midpoint: Decimal | None = None
    first: Decimal | None = msgspec.field(name="open", default=None)
    high: Decimal | None = None
    low: Decimal | None = None
    vwap: Decimal | None = None
    volume: Decimal | None = None
    variation: Decimal | None = None


def _ticker(ticker: _Ticker, part: Part, _: Keys) -> Iterator[Statement]:
    def price(amount: Decimal | None, name: str) -> Money | None:
        return money(amount, ticker.currency, f"$.{name}")

    yield Statement(
        payload=Quote(
            market=market_of(ticker.currency),
            bid=price(ticker.bid, "bid"),
            ask=price(ticker.ask, "ask"),
            mid=price(ticker.midpoint, "midpoint"),
            last=price(ticker.price, "price"),
            open=price(ticker.first, "open"),
            high=price(ticker.high, "high"),
            low=price(ticker.low, "low"),
            vwap=price(ticker.vwap, "vwap"),
            volume=money(ticker.volume, BTC, "$.volume"),
            variation=rate(ticker.variation, "$.variation", signed=True),
        ),
        action="updated",
        provider_type=part.context.word,
        entity_kind="market",
        entity_id=market_of(ticker.currency),
        # ``at`` may be the start of the day, so it is not the time of the reading.
    )


class _Spread(Wire, frozen=True):
    purchase_price: Decimal | None = None
    sale_price: Decimal | None = None


class _Price(Wire, frozen=True):
    quote_currency: Word
    price: Decimal
    """Of the last trade; the others are of the conversion service."""
    timestamp: Seconds
    broker_price: Decimal | None = None
    swap: _Spread = _Spread()
    card_payment: _Spread = _Spread()
    variation: Decimal | None = None


def _price(told: _Price, part: Part, _: Keys) -> Iterator[Statement]:
    pair: str = part.context.name
    if not pair:
        raise Malformed("$: expected an object of pairs, found none")
    named = (
        ("broker_price", told.broker_price),
        ("swap.purchase_price", told.swap.purchase_price),
        ("swap.sale_price", told.swap.sale_price),
        ("card_payment.purchase_price", told.card_payment.purchase_price),
        ("card_payment.sale_price", told.card_payment.sale_price),
    )
    yield Statement(
        payload=Quote(
            market=pair,
            last=money(told.price, told.quote_currency, "$.price"),
            variation=rate(told.variation, "$.variation", signed=True),
            prices=tuple(
                NamedPrice(name, money(amount, told.quote_currency, f"$.{name}"))
                for name, amount in named
                if amount is not None
            ),
        ),
        action="updated",
        provider_type=part.context.word,
        entity_kind="pair",
        entity_id=pair,
        occurred_at=micros(told.timestamp, "$.timestamp"),
        only_if_new=True,  # All of them come every ten seconds, changed or not.
    )


TICKER: Final = Route(msgspec.json.Decoder(_Ticker), _ticker)
PRICE: Final = Route(msgspec.json.Decoder(_Price), _price)

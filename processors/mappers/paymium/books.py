"""Paymium's order books: the levels that changed, and the whole depth.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal

import msgspec

from processors.errors import Malformed
from processors.mapper import Keys, Part, Route, Seconds, Statement, Wire, Word, micros, money
from processors.mappers.paymium.bitcoin import BTC, market_of
from schemas.records import Book, Level


class _Level(Wire, frozen=True):
    price: Decimal
    amount: Decimal
    """Absolute; zero deletes the level."""
    currency: Word
    category: Literal["buy", "sell"] | None = None
    timestamp: Seconds = 0
    """Zero on every delete."""


_SIDE: Final = {"bids": "bid", "asks": "ask", "buy": "bid", "sell": "ask"}


def _levels(levels: tuple[_Level, ...], part: Part, _: Keys) -> Iterator[Statement]:
    if levels:
        yield _book(levels, _SIDE[part.kind], part.context.word)


def _older_level(level: _Level, part: Part, _: Keys) -> Iterator[Statement]:
    if level.category is None:
        raise Malformed("$.category: expected buy or sell, found none")
    yield _book((level,), _SIDE[level.category], part.context.word)


def _book(levels: tuple[_Level, ...], side: str, word: str) -> Statement:
    currency = levels[0].currency.upper()
    if any(level.currency.upper() != currency for level in levels):
        raise Malformed("$[].currency: expected one currency, found several")
    latest = max(level.timestamp for level in levels)
    return Statement(
        payload=Book(
            market=market_of(currency),
            is_snapshot=False,
            price_currency=currency,
            quantity_currency=BTC,
            levels=tuple(
                Level(side, _exact(level.price, "$[].price"), _exact(level.amount, "$[].amount"))
                for level in levels
            ),
        ),
        action="updated",
        provider_type=word,
        entity_kind="market",
        entity_id=market_of(currency),
        occurred_at=micros(latest) if latest else None,
    )


def _exact(number: Decimal, where: str) -> Decimal:
    told = money(number, BTC, where)
    return number if told is None or told.amount is None else told.amount


class _DepthLevel(Wire, frozen=True):
    price: Decimal
    amount: Decimal


class _Depth(Wire, frozen=True):
    market: Word
    """``BTC-EUR``."""
    bids: tuple[_DepthLevel, ...]
    asks: tuple[_DepthLevel, ...]
    version: int | None = None


def _depth(depth: _Depth, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell the whole book. Its version is not on the socket."""
    currency = depth.market.rpartition("-")[2]
    if depth.market.upper() != market_of(currency):
        raise Malformed("$.market: expected BTC- and a currency, found another")
    sides = (("bid", depth.bids, "$.bids[]"), ("ask", depth.asks, "$.asks[]"))
    yield Statement(
        payload=Book(
            market=market_of(currency),
            is_snapshot=True,
            price_currency=currency.upper(),
            quantity_currency=BTC,
            version=None if depth.version is None else str(depth.version),
            levels=tuple(
                Level(
                    side,
                    _exact(level.price, f"{where}.price"),
                    _exact(level.amount, f"{where}.amount"),
                )
                for side, levels, where in sides
                for level in levels
            ),
        ),
        action="updated",
        provider_type=part.context.word,
        entity_kind="market",
        entity_id=market_of(currency),
        only_if_new=True,  # Asked for every minute.
    )


LEVELS: Final = Route(msgspec.json.Decoder(tuple[_Level, ...]), _levels)
OLDER_LEVEL: Final = Route(msgspec.json.Decoder(_Level), _older_level)
DEPTH: Final = Route(msgspec.json.Decoder(_Depth), _depth)

"""Paymium's public trades: stated where they have an id.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec

from processors.mapper import Keys, Part, Route, Statement, Wire, Word, micros, money, stake
from processors.mappers.paymium.bitcoin import BTC, market_of
from schemas.records import MarketTrade


class _ListedTrade(Wire, frozen=True):
    uuid: Word
    price: Decimal
    traded_btc: Decimal
    currency: Word
    created_at: datetime
    side: Literal["buy", "sell"] | None = None


def _listed_trade(trade: _ListedTrade, part: Part, _: Keys) -> Iterator[Statement]:
    market, traded_at = market_of(trade.currency), micros(trade.created_at, "$.created_at")
    price = money(trade.price, trade.currency, "$.price")
    quantity = money(trade.traded_btc, BTC, "$.traded_btc")
    yield Statement(
        payload=MarketTrade(
            market=market, side=trade.side, price=price, quantity=quantity, trade_id=trade.uuid
        ),
        action="executed",
        provider_type=part.context.word,
        entity_kind="market",
        entity_id=market,
        identity=("trade", trade.uuid),
        occurred_at=traded_at,
        version=(traded_at, 0),
        is_final=True,  # Nothing of it is to be read back.
        stakes=(market, stake(price), stake(quantity)),
    )


class _MarketTrade(Wire, frozen=True):
    price: Decimal
    traded_btc: Decimal
    timestamp: Annotated[int, msgspec.Meta(ge=0, lt=2**42)]
    """Milliseconds."""
    currency: Word


def _market_trades(trades: tuple[_MarketTrade, ...], part: Part, keys: Keys) -> Iterator[Statement]:
    for trade in trades:
        yield from _market_trade(trade, part, keys)


def _market_trade(trade: _MarketTrade, _part: Part, _: Keys) -> Iterator[Statement]:
    """State nothing of a trade without an id: REST tells it by uuid. It must be readable."""
    money(trade.price, trade.currency, "$.price")
    money(trade.traded_btc, BTC, "$.traded_btc")
    return iter(())


LISTED: Final = Route(msgspec.json.Decoder(_ListedTrade), _listed_trade)
PUSHED: Final = Route(msgspec.json.Decoder(tuple[_MarketTrade, ...]), _market_trades)
OLDER: Final = Route(msgspec.json.Decoder(_MarketTrade), _market_trade)

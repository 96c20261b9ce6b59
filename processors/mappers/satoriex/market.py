"""SatoriEx, what a market tells everybody: trades, prices, books, and its outcome.

https://satoriex.io/en/docs/trading/websocket
https://satoriex.io/en/docs/api
"""

from collections.abc import Iterator
from typing import Final

from processors.mapper import Keys, Part, Statement, content_hash
from processors.mappers.satoriex import values, wire
from schemas.records import Book, Level, MarketTrade, Quote, Settlement, Status


def tell_trade(trade: wire.Trade, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell a public trade. Without an id its content is one, which merges two equal ones."""
    trade_id = trade.trade_id or trade.id
    traded_at = values.moment(trade.created_at, trade.timestamp, trade.ts)
    payload = MarketTrade(
        market=trade.market_id,
        outcome=trade.outcome_id,
        side=values.side(trade.side),
        price=values.price(trade.price, "$.price"),
        quantity=values.shares(trade.quantity, "$.quantity", 1),
        trade_id=trade_id,
    )
    yield Statement(
        payload=payload,
        action="executed",
        provider_type=part.context.type,
        entity_kind="market",
        entity_id=trade.market_id,
        identity=("trade", trade_id or content_hash(part.context.body, "type")),
        occurred_at=traded_at,
        version=values.version(traded_at),
        is_final=True,  # Nothing of it is to be read back.
        stakes=(trade.market_id, trade.price, trade.quantity),
    )


_RESULTS: Final = {"settlement": "completed", "market_resolved": "resolved"}


def tell_outcome(outcome: wire.Outcome, part: Part, keys: Keys) -> Iterator[Statement]:
    """Tell how a market ended: resolved, and paid out, are two facts of one entity."""
    won = outcome.winning_outcome_id or outcome.outcome_id
    settled_at = values.moment(outcome.settled_at, outcome.timestamp, outcome.ts)
    yield Statement(
        payload=Settlement(
            market=outcome.market_id,
            outcome=won,
            payout=values.unsized(outcome.payout, outcome.currency, "$.payout", keys),
        ),
        action=_RESULTS[part.kind],
        provider_type=part.context.type,
        entity_kind="settlement",
        entity_id=outcome.market_id,
        identity=(part.kind, outcome.market_id, won or ""),
        group=outcome.market_id,
        occurred_at=settled_at,
        status=Status.COMPLETED,
        version=values.version(settled_at),
        rank=values.FINAL,
        is_final=True,
        stakes=(Status.COMPLETED, won, outcome.payout),
    )


def tell_prices(prices: wire.Prices, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell the best prices of an outcome: an observation."""
    yield Statement(
        payload=Quote(
            market=prices.market_id,
            outcome=prices.outcome_id,
            bid=values.price(prices.best_bid, "$.best_bid"),
            ask=values.price(prices.best_ask, "$.best_ask"),
            mid=values.midpoint(prices.mid),
        ),
        action="changed",
        provider_type=part.context.type,
        entity_kind="quote",
        entity_id=values.outcome_of(prices.market_id, prices.outcome_id),
        occurred_at=values.moment(prices.timestamp, prices.ts, prices.updated_at),
    )


_CHANGES: Final = ("delta", "update")


def tell_book(book: wire.Book, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell a book, or what changed in it, as its type says: an observation."""
    provider_type = part.context.type
    yield Statement(
        payload=Book(
            market=book.market_id,
            outcome=book.outcome_id,
            is_snapshot=not any(word in provider_type for word in _CHANGES),
            price_currency=values.USDC,
            quantity_currency=values.SHARES,
            version=None if book.seq is None else str(book.seq),
            levels=(*_levels("bid", book.bids), *_levels("ask", book.asks)),
        ),
        action="changed",
        provider_type=provider_type,
        entity_kind="book",
        entity_id=values.outcome_of(book.market_id, book.outcome_id),
        occurred_at=values.moment(book.timestamp, book.ts, book.updated_at),
    )


def _levels(side: str, levels: tuple[wire.Level, ...]) -> Iterator[Level]:
    for number, level in enumerate(levels):
        where = f"$.{side}s[{number}]"
        price, quantity = (level.price, level.quantity) if isinstance(level, wire.Offer) else level
        shares = values.integer(quantity, where, 0, values.MOST_SHARES)
        yield Level(side, values.usdc(price, where), shares)

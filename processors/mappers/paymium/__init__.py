"""Paymium: orders and transfers, merchant payments, balances, and the market.

https://github.com/Paymium/api-documentation
"""

from typing import Final

from processors.mapper import Mapper
from processors.mappers.paymium import balances, books, notices, orders, payments, quotes, trades
from processors.mappers.paymium.frames import parts

# https://github.com/Paymium/api-documentation (spec/openapi.yaml), and captures
_UNREAD: Final = frozenset(
    {
        *("account_operations", "at", "base_currency", "callback_url", "cancel_url"),
        *("category", "comment", "created_at", "created_at_int", "de", "display_type", "en"),
        *("es", "fr", "id", "is_trading_account", "it", "merchant_name", "merchant_reference"),
        *("payment_split", "redirect_url", "size", "timestamp", "trade_id", "traded_currency"),
    }
)

MAPPER: Final = Mapper(
    provider="paymium",
    version=1,
    open=parts,
    routes={
        "orders": orders.ORDER,
        "balance_": balances.KEYED,
        "locked_": balances.KEYED,
        "bids": books.LEVELS,
        "asks": books.LEVELS,
        "ticker": quotes.TICKER,
        "prices": quotes.PRICE,
        "trades": trades.PUSHED,
        "announcement": notices.ANNOUNCEMENT,
        # REST.
        "user": balances.ASKED_FOR,
        "depth": books.DEPTH,
        "trade": trades.LISTED,
        # The older form, and a payment by its uuid.
        "order": orders.ORDER,
        "payment": payments.PAYMENT,
        "balance": balances.OLDER,
        "notice": notices.NOTICE,
        "state": notices.STATE,
        "tick": quotes.TICKER,
        "new-trade": trades.OLDER,
        "update-market-depth": books.OLDER_LEVEL,
    },
    unread=_UNREAD,
)

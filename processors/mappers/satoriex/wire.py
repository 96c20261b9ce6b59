"""SatoriEx, the forms of its messages, its answers and what is in them.

https://satoriex.io/en/docs/trading/websocket
https://satoriex.io/en/docs/api

No page shows the body of a message: all fields but ``type`` and ``market_id`` are guesses, so
only what a fact cannot be without is demanded.
"""

from datetime import datetime
from decimal import Decimal

import msgspec

from processors.mapper import Wire, Word

# ---- envelopes ----------------------------------------------------------------------


class Message(Wire, frozen=True):
    """The specification shows ``type`` at the top, and says ``payload.type``."""

    type: Word | None = None
    payload: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class Inner(Wire, frozen=True):
    """What a body says of itself, whatever it tells."""

    type: Word | None = None
    bids: msgspec.Raw = msgspec.Raw()
    asks: msgspec.Raw = msgspec.Raw()


class Answer(Wire, frozen=True):
    """What every call answers; ``data`` is the call's own."""

    data: msgspec.Raw


class Page(Wire, frozen=True):
    """A list that is told in pages."""

    items: list[msgspec.Raw]


# ---- what is inside -----------------------------------------------------------------

Time = datetime | int
"""A date, or a number of seconds or milliseconds."""


class Order(Wire, frozen=True):
    """One of our own orders, whole or as an update of it."""

    status: Word
    order_id: Word | None = None
    id: Word | None = None
    market_id: Word | None = None
    outcome_id: Word | None = None
    side: int | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    updated_at: Time | None = None
    timestamp: Time | None = None
    ts: Time | None = None
    created_at: Time | None = None


class Fill(Wire, frozen=True):
    """A fill of one of our own orders."""

    order_id: Word | None = None
    id: Word | None = None
    market_id: Word | None = None
    outcome_id: Word | None = None
    trade_id: Word | None = None
    status: Word | None = None
    side: int | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    timestamp: Time | None = None
    ts: Time | None = None
    updated_at: Time | None = None
    created_at: Time | None = None


class Trade(Wire, frozen=True):
    """A trade of anybody."""

    market_id: Word
    trade_id: Word | None = None
    id: Word | None = None
    outcome_id: Word | None = None
    side: int | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    created_at: Time | None = None
    timestamp: Time | None = None
    ts: Time | None = None


class Outcome(Wire, frozen=True):
    """How a market ended."""

    market_id: Word
    winning_outcome_id: Word | None = None
    outcome_id: Word | None = None
    payout: Decimal | None = None
    currency: Word | None = None
    settled_at: Time | None = None
    timestamp: Time | None = None
    ts: Time | None = None


class Transfer(Wire, frozen=True):
    """Money in or out: a message, or a row of ``transactions``."""

    type: Word | None = None
    status: Word | None = None
    id: Word | None = None
    deposit_id: Word | None = None
    withdrawal_id: Word | None = None
    referral_id: Word | None = None
    amount: Decimal | None = None
    currency: Word | None = None
    network: str | None = None
    tx_hash: str | None = None
    updated_at: Time | None = None
    timestamp: Time | None = None
    ts: Time | None = None
    created_at: Time | None = None


class Wallet(Wire, frozen=True):
    """What an account holds of a currency."""

    balance: Decimal | None = None
    locked: Decimal | None = None
    currency: Word | None = None


class Position(Wire, frozen=True):
    """The shares of one outcome that an account holds."""

    market_id: Word
    outcome_id: Word | None = None
    quantity: Decimal | None = None


class Prices(Wire, frozen=True):
    """The best prices of an outcome."""

    market_id: Word
    outcome_id: Word | None = None
    mid: Decimal | None = None
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    timestamp: Time | None = None
    ts: Time | None = None
    updated_at: Time | None = None


class Offer(Wire, frozen=True):
    """A level of a book, with names."""

    price: Decimal
    quantity: Decimal


Level = tuple[Decimal, Decimal] | Offer
"""Price and quantity."""


class Book(Wire, frozen=True):
    """A book, or what changed in it."""

    market_id: Word
    outcome_id: Word | None = None
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    seq: int | None = None
    timestamp: Time | None = None
    ts: Time | None = None
    updated_at: Time | None = None


class Spoken(Wire, frozen=True):
    """Reasons, and what people wrote, are theirs: they stay in raw."""

    id: Word | None = None
    proposal_id: Word | None = None
    dispute_id: Word | None = None
    comment_id: Word | None = None
    market_id: Word | None = None
    timestamp: Time | None = None
    ts: Time | None = None
    created_at: Time | None = None

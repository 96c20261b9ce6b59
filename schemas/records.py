"""Typed records of every topic.

Each class that has an ``.avsc`` mirrors it, field by field and in its order
(``tests/schemas/test_records.py`` holds them together). Times are UTC, in whole
microseconds since the epoch. Amounts are ``Decimal`` in units of their currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

Micros = int
"""A time: microseconds since the epoch, UTC."""


class Kind(StrEnum):
    """What a raw record is: a frame of the provider, or a mark of ours."""

    FRAME = "frame"
    OPENED = "opened"
    ALIVE = "alive"
    HYDRATED = "hydrated"
    CLOSED = "closed"
    RECOVERED = "recovered"


class Via(StrEnum):
    """The path by which a frame reached us."""

    SOCKET = "socket"
    WEBHOOK = "webhook"
    POLL = "poll"
    BACKFILL = "backfill"


class Authority(StrEnum):
    """How much the bytes themselves prove."""

    BEST_EFFORT = "best_effort"
    SIGNED = "signed"
    READ_BACK = "read_back"


class Change(StrEnum):
    """What a ledger posts on."""

    STATUS = "status"
    STAKES = "stakes"
    NONE = "none"


class Status(StrEnum):
    """Our vocabulary of statuses. Append only: ``state`` packs them by position."""

    CREATED = "created"
    PENDING = "pending"
    PROCESSING = "processing"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    FAILED = "failed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REVERSED = "reversed"
    UNKNOWN = "unknown"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"


class Reason(StrEnum):
    """Why a part was rejected."""

    MALFORMED = "malformed"
    UNKNOWN_KIND = "unknown_kind"
    UNVERIFIED = "unverified"
    INVALID_VALUE = "invalid_value"
    CONFLICT = "conflict"
    BEYOND_HORIZON = "beyond_horizon"
    TOO_LARGE = "too_large"
    CRASHED = "crashed"


class Position(NamedTuple):
    """Where a record lies in Kafka."""

    topic: str
    partition: int
    offset: int


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a raw topic: the provider's bytes and how they came."""

    provider: str
    account: str
    environment: str
    via: Via
    route: str
    kind: Kind
    connection: str
    sequence: int
    received_at: Micros
    signature: Mapping[str, str] = {}
    """The provider's own signature headers, of webhooks only."""
    value: bytes


class Closed(msgspec.Struct, frozen=True):
    """Body of a ``closed`` mark: why, in one of the words of ``coverage.cause``."""

    cause: str
    detail: str = ""


class Recovered(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Body of a ``recovered`` mark: what was read back.

    The mark's route is the channel whose holes it closes.
    """

    from_: str
    """Cursor, in the provider's form."""
    up_to: str
    """Cursor: reading goes on from here where ``complete``."""
    from_at: Micros
    """What happened from then on was read back, as far as the provider tells it."""
    up_to_at: Micros
    by: str
    """``replay``, ``backfill`` or ``poll``."""
    count: int
    complete: bool
    number: int = 0
    """The last number of a signed request; 0 where none is numbered."""


class Money(msgspec.Struct, frozen=True):
    amount: Decimal | None
    currency: str
    exact: str | None = None


class Fee(msgspec.Struct, frozen=True):
    name: str
    money: Money | None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str | None = None
    game: str | None = None
    asset_id: str | None = None
    status: str | None = None
    error: str | None = None
    price: Money | None = None


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    direction: str
    method: str
    status: str
    provider_status: str
    gross: Money | None = None
    fee: Money | None = None
    net: Money | None = None
    credited_now: Money | None = None
    credited_later: Money | None = None
    overpayment: Money | None = None
    crypto: Money | None = None
    reference: str | None = None
    reversal_of: str | None = None
    network: str | None = None
    address: str | None = None
    tx_hash: str | None = None
    counterparty_ref: str | None = None
    reason: str | None = None
    items: tuple[Item, ...] = ()


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    side: str
    status: str
    provider_status: str
    fiat: Money | None = None
    crypto: Money | None = None
    paid: Money | None = None
    rate: str | None = None
    fees: tuple[Fee, ...] = ()
    payment_method: str | None = None
    network: str | None = None
    address: str | None = None
    tx_hash: str | None = None
    customer_ref: str | None = None
    partner_order_id: str | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    provider_status: str
    amount: Money | None = None
    paid: Money | None = None
    remaining: Money | None = None
    crypto: Money | None = None
    expires_at: Micros | None = None
    order_id: str | None = None
    customer_ref: str | None = None
    network: str | None = None
    address: str | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    invoice_id: str
    status: str
    provider_status: str
    amount: Money | None = None
    token: str | None = None
    network: str | None = None
    tx_hash: str | None = None


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    provider_status: str
    substatus: str | None = None
    retailer: str | None = None
    invoice_id: str | None = None
    customer_ref: str | None = None
    total: Money | None = None
    network: str | None = None
    address: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    market: str
    outcome: str | None = None
    side: str | None = None
    order_type: str | None = None
    status: str
    provider_status: str
    price: Money | None = None
    quantity: Money | None = None
    filled_quantity: Money | None = None
    filled_amount: Money | None = None
    fees: tuple[Fee, ...] = ()
    last_price: Money | None = None
    last_quantity: Money | None = None
    trade_id: str | None = None


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    amount: Money | None
    name: str
    order_id: str | None = None
    tx_hash: str | None = None
    address: str | None = None


class MarketTrade(msgspec.Struct, frozen=True, kw_only=True):
    market: str
    outcome: str | None = None
    side: str | None = None
    price: Money | None = None
    quantity: Money | None = None
    trade_id: str | None = None


class NamedPrice(msgspec.Struct, frozen=True):
    name: str
    price: Money | None


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    market: str
    outcome: str | None = None
    bid: Money | None = None
    ask: Money | None = None
    mid: Money | None = None
    last: Money | None = None
    open: Money | None = None
    high: Money | None = None
    low: Money | None = None
    vwap: Money | None = None
    volume: Money | None = None
    variation: str | None = None
    prices: tuple[NamedPrice, ...] = ()


class Level(msgspec.Struct, frozen=True):
    side: str
    price: Decimal
    quantity: Decimal


class Book(msgspec.Struct, frozen=True, kw_only=True):
    market: str
    outcome: str | None = None
    is_snapshot: bool
    price_currency: str
    quantity_currency: str
    version: str | None = None
    levels: tuple[Level, ...] = ()


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    currency: str
    available: Money | None = None
    locked: Money | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    action: str
    game: str | None = None
    source: str | None = None
    item: Item | None = None
    price: Money | None = None


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    market: str
    outcome: str | None = None
    payout: Money | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    subject: str | None = None
    severity: str | None = None
    status: str | None = None
    text: str | None = None


Payload = (
    Transfer
    | Conversion
    | Invoice
    | Payment
    | Purchase
    | Order
    | Posting
    | MarketTrade
    | Quote
    | Book
    | Balance
    | Listing
    | Settlement
    | Notice
)


class Evidence(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    offset: int
    part: str
    sha256: str
    verified: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a provider told: an envelope and exactly one payload."""

    id: str
    type: str
    is_fact: bool
    provider: str
    account: str
    environment: str
    provider_type: str
    entity_kind: str
    entity_id: str
    group: str | None
    entity_sequence: int
    is_stale: bool
    change: str
    authority: str
    occurred_at: Micros
    time_source: str
    received_at: Micros
    published_at: Micros
    via: str
    evidence: Evidence
    mapper: str
    corrects: str | None = None
    transfer: Transfer | None = None
    conversion: Conversion | None = None
    invoice: Invoice | None = None
    payment: Payment | None = None
    purchase: Purchase | None = None
    order: Order | None = None
    posting: Posting | None = None
    market_trade: MarketTrade | None = None
    quote: Quote | None = None
    book: Book | None = None
    balance: Balance | None = None
    listing: Listing | None = None
    settlement: Settlement | None = None
    notice: Notice | None = None

    @property
    def key(self) -> str:
        """Return ``provider/account/entity_kind/entity_id``, the key on ``events``."""
        return f"{self.provider}/{self.account}/{self.entity_kind}/{self.entity_id}"


class Header(msgspec.Struct, frozen=True):
    name: str
    value: bytes


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a frame that could not be told as an event."""

    provider: str
    account: str
    environment: str
    reason: str
    message: str
    topic: str
    partition: int
    offset: int
    part: str
    value: bytes
    size: int
    headers: tuple[Header, ...]
    fact_id: str | None = None
    entity_kind: str | None = None
    entity_id: str | None = None
    mapper: str
    attempt: int
    received_at: Micros
    rejected_at: Micros


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """A hole, or a recovery."""

    kind: str
    provider: str
    account: str
    environment: str
    channel: str
    from_at: Micros
    to_at: Micros
    cause: str
    recovered_by: str | None = None
    count: int | None = None
    complete: bool
    topic: str
    partition: int
    offset: int
    recorded_at: Micros


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A further path by which a fact reached us, the first time it did."""

    id: str
    provider: str
    account: str
    via: str
    authority: str
    verified: str
    received_at: Micros
    topic: str
    partition: int
    offset: int
    part: str
    published_at: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A token minted while running, with which a provider signs what we verify."""

    provider: str
    account: str
    key_id: str
    """Random, never derived from the token: it stands in ``evidence``."""
    token: str = field(repr=False)
    minted_at: Micros
    expires_at: Micros


class OpenEntity(msgspec.Struct, frozen=True, kw_only=True):
    """An entity whose last fact is not final: what ingest may have to read back.

    On ``open`` it is keyed by ``key`` and lies in its account's partition, as raw does.
    It is written when the entity opens, and a tombstone when it closes; a change between
    two statuses that are not final writes nothing.
    """

    provider: str
    account: str
    entity_kind: str
    entity_id: str
    """The provider's own id, as its API takes it."""
    status: str
    """``Status`` with which it opened."""
    since: Micros
    """When it did, by the provider's clock where it gives a time."""

    @property
    def key(self) -> str:
        """Return the key on ``open``: that of the entity's events."""
        return f"{self.provider}/{self.account}/{self.entity_kind}/{self.entity_id}"


class FactSeen(msgspec.Struct, frozen=True):
    """What ``state`` remembers of a fact or an observation."""

    stakes: bytes
    """8 bytes: BLAKE2b of what a ledger posts on."""
    recipe: int
    """Number of the rule by which the stakes were taken."""
    is_fact: bool
    paths: int
    """Bit set of the paths that brought it, by ``codec.path_bit``."""
    received_at: int
    """When it was first received: hundredths of a second since the epoch, modulo 2^32, which is
    497 days and so longer than a fact is remembered. ``codec.hundredths`` makes it."""
    offset: int
    """Offset in ``raw.<provider>``, in the partition of the task."""


class EntitySeen(msgspec.Struct, frozen=True):
    """What ``state`` remembers of an entity."""

    sequence: int
    version: tuple[int, int] | None
    rank: int
    is_final: bool
    touched_at: int
    """Seconds since the epoch."""
    observed: bytes
    """8 bytes: hash of the last observation's payload; zeros if there was none."""
    stakes: Mapping[str, bytes]
    """Status told before → the stakes last told with it."""


class ChannelSeen(msgspec.Struct, frozen=True):
    """What ``state`` remembers of a channel: where a hole in it would begin."""

    alive_at: Micros
    """Last kept frame or live mark."""
    connection: str
    """Id of the connection that told it."""
    cause: str
    """Why the channel is closed; empty while it is live."""


class StateRecord(NamedTuple):
    """One record of ``state``: what one transaction added to a task's memory."""

    positions: Mapping[str, int]
    """Input topic → the next offset to read, in the partition of the task."""
    facts: Mapping[bytes, FactSeen]
    entities: Mapping[bytes, EntitySeen]
    channels: Mapping[str, ChannelSeen]
    """``provider/account/channel`` → when it was last alive."""

"""Pepay: invoices, their payments, and commerce orders.

https://docs-alpha.pepay.io/api-spec/realtime/websockets
https://docs-alpha.pepay.io/api-reference/events/list-events
https://docs-alpha.pepay.io/api-spec/webhooks
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from processors.envelopes import proof
from processors.errors import InvalidValue, Malformed
from processors.mapper import (
    Keys,
    Mapper,
    Part,
    Route,
    Seconds,
    Statement,
    Wire,
    Word,
    action,
    is_same,
    micros,
    money,
    scaled,
    stake,
)
from schemas.records import Invoice, Money, Payment, Purchase, Raw, Status, Via
from schemas.signatures import pepay

# ---- the envelope -------------------------------------------------------------------


class _Contents(Wire, frozen=True):
    object: msgspec.Raw = msgspec.Raw()


class _Envelope(Wire, frozen=True):
    """An ``event``, or a word about the stream, of which only ``object`` is promised.

    The older callback has no ``object`` at all.
    """

    object: Word | None = None
    id: Word | None = None
    type: Word | None = None
    created: Seconds | None = None
    data: _Contents | None = None


class _Told(msgspec.Struct, frozen=True):
    """What the envelope of an event says of it."""

    id: str
    type: str
    created: int
    lacks: str = ""
    """What a row of the list should have told and did not: it is rejected by itself."""


_PROMISED: Final = ("id", "type", "created", "data")
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


class _Rows(Wire, frozen=True):
    data: list[msgspec.Raw]


class _List(Wire, frozen=True):
    data: _Rows


_LIST: Final = msgspec.json.Decoder(_List)


def _open(raw: Raw, keys: Keys) -> Iterator[Part]:
    """Yield the objects that changed; a webhook has the envelope of the socket, signed."""
    match raw.via:
        case Via.POLL | Via.BACKFILL:
            return _listed(raw.value)
        case Via.WEBHOOK:
            return _delivered(raw, keys)
    return _told(raw)


def _delivered(raw: Raw, keys: Keys) -> Iterator[Part]:
    proved = proof(raw, pepay.signed, keys.verification)
    for part in _told(raw):
        _check_network(part, raw.environment)
        yield replace(part, authority=proved.authority, verified=proved.verified)


def _told(raw: Raw) -> Iterator[Part]:
    envelope = _ENVELOPE.decode(raw.value)
    match envelope.object:
        case "event":
            part = _part(envelope, raw.value, "")
        case None if raw.via is Via.WEBHOOK and envelope.type in _STATUS_OF_TYPE:
            part = Part(_FLAT, raw.value, context=_context(envelope))
        case None:
            raise Malformed("$.object: expected text, found none")
        case word:
            return iter((Part(kind=word, body=raw.value),))
    if part.context.lacks:
        raise Malformed(_missing(part.context))
    return iter((part,))


def _listed(page: bytes) -> Iterator[Part]:
    """Yield the rows of the list, oldest first; it tells the newest first.

    https://docs-alpha.pepay.io/api-reference/events/list-events
    """
    page.decode()  # What nobody reads is not decoded: so all of it is, once.
    rows = [bytes(row) for row in _LIST.decode(page).data.data]
    for number in reversed(range(len(rows))):
        yield _row(rows[number], f"/data/data/{number}")


def _row(row: bytes, pointer: str) -> Part:
    try:
        envelope = _ENVELOPE.decode(row)
    except msgspec.MsgspecError:
        return Part(kind="event", body=row, pointer=pointer)
    return _part(envelope, row, pointer)


def _part(envelope: _Envelope, whole: bytes, pointer: str) -> Part:
    inner = bytes(envelope.data.object) if envelope.data else b""
    return Part(
        kind=envelope.type or envelope.object or "event",
        body=inner or whole,
        pointer=f"{pointer}/data/object",
        context=_context(envelope, "" if inner else "data.object"),
    )


def _context(envelope: _Envelope, lacks: str = "") -> _Told:
    lacks = next((name for name in _PROMISED if getattr(envelope, name) is None), lacks)
    return _Told(envelope.id or "", envelope.type or "", envelope.created or 0, lacks)


def _missing(told: _Told) -> str:
    return f"$.{told.lacks}: expected one in an event, found none"


class _Placed(Wire, frozen=True):
    environment: str | None = None


_PLACED: Final = msgspec.json.Decoder(_Placed)
_NETWORK: Final = {"production": "mainnet", "sandbox": "devnet"}


def _check_network(part: Part, environment: str) -> None:
    """Hold play money apart: an endpoint without an environment of its own gets both networks.

    https://docs-alpha.pepay.io/api-spec/webhooks
    """
    told, ours = _PLACED.decode(part.body).environment, _NETWORK[environment]
    if told is not None and told != ours:
        raise InvalidValue(f"$.data.object.environment: expected {ours}, found another")


# ---- what all three objects share ---------------------------------------------------

_LONGEST: Final = 18  # digits that fit 64 bits


def _version(event_id: str) -> tuple[int, int] | None:
    """Return (ms, n) of ``evt_<ms>-<n>``, to be compared as numbers; older ids have none."""
    ms, _, n = event_id.removeprefix("evt_").partition("-")
    if _is_number(ms) and _is_number(n):
        return int(ms), int(n)
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST


# The places of statuses in an entity's life. What we do not know outranks nothing.
_RANK: Final = {
    Status.UNKNOWN: 0,
    Status.CREATED: 0,
    Status.PENDING: 1,
    Status.PROCESSING: 2,
    Status.COMPLETED: 3,
    Status.EXPIRED: 3,
    Status.CANCELLED: 3,
    Status.FAILED: 3,
    Status.REFUNDED: 4,
}
_FIRST_FINAL: Final = 3


def _statement(  # noqa: PLR0913
    told: _Told,
    payload: Invoice | Payment | Purchase,
    status: Status,
    *,
    entity: tuple[str, str],
    group: str | None,
    amounts: tuple[Money | None, ...],
    recipe: int = 1,
) -> Statement:
    if told.lacks:
        raise Malformed(_missing(told))
    rank = _RANK[status]
    return Statement(
        payload=payload,
        action=action(payload, status),
        provider_type=told.type,
        entity_kind=entity[0],
        entity_id=entity[1],
        identity=(told.id,),
        group=group,
        occurred_at=micros(told.created),
        status=status,
        version=_version(told.id),
        rank=rank,
        is_final=rank >= _FIRST_FINAL,
        stakes=(status, _USD, *map(stake, amounts)),
        recipe=recipe,
    )


# ---- invoices -----------------------------------------------------------------------

_USD: Final = "USD"
_FULL_FORM: Final = 1
_SHORT_FORM: Final = 2
"""Tells fewer amounts than the full form, so its stakes cannot be held against it."""

# https://docs-alpha.pepay.io/api-reference/events/list-events "status", as seen
_INVOICE_STATUS: Final[Mapping[str, Status]] = {
    "unpaid": Status.CREATED,
    "underpaid": Status.PENDING,
    "paid": Status.COMPLETED,
    "expired": Status.EXPIRED,
}

# https://github.com/PepayLabs/docs/blob/main/developers/pepay-api.md: older types, which say
# what their objects may not. That an overpaid invoice is paid is our reading.
_STATUS_OF_TYPE: Final[Mapping[str, str]] = {
    "invoice.paid": "paid",
    "invoice.expired": "expired",
    "invoice.partial_payment": "underpaid",
    "invoice.overpaid": "paid",
}


class _Invoice(Wire, frozen=True, tag_field="object", tag="invoice"):
    id: Word
    status: Word | None = None
    currency: Literal["usd", "USD"] | None = None
    amount_unit: Literal["usd_millis"] | None = None
    amount: Decimal | None = None
    amount_decimal: Decimal | None = None
    amount_paid: Decimal | None = None
    amount_paid_decimal: Decimal | None = None
    amount_remaining: Decimal | None = None
    amount_remaining_decimal: Decimal | None = None
    amount_usd: Decimal | None = None
    customer_id: str | None = None
    payer_wallet_address: str | None = None
    payer_wallet_network: str | None = None
    commerce_order_id: Word | None = None
    expires_at: datetime | Seconds | None = None

    @property
    def form(self) -> int:
        is_full = self.amount is not None or self.amount_decimal is not None
        return _FULL_FORM if is_full else _SHORT_FORM


def _invoice(invoice: _Invoice, part: Part, keys: Keys) -> Iterator[Statement]:
    told: _Told = part.context
    word = invoice.status or _STATUS_OF_TYPE.get(told.type)
    if word is None:
        raise Malformed("$.status: expected text, found none")
    status = _INVOICE_STATUS.get(word, Status.UNKNOWN)
    unit, expires_at = invoice.amount_unit, invoice.expires_at
    payload = Invoice(
        status=status,
        provider_status=word,
        amount=_usd(invoice.amount_decimal, invoice.amount, unit, "$.amount")
        or money(invoice.amount_usd, _USD, "$.amount_usd"),
        paid=_usd(invoice.amount_paid_decimal, invoice.amount_paid, unit, "$.amount_paid"),
        remaining=_usd(
            invoice.amount_remaining_decimal, invoice.amount_remaining, unit, "$.amount_remaining"
        ),
        expires_at=None if expires_at is None else micros(expires_at, "$.expires_at"),
        order_id=invoice.commerce_order_id,
        customer_ref=keys.hashed(invoice.customer_id),
        network=invoice.payer_wallet_network,
        address=invoice.payer_wallet_address,
    )
    yield _statement(
        told,
        payload,
        status,
        entity=("invoice", invoice.id),
        group=invoice.id,
        amounts=(payload.amount, payload.paid),
        recipe=invoice.form,
    )


def _usd(
    dollars: Decimal | None, millis: Decimal | None, unit: str | None, where: str
) -> Money | None:
    """Return an amount that is told as decimal text, as thousandths of a dollar, or both."""
    if millis is None:
        return money(dollars, _USD, f"{where}_decimal")
    if unit is None:
        if dollars is None:
            raise Malformed("$.amount_unit: expected usd_millis, found none")
        return money(dollars, _USD, f"{where}_decimal")
    from_millis = scaled(millis, 3)
    if dollars is None:
        return money(from_millis, _USD, where)
    told = money(dollars, _USD, f"{where}_decimal")
    if not is_same(dollars, from_millis):
        raise Malformed(f"{where}: expected the amount of {where}_decimal, found another")
    return told


# ---- invoices of the older callback -------------------------------------------------

_FLAT: Final = "flat_invoice"
_FLAT_FORM: Final = 3
"""Tells what was paid and no amount asked."""


class _FlatContents(Wire, frozen=True):
    invoice_id: Word
    status: Word | None = None
    amount_paid: Decimal | None = None
    payment_network: str | None = None


class _Flat(Wire, frozen=True):
    data: _FlatContents


def _flat_invoice(flat: _Flat, part: Part, _: Keys) -> Iterator[Statement]:
    invoice, told = flat.data, part.context
    word = invoice.status or _STATUS_OF_TYPE[told.type]
    status = _INVOICE_STATUS.get(word, Status.UNKNOWN)
    payload = Invoice(
        status=status,
        provider_status=word,
        paid=money(invoice.amount_paid, _USD, "$.data.amount_paid"),
        network=invoice.payment_network,
    )
    yield _statement(
        told,
        payload,
        status,
        entity=("invoice", invoice.invoice_id),
        group=invoice.invoice_id,
        amounts=(payload.paid,),
        recipe=_FLAT_FORM,
    )


# ---- payments of invoices -----------------------------------------------------------

# https://docs-alpha.pepay.io/api-spec/webhook-events says pending; the others are assumed.
_PAYMENT_STATUS: Final[Mapping[str, Status]] = {
    "pending": Status.PENDING,
    "confirmed": Status.PROCESSING,
    "settled": Status.COMPLETED,
    "failed": Status.FAILED,
}


class _Payment(Wire, frozen=True, tag_field="object", tag="invoice_payment"):
    id: Word
    invoice_id: Word
    status: Word
    amount_usd: Decimal | None = None
    token: str | None = None
    payment_network: str | None = None
    transaction_hash: str | None = None


def _payment(payment: _Payment, part: Part, _: Keys) -> Iterator[Statement]:
    status = _PAYMENT_STATUS.get(payment.status, Status.UNKNOWN)
    payload = Payment(
        invoice_id=payment.invoice_id,
        status=status,
        provider_status=payment.status,
        amount=money(payment.amount_usd, _USD, "$.amount_usd"),
        token=payment.token,
        network=payment.payment_network,
        tx_hash=payment.transaction_hash,
    )
    yield _statement(
        part.context,
        payload,
        status,
        entity=("invoice_payment", payment.id),
        group=payment.invoice_id,
        amounts=(payload.amount,),
    )


# ---- commerce orders ----------------------------------------------------------------

# https://docs-alpha.pepay.io/api-spec/commerce/orders; fulfilled: the specification alone
_ORDER_STATUS: Final[Mapping[str, Status]] = {
    "processing": Status.PROCESSING,
    "placed": Status.PROCESSING,
    "shipped": Status.PROCESSING,
    "delivered": Status.COMPLETED,
    "fulfilled": Status.COMPLETED,
    "cancelled": Status.CANCELLED,
    "failed": Status.FAILED,
    "refunded": Status.REFUNDED,
}


class _Order(Wire, frozen=True, tag_field="object", tag="commerce_order"):
    """Events spell it with underscores; REST, and objects copied from it, in camelCase."""

    status: Word
    substatus: str | None = None
    retailer: str | None = None
    total: Decimal | None = None
    id: Word | None = None
    order_id: Word | None = None
    invoice_id: Word | None = None
    customer_id: str | None = None
    wallet_address: str | None = None
    wallet_network: str | None = None
    camel_order_id: Word | None = msgspec.field(name="orderId", default=None)
    camel_invoice_id: Word | None = msgspec.field(name="invoiceId", default=None)
    camel_customer_id: str | None = msgspec.field(name="customerId", default=None)
    camel_wallet_address: str | None = msgspec.field(name="walletAddress", default=None)
    camel_wallet_network: str | None = msgspec.field(name="walletNetwork", default=None)


def _order(order: _Order, part: Part, keys: Keys) -> Iterator[Statement]:
    order_id = order.id or order.order_id or order.camel_order_id
    if order_id is None:
        raise Malformed("$.id: expected text, found none")
    status = _ORDER_STATUS.get(order.status, Status.UNKNOWN)
    payload = Purchase(
        status=status,
        provider_status=order.status,
        substatus=order.substatus,
        retailer=order.retailer,
        invoice_id=order.invoice_id or order.camel_invoice_id,
        customer_ref=keys.hashed(order.customer_id or order.camel_customer_id),
        total=money(order.total, _USD, "$.total"),
        network=order.wallet_network or order.camel_wallet_network,
        address=order.wallet_address or order.camel_wallet_address,
    )
    yield _statement(
        part.context,
        payload,
        status,
        entity=("commerce_order", order_id),
        group=payload.invoice_id,
        amounts=(),  # The total comes with some events and not with others.
    )


# ---- the mapper ---------------------------------------------------------------------

_INVOICES: Final = Route(msgspec.json.Decoder(_Invoice), _invoice)
_PAYMENTS: Final = Route(msgspec.json.Decoder(_Payment), _payment)
_ORDERS: Final = Route(msgspec.json.Decoder(_Order), _order)

# https://docs-alpha.pepay.io/api-reference/events/list-events, /api-spec/commerce/orders
_UNREAD: Final = frozenset(
    {
        *("actions", "created", "created_at", "createdAt", "environment", "fulfillment", "id"),
        *("invoice_type", "itemCount", "last_payment_at", "lineItems", "merchant_id"),
        *("merchantId", "metadata", "networkEnvironment", "paid_at", "payment"),
        *("shipmentsSummary", "timeline", "transaction_hash", "type", "updated_at"),
        *("updatedAt",),
    }
)

MAPPER: Final = Mapper(
    provider="pepay",
    version=1,
    open=_open,
    routes={
        "invoice.created": _INVOICES,
        "invoice.updated": _INVOICES,
        "invoice.paid": _INVOICES,
        _FLAT: Route(msgspec.json.Decoder(_Flat), _flat_invoice),
        "invoice_payment.created": _PAYMENTS,
        "invoice_payment.updated": _PAYMENTS,
        "commerce.order.created": _ORDERS,
        "commerce.order.updated": _ORDERS,
    },
    silent=frozenset({"ws_control", "ws_error", "test.ping"}),
    unread=_UNREAD,
)

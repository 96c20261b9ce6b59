"""Transak: orders that turn fiat into crypto (BUY) and back (SELL), and customers' papers.

https://docs.transak.com/features/websockets
https://docs.transak.com/docs/websocket-events
https://docs.transak.com/reference/get-orders
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

import msgspec

from processors.envelopes import pusher, verified
from processors.errors import Malformed, UnknownKind
from processors.mapper import (
    Keys,
    Mapper,
    Part,
    Route,
    Statement,
    Wire,
    Word,
    action,
    micros,
    money,
    rate,
    stake,
)
from schemas.records import Authority, Conversion, Fee, Notice, Raw, Status, Via
from schemas.times import millis_text

# ---- envelopes ----------------------------------------------------------------------


class _Claims(Wire, frozen=True):
    """What is signed: an order in an envelope of its own, or the order alone."""

    webhook_data: msgspec.Raw | msgspec.UnsetType = msgspec.field(
        name="webhookData", default=msgspec.UNSET
    )
    event_id: Word | None = msgspec.field(name="eventID", default=None)


_CLAIMS: Final = msgspec.json.Decoder(_Claims)


def _socket(raw: Raw, keys: Keys) -> Iterator[Part]:
    """Open a message of any channel.

    The channel of the API key is as public as the others; what tells its messages
    apart is that they are signed. So the form decides: an object proves nothing by
    itself, and text must be a token that we can verify.
    """
    event, content = pusher(raw.value)
    if isinstance(content, bytes):
        yield Part(kind=event, body=content, pointer="/data", context=event)
    else:
        yield _signed(event, content, raw, keys)


class _Posted(Wire, frozen=True):
    data: str


_POSTED: Final = msgspec.json.Decoder(_Posted)


def _webhook(raw: Raw, keys: Keys) -> Iterator[Part]:
    """Open a delivery: the token names its own event.

    https://docs.transak.com/features/webhooks
    """
    yield _signed(None, _POSTED.decode(raw.value).data, raw, keys)


def _signed(event: str | None, token: str, raw: Raw, keys: Keys) -> Part:
    key_id, signed = verified(token, keys.verification, raw.received_at)
    claims = _CLAIMS.decode(signed)
    order = claims.webhook_data
    event = event or claims.event_id
    if event is None:
        raise Malformed("$.data.eventID: expected text, found none")
    return Part(
        kind=event,
        body=signed if order is msgspec.UNSET else bytes(order),
        pointer="/data",
        context=_both(event, claims.event_id),
        authority=Authority.SIGNED,
        verified=f"hs256:{key_id}",
    )


def _both(event: str, signed_event: str | None) -> str:
    """Return the provider's word; both where the signed one contradicts Pusher's."""
    if signed_event is None or signed_event == event:
        return event
    return f"{event} / {signed_event}"


class _Answer(Wire, frozen=True):
    data: msgspec.Raw


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ROW: Final = "order"
"""The kind of part that a row of a page is, and an order that was asked for by its id."""


def _page(raw: Raw, _: Keys) -> Iterator[Part]:
    """Open an answer of REST: a list is one part for each row."""
    data = bytes(_ANSWER.decode(raw.value).data)
    if not data.startswith(b"["):
        yield Part(kind=_ROW, body=data, pointer="/data", context=raw.route)
        return
    for n, row in enumerate(_ROWS.decode(data)):
        yield Part(kind=_ROW, body=bytes(row), pointer=f"/data/{n}", context=raw.route)


_OPENERS: Final[Mapping[Via, Callable[[Raw, Keys], Iterator[Part]]]] = {
    Via.SOCKET: _socket,
    Via.WEBHOOK: _webhook,
    Via.POLL: _page,
    Via.BACKFILL: _page,
}


def _open(raw: Raw, keys: Keys) -> Iterator[Part]:
    opener = _OPENERS.get(raw.via)
    if opener is None:
        raise UnknownKind(f"transak has no reading of what came by {raw.via}")
    return opener(raw, keys)


# ---- orders -------------------------------------------------------------------------

# https://docs.transak.com/docs/websocket-events; REFUNDED is named by
# https://docs.transak.com/docs/webhooks alone, DECLINED by a public client. Ranks are ours.
_STATUS: Final[Mapping[str, tuple[Status, int]]] = {
    "AWAITING_PAYMENT_FROM_USER": (Status.CREATED, 0),
    "PAYMENT_DONE_MARKED_BY_USER": (Status.PENDING, 1),
    "PROCESSING": (Status.PROCESSING, 2),
    "PENDING_DELIVERY_FROM_TRANSAK": (Status.PROCESSING, 3),
    "ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK": (Status.ON_HOLD, 3),
    "COMPLETED": (Status.COMPLETED, 4),
    "EXPIRED": (Status.EXPIRED, 4),
    "FAILED": (Status.FAILED, 4),
    "DECLINED": (Status.DECLINED, 4),
    "CANCELLED": (Status.CANCELLED, 4),
    "REFUNDED": (Status.REFUNDED, 5),
}
_UNKNOWN: Final = (Status.UNKNOWN, 0)
_FIRST_FINAL: Final = 4


class _Order(Wire, frozen=True, rename="camel"):
    status: Word
    is_buy_or_sell: Literal["BUY", "SELL"]
    fiat_currency: Word
    created_at: datetime
    updated_at: datetime | None = None
    """Missing in a captured webhook of a created order."""
    id: Word | None = None
    rest_id: Word | None = msgspec.field(name="_id", default=None)
    order_id: Word | None = None
    crypto_currency: Word | None = None
    older_crypto_currency: Word | None = msgspec.field(name="cryptocurrency", default=None)
    fiat_amount: Decimal | None = None
    crypto_amount: Decimal | None = None
    amount_paid: Decimal | None = None
    conversion_price: Decimal | None = None
    total_fee_in_fiat: Decimal | None = None
    partner_fee_in_local_currency: Decimal | None = None
    payment_option_id: str | None = None
    network: str | None = None
    wallet_address: str | None = None
    transaction_hash: str | None = None
    partner_order_id: str | None = None
    partner_customer_id: str | None = None
    user_id: str | None = None


def _order(order: _Order, part: Part, keys: Keys) -> Iterator[Statement]:
    order_id = order.id or order.rest_id or order.order_id
    if order_id is None:
        raise Malformed("$.id: expected text, found none")
    payload = _conversion(order, keys)
    status, rank = _STATUS.get(order.status, _UNKNOWN)
    changed_at = micros(order.updated_at or order.created_at, "$.updatedAt")
    yield Statement(
        payload=payload,
        action=action(payload, status),
        provider_type=part.context,
        entity_kind="order",
        entity_id=order_id,
        identity=("order", order_id, order.status, millis_text(changed_at)),
        occurred_at=changed_at,
        status=status,
        version=(changed_at, 0),
        rank=rank,
        is_final=rank >= _FIRST_FINAL,
        stakes=_stakes(order, payload),
    )


def _conversion(order: _Order, keys: Keys) -> Conversion:
    crypto = order.crypto_currency or order.older_crypto_currency
    if crypto is None:
        raise Malformed("$.cryptoCurrency: expected text, found none")
    fiat = order.fiat_currency
    return Conversion(
        side=order.is_buy_or_sell.lower(),
        status=_STATUS.get(order.status, _UNKNOWN)[0],
        provider_status=order.status,
        fiat=money(order.fiat_amount, fiat, "$.fiatAmount"),
        crypto=money(order.crypto_amount, crypto, "$.cryptoAmount"),
        paid=money(order.amount_paid, fiat, "$.amountPaid"),
        rate=rate(order.conversion_price, "$.conversionPrice"),
        fees=_fees(order),
        payment_method=order.payment_option_id,
        network=order.network,
        address=order.wallet_address,
        tx_hash=order.transaction_hash,
        customer_ref=keys.hashed(order.partner_customer_id or order.user_id),
        partner_order_id=order.partner_order_id,
    )


def _fees(order: _Order) -> tuple[Fee, ...]:
    """Return the fees by the provider's names; the partner's is part of the total."""
    told = (
        ("totalFeeInFiat", order.total_fee_in_fiat),
        ("partnerFeeInLocalCurrency", order.partner_fee_in_local_currency),
    )
    return tuple(
        Fee(name, money(amount, order.fiat_currency, f"$.{name}"))
        for name, amount in told
        if amount is not None
    )


def _stakes(order: _Order, payload: Conversion) -> tuple[str | Decimal | None, ...]:
    """Return what socket, webhook and REST all carry; REST tells no partner's fee."""
    return (
        payload.status,
        payload.side,
        order.fiat_currency,
        order.crypto_currency or order.older_crypto_currency,
        stake(payload.fiat),
        stake(payload.crypto),
        stake(payload.paid),
        order.total_fee_in_fiat,
    )


# ---- customers ----------------------------------------------------------------------

# https://docs.transak.com/features/webhooks names the codes; the fields are inferred.
_KYC: Final[Mapping[str, str]] = {
    "KYC_SUBMITTED": "submitted",
    "KYC_APPROVED": "approved",
    "KYC_REJECTED": "rejected",
}


class _Customer(Wire, frozen=True, rename="camel"):
    partner_customer_id: str | None = None
    partner_user_id: str | None = None
    created_at: datetime | None = None


def _kyc(customer: _Customer, part: Part, keys: Keys) -> Iterator[Statement]:
    """Tell what became of a customer's papers; nothing names the change, so it is a reading."""
    yield Statement(
        payload=Notice(
            topic="kyc",
            subject=keys.hashed(customer.partner_customer_id or customer.partner_user_id),
            status=_KYC[part.kind],
        ),
        action=part.kind.lower(),
        provider_type=part.context,
        entity_kind="customer",
        entity_id=_ANYBODY,
        occurred_at=None if customer.created_at is None else micros(customer.created_at),
    )


_ANYBODY: Final = "any"
"""Persons are no part of a key: ``subject`` says whose papers they are, hashed."""


# ---- the mapper ---------------------------------------------------------------------

_ORDERS: Final = Route(msgspec.json.Decoder(_Order), _order)

# https://docs.transak.com/api/public/get-orders, and the specification's sample
_UNREAD: Final = frozenset(
    {
        *("addressAdditionalData", "appVersionName", "autoExpiresAt", "bankId"),
        *("cardPaymentData", "commissionDecimal", "completedAt", "conversionPriceData"),
        *("countryCode", "dispute", "envName", "eventID", "exp", "fiatAmountInUsd"),
        *("fromWalletAddress", "iat", "ipAddress", "orderChannelType", "orderProcessingType"),
        *("paymentOptions", "quoteId", "referenceCode", "reservationId", "stateCode", "status"),
        *("statusHistories", "statusReason", "tokenContractAddress", "totalFee"),
        *("totalfeeDecimal", "transactionLink", "userId", "userKycType", "walletLink"),
    }
)

MAPPER: Final = Mapper(
    provider="transak",
    version=1,
    open=_open,
    # The codes classify; what happened is what the status says.
    routes={
        "ORDER_CREATED": _ORDERS,
        "ORDER_PAYMENT_VERIFYING": _ORDERS,
        "ORDER_PROCESSING": _ORDERS,
        "ORDER_COMPLETED": _ORDERS,
        "ORDER_FAILED": _ORDERS,
        "ORDER_CANCELLED": _ORDERS,
        "ORDER_REFUNDED": _ORDERS,
        _ROW: _ORDERS,
        **dict.fromkeys(_KYC, Route(msgspec.json.Decoder(_Customer), _kyc)),
    },
    unread=_UNREAD,
)

"""Pepay, what its socket and its REST share: options, addresses, and ids as cursors.

https://docs-alpha.pepay.io/api-reference/events/list-events
"""

import re
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ingest.feed import Account, Cursor, Frame

_TYPES: Final = ("commerce.order.*", "invoice.*", "invoice_payment.*")
"""All three: an unpaid order ends as ``invoice.updated``, and nowhere else."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Filters narrow the socket; of them the list knows ``types`` and ``invoice_id``."""

    auth: Literal["header", "token"] = "header"
    types: tuple[str, ...] = _TYPES
    order_id: str | None = None
    invoice_id: str | None = None
    customer_id: str | None = None
    wallet_address: str | None = None
    wallet_network: str | None = None


def options(account: Account) -> Options:
    return msgspec.convert(account.options, Options)


def api(account: Account, path: str) -> str:
    """Return a path of REST on the host of the socket."""
    socket = urlsplit(account.url)
    scheme = {"ws": "http", "wss": "https"}[socket.scheme]
    return urlunsplit((scheme, socket.netloc, path, "", ""))


# ---- ids -----------------------------------------------------------------------------


class Envelope(msgspec.Struct, frozen=True):
    """An event, or a word about the stream, of which only ``object`` is promised."""

    object: str = ""
    id: str = ""


_ENVELOPE: Final = msgspec.json.Decoder(Envelope)
_EVENT_ID: Final = re.compile(r"evt_(\d{1,18})-(\d{1,18})", re.ASCII)


def envelope(frame: Frame) -> Envelope:
    try:
        return _ENVELOPE.decode(frame)
    except (ValueError, RecursionError):
        return Envelope()


def cursor(frame: Frame) -> Cursor | None:
    """Return the cursor that a frame, or a row of the list, carries."""
    event = envelope(frame)
    return numbered(event.id) if event.object == "event" else None


def numbered(event_id: str) -> Cursor | None:
    """Return an event's id as (ms, n): as text, ``-10`` would come before ``-9``."""
    if numbers := _EVENT_ID.fullmatch(event_id):
        return Cursor((int(numbers[1]), int(numbers[2])), event_id)
    return None

"""Transak, order events over Pusher.

https://docs.transak.com/docs/websockets
"""

import msgspec

from ingest.dialects.pusher import Pusher, unfit_channel
from ingest.feed import Account, Address, Cursor, Feed
from ingest.feeds.transak.api import LOGIN, SOCKET
from ingest.feeds.transak.rest import REST

_QUIET = 10.0
"""Seconds; below Pusher's 120, so that every ``alive`` mark has its proof."""


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Public channels besides the API key's own. Nothing on them is signed."""

    public_channels: tuple[str, ...] = ()
    """Transak order ids."""
    partner_orders: tuple[str, ...] = ()
    """Our own order ids, as given to Transak."""


def _channels(account: Account) -> tuple[str, ...]:
    api_key = account.secrets["api_key"]
    options = msgspec.convert(account.options, _Options)
    ours = (f"{api_key}_{order}" for order in options.partner_orders)
    return tuple(dict.fromkeys((api_key, *options.public_channels, *ours)))


def _check(account: Account) -> None:
    for number, channel in enumerate(_channels(account), start=1):
        if reason := unfit_channel(channel):
            # The number and not the name: the API key is a part of it.
            raise ValueError(
                f"channel {number} (API key, public_channels, partner_orders): {reason}"
            )


def _address(account: Account, _cursor: Cursor | None) -> Address:
    return Address(f"{account.url}?protocol=7&client=penstock&version=1.0.0")


def _dialect(account: Account, _cursor: Cursor | None) -> Pusher:
    return Pusher(_channels(account), quiet=_QUIET)


FEED = Feed(
    provider="transak",
    route="orders",
    endpoints={"sandbox": SOCKET, "production": SOCKET},
    credentials=frozenset({"api_key"}),
    optional_credentials=frozenset({"api_secret"}),
    replicas=False,  # Identity is derived, and nothing can be replayed.
    check=_check,
    address=_address,
    dialect=_dialect,
    login=LOGIN,
    rest=REST,
)

"""Paymium, public market data and user streams over Socket.IO 1.x.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final

import msgspec

from ingest.dialects.endings import Meaning, dial_again
from ingest.dialects.engineio3 import EngineIo3, emit
from ingest.feed import Account, Address, After, Cursor, Feed
from ingest.feeds.paymium.rest import PUBLIC, USER

_PUBLISHED: Final = "wss://paymium.com/ws/socket.io/"
"""Hosts of a sandbox appear in public code; whether they answer is not known."""
_QUERY: Final = "EIO=3&transport=websocket"
_QUIET: Final = 25.0
"""Seconds: ``prices`` and ``announcement`` come every 10, so a second one is missing."""

# Cloudflare's, and no credential's: none is sent with the upgrade.
_REFUSALS: Final[Mapping[int, Meaning]] = {403: dial_again(After(60.0))}


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payments: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...] = ()
    """Merchant payments to follow, by uuid, which is the name of a channel of its own."""


class _NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Public data is all or nothing."""


def _check_user(account: Account) -> None:
    msgspec.convert(account.options, _Options)


def _check_public(account: Account) -> None:
    msgspec.convert(account.options, _NoOptions)


def _address(account: Account, _cursor: Cursor | None) -> Address:
    return Address(f"{account.url}?{_QUERY}")


def _user(account: Account, _cursor: Cursor | None) -> EngineIo3:
    payments = msgspec.convert(account.options, _Options).payments
    channels = (account.secrets["channel_id"], *payments)
    says = tuple(emit("/user", "channel", channel) for channel in channels)
    return EngineIo3("/user", says, refusals=_REFUSALS)


def _public(_account: Account, _cursor: Cursor | None) -> EngineIo3:
    return EngineIo3("/public", quiet=_QUIET, refusals=_REFUSALS)


_PUBLIC: Final = Feed(
    provider="paymium",
    route="public",
    endpoints={"production": _PUBLISHED},
    credentials=frozenset(),
    replicas=False,  # Nothing that it tells has an identity.
    check=_check_public,
    address=_address,
    dialect=_public,
    rest=PUBLIC,
)
FEED: Final = replace(
    _PUBLIC,
    route="user",
    credentials=frozenset({"channel_id"}),
    optional_credentials=USER.needs,
    check=_check_user,
    dialect=_user,
    rest=USER,
    public=_PUBLIC,
)

"""Pusher Channels protocol 7, the client side.

https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import ascii_letters, digits

import msgspec

from ingest.dialects.endings import Meaning, dial_again, of_close, of_refusal
from ingest.feed import (
    AtOnce,
    Await,
    BackOff,
    Beat,
    Close,
    Disconnected,
    Effect,
    End,
    FeedError,
    Frame,
    Keep,
    Live,
    Refusal,
    Refused,
    Report,
    Send,
)

PATIENCE = 10.0
"""Seconds for the greeting, and for the confirmation of a channel. Not documented."""
REPLY_WITHIN = 30.0
"""Seconds; "Detecting that the connection is closed": https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/#ping-pong"""

_LONGEST_LINE = 1000
LONGEST_CHANNEL = 164
_CHANNEL_ALPHABET = frozenset(ascii_letters + digits + "_-=@,.;")

# "Error codes", by the hundred. Since protocol 6 they come as close codes alone.
_CLOSES: Mapping[int, Meaning] = {
    **dict.fromkeys(range(4000, 4100), Refused),
    **dict.fromkeys(range(4100, 4200), dial_again(BackOff(least=1.0))),
    **dict.fromkeys(range(4200, 4300), dial_again(AtOnce())),
    **dict.fromkeys(range(4300, 4400), dial_again(BackOff())),
}


class _Message(msgspec.Struct, frozen=True):
    event: str
    channel: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Greeting(msgspec.Struct, frozen=True):
    activity_timeout: float | None = None
    """Seconds."""


_MESSAGE = msgspec.json.Decoder(_Message)


def unfit_channel(name: str) -> str | None:
    """Return why a channel's name cannot be subscribed, or None. Never shows the name.

    https://pusher.com/docs/channels/using_channels/channels/#channel-naming-conventions
    """
    if not 0 < len(name) <= LONGEST_CHANNEL:
        return f"expected 1 to {LONGEST_CHANNEL} characters, found {len(name)}"
    if not _CHANNEL_ALPHABET.issuperset(name):
        return "expected letters, digits and _-=@,.; only"
    return None


@dataclass(slots=True)
class Pusher:
    """One connection: greeted, then subscribed to every channel, then live."""

    channels: tuple[str, ...]
    quiet: float
    """Our own limit: seconds of silence after which to ping."""
    _unconfirmed: set[str] = field(default_factory=set, init=False)
    _asked_twice: bool = field(default=False, init=False)

    def opened(self) -> Iterable[Effect]:
        return (Await(PATIENCE),)  # The server speaks first.

    def received(self, frame: Frame) -> Iterable[Effect]:
        try:
            message = _MESSAGE.decode(frame)
        except (ValueError, RecursionError):  # Not the protocol's, so not ours to judge.
            return (Keep(frame),)
        if message.event.startswith(("pusher:", "pusher_internal:")):
            return self._told(message)
        return (Keep(frame),)  # Data, or nothing we know: either way, it is theirs to keep.

    def overdue(self) -> Iterable[Effect]:
        if not self._unconfirmed:
            return (End(Disconnected("no pusher:connection_established")),)
        if self._asked_twice:
            count = len(self._unconfirmed)
            return (End(Disconnected(f"{count} of {len(self.channels)} channels unconfirmed")),)
        self._asked_twice = True
        return self._subscriptions()

    def closed(self, close: Close) -> FeedError:
        return of_close(close, _CLOSES)

    def refused(self, refusal: Refusal) -> FeedError:
        return of_refusal(refusal)

    def _told(self, message: _Message) -> Iterable[Effect]:
        match message.event:
            case "pusher:connection_established":
                return self._greeted(message.data)
            case "pusher_internal:subscription_succeeded":
                return self._confirmed(message.channel)
            case "pusher:ping":
                return (Send(_said("pusher:pong")),)
            case "pusher:error" | "pusher:subscription_error":
                said = bytes(message.data)[:_LONGEST_LINE].decode(errors="replace")
                return (Report(f"{message.event} {said}"),)
            case _:
                return ()

    def _greeted(self, data: msgspec.Raw) -> Iterable[Effect]:
        self._unconfirmed = set(self.channels)
        every = min(self.quiet, _activity_timeout(data) or self.quiet)
        return (Beat(every, REPLY_WITHIN, _said("pusher:ping")), *self._subscriptions())

    def _subscriptions(self) -> tuple[Effect, ...]:
        wanted = (channel for channel in self.channels if channel in self._unconfirmed)
        sends = (Send(_said("pusher:subscribe", channel=channel)) for channel in wanted)
        return (*sends, Await(PATIENCE))

    def _confirmed(self, channel: str | None) -> Iterable[Effect]:
        if channel not in self._unconfirmed:
            return ()
        self._unconfirmed.discard(channel)
        return () if self._unconfirmed else (Live(),)


def _activity_timeout(data: msgspec.Raw) -> float | None:
    """Return the server's limit in seconds; the data is JSON text inside JSON, or an object."""
    try:
        inside = msgspec.json.decode(data)
        text = inside.encode() if isinstance(inside, str) else data
        seconds = msgspec.json.decode(text, type=_Greeting).activity_timeout
    except (ValueError, RecursionError):
        return None
    return seconds if seconds and seconds > 0 else None


def _said(event: str, **data: str) -> str:
    return msgspec.json.encode({"event": event, "data": data}).decode()

"""Socket.IO 1.x and 2.x over Engine.IO 3, the client side, from a WebSocket's first frame.

https://github.com/socketio/engine.io-protocol/tree/v3
https://github.com/socketio/socket.io-protocol/tree/v4
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import msgspec

from ingest.dialects.endings import NO_MEANINGS, Meaning, of_close, of_refusal
from ingest.dialects.socketio import NotAPacket, Packet, Type, parse
from ingest.feed import (
    Answered,
    AtOnce,
    Await,
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
    Silent,
)

PATIENCE: Final = 10.0
"""Seconds for the open packet, for the echo of our join, and for a pong. Our choice: a
server's ``pingTimeout`` counts where it is shorter, and some say 24 hours."""
OFTENEST: Final = 0.1
SELDOMEST: Final = 25.0
"""Bounds of the interval in seconds that a server may ask for; 25 is the library's own."""
_LONGEST_LINE: Final = 1000
_PING: Final = "2"

# A server that cannot decode what we said closes without a word of its own.
_MISREAD: Final[Mapping[int, Meaning]] = {1000: Refused}


_ABOUT_THE_CONNECTION: Final = frozenset({"0", "1", "4"})


class _Open(msgspec.Struct, frozen=True, rename="camel"):
    """The server's timers, in milliseconds."""

    ping_interval: float = 0
    ping_timeout: float = 0


_OPEN: Final = msgspec.json.Decoder(_Open)


class _Stage(Enum):
    OPENING = auto()
    JOINING = auto()
    ASKING = auto()
    LIVE = auto()


def emit(namespace: str, *event: str) -> str:
    """Return the message that sends an event: its name, then its arguments."""
    return f"42{namespace},{msgspec.json.encode(event).decode()}"


@dataclass(slots=True)
class EngineIo3:
    """One connection: opened by the server, joined to one namespace, then live."""

    namespace: str
    says: tuple[str, ...] = field(default=(), repr=False)
    """What to send once the namespace is joined; it may hold a secret. Nobody acknowledges it:
    a ping is sent after it, whose pong says that it was read."""
    quiet: float | None = None
    """Seconds without an event of the namespace after which the connection is dead."""
    refusals: Mapping[int, Meaning] = field(default_factory=lambda: NO_MEANINGS)
    _stage: _Stage = field(default=_Stage.OPENING, init=False)
    _unanswered: bool = field(default=False, init=False)
    """Whether nothing came since we last said something that could be misread."""

    def opened(self) -> Iterable[Effect]:
        return (Await(PATIENCE),)  # The server speaks first.

    def received(self, frame: Frame) -> Iterable[Effect]:
        if self._stage is _Stage.LIVE:
            self._unanswered = False
        if isinstance(frame, bytes):
            return (Keep(frame, useful=False),)
        return self._message(frame) if frame.startswith("4") else self._control(frame)

    def overdue(self) -> Iterable[Effect]:
        match self._stage:
            case _Stage.OPENING:
                return (End(Disconnected("no open packet")),)
            case _Stage.JOINING:
                return (End(Disconnected(f"no echo of the join of {self.namespace}")),)
            case _Stage.ASKING:
                return (End(Disconnected(f"no pong after what was said on {self.namespace}")),)
            case _Stage.LIVE:
                said = f"nothing on {self.namespace} for {self.quiet:g} s"
                return (End(Silent(said, AtOnce())),)

    def closed(self, close: Close) -> FeedError:
        return of_close(close, _MISREAD if self._unanswered else NO_MEANINGS)

    def refused(self, refusal: Refusal) -> FeedError:
        return of_refusal(refusal, self.refusals)

    def _control(self, frame: str) -> Iterable[Effect]:
        match frame[:1], frame[1:]:
            case "0", content if self._stage is _Stage.OPENING:
                return self._greeted(content)
            case "1", "":
                return (End(Disconnected("the server closed the transport", AtOnce())),)
            case "2", text:
                return (Send(f"3{text}"), *_kept_if_more(frame))
            case "3", _:
                return (Answered(), *self._read_by_server(), *_kept_if_more(frame))
            case "6", "":
                return ()
        return (Keep(frame, useful=False),)

    def _greeted(self, content: str) -> Iterable[Effect]:
        self._stage, self._unanswered = _Stage.JOINING, True
        # Joined as ``40/public``: revision 4 has no payload, and the comma ends nothing.
        return (_beat(content), Send(f"40{self.namespace}"), Await(PATIENCE))

    def _message(self, frame: str) -> Iterable[Effect]:
        if frame.startswith(f'42{self.namespace},["'):
            return (*self._read_by_server(), Keep(frame), *self._listening())
        match _read(frame):
            case Packet(Type.CONNECT, namespace):
                return self._joined() if namespace == self.namespace else ()
            case Packet(Type.DISCONNECT, namespace):
                return self._left() if namespace in {"/", self.namespace} else ()
            case Packet(Type.CONNECT_ERROR, namespace, content=content):
                return self._faulted(namespace, content[:_LONGEST_LINE])
        return (Keep(frame, useful=False),)  # Nothing we know, or nothing at all: theirs to keep.

    def _joined(self) -> Iterable[Effect]:
        if self._stage is not _Stage.JOINING:
            return ()
        self._stage = _Stage.ASKING
        if self.says:
            return (*map(Send, self.says), Send(_PING), Await(PATIENCE))
        return self._read_by_server()

    def _read_by_server(self) -> Iterable[Effect]:
        """Be live: an answer to what came after our words, or to them, proves that they arrived."""
        if self._stage is not _Stage.ASKING:
            return ()
        self._stage, self._unanswered = _Stage.LIVE, False
        return (Live(), *self._listening())

    def _listening(self) -> Iterable[Effect]:
        if self.quiet is None or self._stage is not _Stage.LIVE:
            return ()
        return (Await(self.quiet),)

    def _left(self) -> Iterable[Effect]:
        """End as well: no library reconnects after this, and nothing more would come."""
        return (End(Disconnected("the server ended the namespace", AtOnce())),)

    def _faulted(self, namespace: str, content: str) -> Iterable[Effect]:
        said = f"{namespace} answers {content}"
        if self._stage is _Stage.JOINING and namespace == self.namespace:
            return (End(Refused(said)),)
        return (Report(said),)


def _read(frame: str) -> Packet | None:
    """Return a packet about the connection; what tells something is not ours to read."""
    if frame[1:2] not in _ABOUT_THE_CONNECTION:
        return None
    try:
        return parse(frame[1:])
    except NotAPacket:
        return None


def _kept_if_more(frame: str) -> Iterable[Effect]:
    return (Keep(frame, useful=False),) if len(frame) > 1 else ()


def _beat(content: str) -> Beat:
    """Return when to ping, as the open packet says within reason; 25 s if it is unreadable."""
    try:
        timers = _OPEN.decode(content)
    except (ValueError, RecursionError):
        timers = _Open()
    every = min(max(timers.ping_interval / 1000, OFTENEST), SELDOMEST)
    reply_within = min(timers.ping_timeout / 1000, PATIENCE)
    return Beat(
        every if timers.ping_interval > 0 else SELDOMEST,
        reply_within if reply_within > 0 else PATIENCE,
        _PING,
        steady=True,
    )

"""Engine.IO 4 under Socket.IO 5, the client's side, over one WebSocket from the start.

https://socket.io/docs/v4/engine-io-protocol/
https://socket.io/docs/v4/socket-io-protocol/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Annotated

import msgspec

from ingest.dialects.endings import Meaning, dial_again, of_close, of_refusal
from ingest.dialects.socketio import DEFAULT, NotAPacket, Packet, Type, parse
from ingest.feed import (
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
    Report,
    Send,
    Silent,
    Unauthorized,
)

PATIENCE = 10.0
"""Seconds for the open packet, and for the answer to the join. Not documented."""
_PROOF_EVERY = 10.0
"""Seconds. A client must not ping in this protocol, and a server does so every 25 s; below
it, WebSocket pings give every ``alive`` mark its proof."""
_LONGEST_PROOF = 60.0
"""Seconds for a WebSocket pong, where the server's own limit is longer, or no limit at all."""
_LONGEST_LINE = 1000
_UNEXPLAINED = (1000, 1005)
"""Closes with which a server ends what it wants to end, and says no more."""

_Millis = Annotated[float, msgspec.Meta(ge=0)]
"""python-engineio cuts its interval to whole seconds: 0 for one that pings ten times in one."""


class _Opening(msgspec.Struct, frozen=True, rename="camel"):
    ping_interval: _Millis
    ping_timeout: _Millis
    max_payload: Annotated[int, msgspec.Meta(gt=0)] | None = None
    """Bytes of the largest message that the server takes."""


_OPENING = msgspec.json.Decoder(_Opening)


class _Stage(Enum):
    OPENING = auto()
    JOINING = auto()
    PROBATION = auto()
    LIVE = auto()


@dataclass(slots=True, kw_only=True)
class Engineio4:
    """One connection: opened by the server, joined by us, perhaps on probation, then live."""

    namespace: str = DEFAULT
    probation: float = 0.0
    """Seconds after the join in which a server may still turn us away. An event ends them."""
    rejects: Meaning = Unauthorized
    """What a refused join means, and an end without a reason while on probation."""
    drops: Meaning = field(default=dial_again(AtOnce()))
    """What an end without a reason means later. No library dials again after a ``41``."""
    closes: Mapping[int, Meaning] = field(default_factory=dict)
    refusals: Mapping[int, Meaning] = field(default_factory=dict)
    _stage: _Stage = field(default=_Stage.OPENING, init=False)
    _silence: float = field(default=inf, init=False)
    """Seconds without a ping of the server's after which it is dead; infinite: it names none."""
    _largest: float = field(default=inf, init=False)
    _attachments: int = field(default=0, init=False)
    """Binary messages that still belong to the last event."""
    _reply: tuple[Effect, ...] = field(default=(), init=False)
    """What to send once they are here."""

    def opened(self) -> Iterable[Effect]:
        return (Await(PATIENCE),)  # The server speaks first.

    def received(self, frame: Frame) -> Iterable[Effect]:  # noqa: PLR0911 - one per packet
        if isinstance(frame, bytes):
            return self._attached(frame)
        match frame[:1], frame[1:]:
            case "0", opening if self._stage is _Stage.OPENING:
                return self._greeted(opening)
            case "1", "":
                return (End(self._ended("closed by an Engine.IO packet")),)
            case "2", text:
                return (*self._send(f"3{text}"), *self._watched())
            case ("3", _) | ("5" | "6", ""):
                return ()  # An answer that nobody asked for, an upgrade, nothing at all.
            case "4", message:
                return self._told(frame, message)
            case _:
                return (Keep(frame, useful=False),)

    def overdue(self) -> Iterable[Effect]:
        match self._stage:
            case _Stage.OPENING:
                return (End(Disconnected("no Engine.IO open packet")),)
            case _Stage.JOINING:
                return (End(Disconnected("no answer to the join")),)
            case _Stage.PROBATION:
                return self._accepted()
            case _Stage.LIVE:
                return (End(Silent(f"no ping for {self._silence:g} s")),)

    def closed(self, close: Close) -> FeedError:
        unexplained = dict.fromkeys(_UNEXPLAINED, self._ended)
        return of_close(close, {**unexplained, **self.closes})

    def refused(self, refusal: Refusal) -> FeedError:
        return of_refusal(refusal, self.refusals)

    # ---- Engine.IO -------------------------------------------------------------------

    def _greeted(self, text: str) -> Iterable[Effect]:
        try:
            opening = _OPENING.decode(text)
        except (ValueError, RecursionError):
            return (End(Disconnected("an Engine.IO open packet that cannot be read")),)
        self._stage = _Stage.JOINING
        self._silence = (opening.ping_interval + opening.ping_timeout) / 1000 or inf
        self._largest = opening.max_payload or inf
        proof = Beat(_PROOF_EVERY, reply_within=min(self._silence, _LONGEST_PROOF))
        return (proof, *self._send(f"40{self._prefix(self.namespace)}"), Await(PATIENCE))

    def _watched(self) -> Iterable[Effect]:
        return (Await(self._silence),) if self._stage is _Stage.LIVE else ()

    def _ended(self, said: str) -> FeedError:
        """Return what it means that the server ended it, and did not say why."""
        match self._stage:
            case _Stage.PROBATION:
                return self.rejects(said)
            case _Stage.LIVE:
                return self.drops(said)
            case _:
                return Disconnected(said)

    def _send(self, text: str) -> tuple[Effect, ...]:
        """Say what the server is sure to take; it ends a connection that sends more."""
        return (Send(text),) if len(text.encode()) <= self._largest else ()

    # ---- Socket.IO -------------------------------------------------------------------

    def _told(self, frame: str, message: str) -> Iterable[Effect]:  # noqa: PLR0911 - one per packet
        try:
            packet = parse(message)
        except NotAPacket:
            return (Keep(frame, useful=False),)
        is_ours = packet.namespace == self.namespace
        match packet.type:
            case Type.EVENT | Type.BINARY_EVENT:
                return self._event(frame, packet)
            case Type.CONNECT:
                return self._joined() if is_ours and self._stage is _Stage.JOINING else ()
            case Type.DISCONNECT if is_ours:
                return (End(self._ended(_line("disconnected by the server", packet))),)
            case Type.CONNECT_ERROR if is_ours:
                return (End(self.rejects(_line("join refused", packet))),)
            case Type.DISCONNECT | Type.CONNECT_ERROR:
                return (Report(_line(f"{packet.type.name} of another namespace", packet)),)
            case Type.ACK | Type.BINARY_ACK:
                return (Keep(frame, useful=False),)  # We never ask for one.

    def _joined(self) -> Iterable[Effect]:
        if not self.probation:
            return self._accepted()
        self._stage = _Stage.PROBATION
        return (Await(self.probation),)

    def _accepted(self) -> tuple[Effect, ...]:
        self._stage = _Stage.LIVE
        return (Live(), Await(self._silence))

    def _event(self, frame: str, packet: Packet) -> Iterable[Effect]:
        """Keep an event of any namespace; answer it, if that is asked, once it is whole."""
        accepted = self._accepted() if self._stage is _Stage.PROBATION else ()
        self._attachments = packet.attachments
        self._reply = ()
        if packet.ack is not None:
            self._reply = self._send(f"43{self._prefix(packet.namespace)}{packet.ack}[]")
        return (*accepted, Keep(frame), *self._replied())

    def _attached(self, frame: bytes) -> Iterable[Effect]:
        if not self._attachments:
            return (Keep(frame, useful=False),)
        self._attachments -= 1
        return (Keep(frame), *self._replied())

    def _replied(self) -> tuple[Effect, ...]:
        if self._attachments:
            return ()
        reply, self._reply = self._reply, ()
        return reply

    @staticmethod
    def _prefix(namespace: str) -> str:
        return "" if namespace == DEFAULT else f"{namespace},"


def _line(what: str, packet: Packet) -> str:
    return f"{what} {packet.content[:_LONGEST_LINE]}".rstrip()

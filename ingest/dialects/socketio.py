"""Socket.IO packets as an Engine.IO message carries them, of both generations.

https://socket.io/docs/v4/socket-io-protocol/#packet-encoding
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import msgspec

DEFAULT = "/"
"""The namespace that a packet does not name."""

T = TypeVar("T")


class Type(IntEnum):
    """What a packet is for; generation A calls the fifth ``ERROR``."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class NotAPacket(ValueError):
    """A text that the protocol does not allow: *expected X*."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. Its attachments follow it as messages of their own."""

    type: Type
    namespace: str = DEFAULT
    attachments: int = 0
    ack: str | None = None
    """Digits of the id to acknowledge, or that is acknowledged; text, for any length is legal."""
    content: str = ""
    """JSON, or empty."""

    @property
    def is_event(self) -> bool:
        return self.type in _EVENTS


_EVENTS = frozenset({Type.EVENT, Type.BINARY_EVENT})
_ACKS = frozenset({Type.ACK, Type.BINARY_ACK})
_BINARY = frozenset({Type.BINARY_EVENT, Type.BINARY_ACK})

# <type>[<attachments>-][<namespace>,][<ack id>][<JSON>]. A namespace that nothing follows
# may do without its comma, as in the joins of generation A, and may carry a ?query.
_TYPE = re.compile("[0-6]")
_ATTACHMENTS = re.compile("([0-9]{1,4})-")
_NAMESPACE = re.compile(r"(/[^,?]*)(?:\?[^,]*)?(?:,|\Z)")
_ACK_ID = re.compile("[0-9]*")

_FIRST: Mapping[Type, frozenset[str]] = {
    Type.CONNECT: frozenset({"", "{"}),
    Type.DISCONNECT: frozenset({"", "{", '"'}),
    Type.EVENT: frozenset({"["}),
    Type.ACK: frozenset({"["}),
    Type.CONNECT_ERROR: frozenset({"", "{", '"'}),
    Type.BINARY_EVENT: frozenset({"["}),
    Type.BINARY_ACK: frozenset({"["}),
}
"""How the content of each type begins. A refusal is text in generation A, an object in B;
python-socketio puts its reason into a disconnect as well, though the protocol gives it no place."""

# What the arguments say is for others to read: here they only have to be JSON.
_ARGUMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_NAME = msgspec.json.Decoder(str)
_ANYTHING = msgspec.json.Decoder(msgspec.Raw)


def parse(text: str) -> Packet:
    """Read a packet, given without the ``4`` of Engine.IO. Raises ``NotAPacket``."""
    kind, at = _TYPE.match(text), 1
    if kind is None:
        raise NotAPacket("expected a packet type from 0 to 6")
    packet_type = Type(int(kind[0]))
    attachments, namespace = 0, DEFAULT
    if packet_type in _BINARY:
        counted = _ATTACHMENTS.match(text, at)
        if counted is None:
            raise NotAPacket("expected the number of attachments")
        attachments, at = int(counted[1]), counted.end()
    if named := _NAMESPACE.match(text, at):
        namespace, at = named[1], named.end()
    acked = _ACK_ID.match(text, at)
    ack = acked[0] if acked else ""
    packet = Packet(packet_type, namespace, attachments, ack or None, text[at + len(ack) :])
    _check(packet)
    return packet


def _check(packet: Packet) -> None:
    if packet.content[:1] not in _FIRST[packet.type]:
        raise NotAPacket(f"expected other content in a packet of type {packet.type:d}")
    if packet.type in _ACKS and packet.ack is None:
        raise NotAPacket("expected the id that is acknowledged")
    if packet.type not in _ACKS | _EVENTS:
        if packet.ack is not None:
            raise NotAPacket(f"expected no ack id in a packet of type {packet.type:d}")
        _read(_ANYTHING, packet.content or "null")
        return
    arguments = _read(_ARGUMENTS, packet.content)
    if packet.is_event:
        if not arguments:
            raise NotAPacket("expected the name of an event")
        _read(_NAME, arguments[0])


def _read(decoder: msgspec.json.Decoder[T], content: str | msgspec.Raw) -> T:
    try:
        return decoder.decode(content)
    except (ValueError, RecursionError) as error:
        raise NotAPacket("expected JSON of another shape") from error

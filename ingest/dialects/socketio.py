"""Socket.IO packets of both generations, as they stand inside an Engine.IO message.

https://github.com/socketio/socket.io-protocol
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class PacketType(IntEnum):
    """The digit after Engine.IO's ``4``."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    ERROR = 4
    """CONNECT_ERROR since revision 5."""
    BINARY_EVENT = 5
    BINARY_ACK = 6


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet; of a binary one, the text that comes first."""

    type: PacketType
    namespace: str = "/"
    """Without the ``?query`` that a join of revision 4 may carry."""
    content: str = ""
    """JSON text, not decoded; empty where there is none."""
    ack: int | None = None
    attachments: int = 0
    """How many binary messages follow."""


# In a join of revision 4 the comma may be missing, since nothing follows it.
_PACKET: Final = re.compile(
    r"4(?:([0-4])|([56])(\d{1,9})-)(?:(/[^,?]*)(?:\?[^,]*)?(?:,|$))?(\d{1,18})?(.*)",
    re.ASCII | re.DOTALL,
)
# What the JSON of each begins with; "" where there may be none. An event has a name.
_BEGINNINGS: Final[Mapping[PacketType, tuple[str, ...]]] = {
    PacketType.CONNECT: ("", "{"),
    PacketType.DISCONNECT: ("",),
    PacketType.EVENT: ('["',),
    PacketType.ACK: ("[",),
    PacketType.ERROR: ('"', "{"),
    PacketType.BINARY_EVENT: ('["',),
    PacketType.BINARY_ACK: ("[",),
}


def packet(text: str) -> Packet | None:
    """Read an Engine.IO message; None if it is no Socket.IO packet.

    The JSON is not decoded: it is certain only that it begins as the type demands, an event
    as an array whose first element is text.
    """
    match = _PACKET.fullmatch(text)
    if match is None:
        return None
    plain, binary, attachments, namespace, ack, content = match.groups()
    read = PacketType(int(plain or binary))
    if not any(content.startswith(each) if each else not content for each in _BEGINNINGS[read]):
        return None
    return Packet(read, namespace or "/", content, int(ack) if ack else None, int(attachments or 0))

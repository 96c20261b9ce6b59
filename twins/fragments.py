"""A text message as WebSocket fragments, cut anywhere, even within a character.

https://www.rfc-editor.org/rfc/rfc6455#section-5.4
"""

from collections.abc import Iterator

FIN, TEXT, CONTINUATION = 0x80, 0x1, 0x0
SHORT, MEDIUM = 126, 65536


def fragments(text: str, size: int) -> Iterator[bytes]:
    """Yield a server's frames of one message, `size` bytes of it in each."""
    payload = text.encode()
    for at in range(0, max(len(payload), 1), size):
        piece = payload[at : at + size]
        last = at + size >= len(payload)
        yield bytes([(FIN if last else 0) | (CONTINUATION if at else TEXT)]) + _sized(piece)


def _sized(piece: bytes) -> bytes:
    if len(piece) < SHORT:
        return bytes([len(piece)]) + piece
    if len(piece) < MEDIUM:
        return bytes([126]) + len(piece).to_bytes(2, "big") + piece
    return bytes([127]) + len(piece).to_bytes(8, "big") + piece

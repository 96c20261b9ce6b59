"""The WebSocket, and the only module that meets the library.

https://websockets.readthedocs.io/en/stable/reference/asyncio/client.html
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ingest.client import seconds
from ingest.feed import Address, Close, Disconnected, Frame, Refusal
from schemas.topics import MAX_FRAME_BYTES

_OPEN_WITHIN = 10.0
_CLOSE_WITHIN = 2.0
"""Seconds: a peer that is gone does not answer a close, and the next dial waits for it."""
_EXCERPT = 200
_NO_CLOSE_FRAME = 1006

# The library logs handshakes, and with them the credentials in URLs and headers.
_MUTE = logging.getLogger("ingest.wire.mute")
_MUTE.disabled = True


class Wire(Protocol):
    """An open connection."""

    async def send(self, frame: Frame) -> None:
        """Write a message. On a connection that ended nothing happens: ``recv`` says so."""
        ...

    async def ping(self) -> asyncio.Future[None]:
        """Send a WebSocket ping; the future is done when the pong is here."""
        ...

    async def recv(self) -> Frame | Close:
        """Return the next message, or how the connection ended. May be cancelled."""
        ...


class _NoRedirects(connect):
    """A redirect would carry our key to an address that nobody configured."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


@asynccontextmanager
async def dial(address: Address) -> AsyncIterator[Wire | Refusal]:
    """Open a connection, or say how the upgrade was refused.

    Raises ``Disconnected`` if there was no HTTP answer at all. The library's keepalive is
    off: liveness is ``Pulse``'s. Compression is offered; the size limit is of the
    inflated message.
    """
    opening = _NoRedirects(
        address.url,
        additional_headers=dict(address.headers),
        user_agent_header="penstock",
        proxy=None,
        open_timeout=_OPEN_WITHIN,
        close_timeout=_CLOSE_WITHIN,
        ping_interval=None,
        max_size=MAX_FRAME_BYTES,
        logger=_MUTE,
    )
    opened = await _opened(opening, urlsplit(address.url).netloc)
    if isinstance(opened, Refusal):
        yield opened
        return
    try:
        yield _Websocket(opened)
    finally:
        await opened.close()


async def _opened(opening: connect, host: str) -> ClientConnection | Refusal:
    try:
        return await opening
    except InvalidStatus as error:
        answer = error.response
        excerpt = " ".join(bytes(answer.body[:_EXCERPT]).decode(errors="replace").split())
        retry_after = answer.headers.get("Retry-After")
        return Refusal(answer.status_code, seconds(retry_after), excerpt)
    except (OSError, EOFError, WebSocketException) as error:
        # The name alone: the text of some errors shows the URL.
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Disconnected(f"cannot connect to {host}: {reason}") from error


@dataclass(frozen=True, slots=True)
class _Websocket:
    connection: ClientConnection

    async def send(self, frame: Frame) -> None:
        try:
            await self.connection.send(frame)
        except ConnectionClosed:
            return

    async def ping(self) -> asyncio.Future[None]:
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            waiter = asyncio.ensure_future(await self.connection.ping())
        except ConnectionClosed:
            return pong
        waiter.add_done_callback(lambda answered: _settle(pong, answered))
        return pong

    async def recv(self) -> Frame | Close:
        try:
            return await self.connection.recv()
        except ConnectionClosed as error:
            return _close(error)


def _settle(pong: asyncio.Future[None], answered: asyncio.Future[float]) -> None:
    """Pass a pong on; a connection that ended answers its pings with an error."""
    if not answered.cancelled() and answered.exception() is None and not pong.done():
        pong.set_result(None)


def _close(error: ConnectionClosed) -> Close:
    """Return the side that closed first: our own code, where a frame broke the rules."""
    ours_came_first = error.sent and not (error.rcvd and error.rcvd_then_sent)
    frame = error.sent if ours_came_first else error.rcvd
    return Close(frame.code, frame.reason) if frame else Close(_NO_CLOSE_FRAME)

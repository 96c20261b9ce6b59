"""The WebSocket, and the only module that meets the library.

https://websockets.readthedocs.io/en/stable/reference/asyncio/client.html
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.protocol import Event, State

from ingest.client import seconds
from ingest.feed import Address, Close, Disconnected, Frame, Refusal
from schemas.topics import MAX_FRAME_BYTES

_OPEN_WITHIN = 10.0
_CLOSE_WITHIN = 2.0
"""Seconds: a peer that is gone does not answer a close, and the next dial waits for it."""
_EXCERPT = 200
_HELD_BYTES = 2**18
"""Of messages that nobody has taken: then the provider waits."""
_FIRST = (Opcode.TEXT, Opcode.BINARY)
"""What a message begins with."""
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

    async def recv(self) -> list[Frame | Close]:
        """Return the messages that are here, at least one, or how the connection ended.

        May be cancelled.
        """
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
        create_connection=_Gathering,
    )
    opened = await _opened(opening, urlsplit(address.url).netloc)
    if isinstance(opened, Refusal):
        yield opened
        return
    try:
        yield _Websocket(opened)
    finally:
        await opened.close()


async def _opened(opening: connect, host: str) -> "_Gathering | Refusal":
    try:
        return cast("_Gathering", await opening)
    except InvalidStatus as error:
        answer = error.response
        excerpt = " ".join(bytes(answer.body[:_EXCERPT]).decode(errors="replace").split())
        retry_after = answer.headers.get("Retry-After")
        return Refusal(answer.status_code, seconds(retry_after), excerpt)
    except (OSError, EOFError, WebSocketException) as error:
        # The name alone: the text of some errors shows the URL.
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Disconnected(f"cannot connect to {host}: {reason}") from error


class _Gathering(ClientConnection):
    """The library's connection, from which all whole messages are taken at once.

    Its own ``recv`` gives one at a time: under load that, and a timer for each, cost more than
    anything else that is done with a frame. ``create_connection`` is the library's way to
    "customize connection handling".
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._arrived: list[Frame | None] = []
        """In their order; None for one that the library is to put together, or to judge."""
        self._size = 0
        self._news = asyncio.Event()

    def process_event(self, event: Event) -> None:
        if isinstance(event, WebSocketFrame) and event.opcode in _FIRST:
            message = _whole(event)
            self._arrived.append(message)
            self._news.set()
            if message is not None:
                self._size += len(event.data)
                if self._size > _HELD_BYTES:
                    self.transport.pause_reading()
                return
        super().process_event(event)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._news.set()

    async def gathered(self) -> Sequence[Frame]:
        """Return what has arrived, at least one message. Raises ``ConnectionClosed``."""
        await self._news.wait()
        here = self._arrived
        whole = here[: here.index(None)] if None in here else here
        found = cast("list[Frame]", whole) or [await self.recv()]
        self._arrived = here[len(found) :]
        if not self._arrived and self.state is not State.CLOSED:
            self._news.clear()
        self._size = 0
        self.transport.resume_reading()
        return found


def _whole(frame: WebSocketFrame) -> Frame | None:
    """Return the message of a frame; None where it is a fragment, or bad UTF-8."""
    if not frame.fin:
        return None
    if frame.opcode is Opcode.BINARY:
        return bytes(frame.data)
    try:
        return str(frame.data, "utf-8")
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True, slots=True)
class _Websocket:
    connection: _Gathering

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

    async def recv(self) -> list[Frame | Close]:
        try:
            return [*await self.connection.gathered()]
        except ConnectionClosed as error:
            return [_close(error)]


def _settle(pong: asyncio.Future[None], answered: asyncio.Future[float]) -> None:
    """Pass a pong on; a connection that ended answers its pings with an error."""
    if not answered.cancelled() and answered.exception() is None and not pong.done():
        pong.set_result(None)


def _close(error: ConnectionClosed) -> Close:
    """Return the side that closed first: our own code, where a frame broke the rules."""
    ours_came_first = error.sent and not (error.rcvd and error.rcvd_then_sent)
    frame = error.sent if ours_came_first else error.rcvd
    return Close(frame.code, frame.reason) if frame else Close(_NO_CLOSE_FRAME)

"""Who listens to a twin, and the writing of what each is told, in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import cast

from aiohttp import WSMsgType, web

from twins.books import Books, Fact

FIN, CONTINUATION, TEXT, LENGTH_OF_8_BYTES = 0x80, 0x0, 0x1, 127

# A listener further behind than this is cut off, as a provider would do.
LAG_LIMIT = 50_000
EMPTY_CLOSE = b"\x88\x00"


class Listener:
    """One WebSocket connection. Frames are queued by `say` and written in order."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.deaf = False
        self.fragments = 1  # that each text is written in
        self.said = 0  # texts so far
        self.written = asyncio.Event()
        self.socket, self._transport = socket, transport
        self._outbox: deque[str | bytes | int] = deque()
        self._more = asyncio.Event()
        self.written.set()

    def say(self, item: str | bytes | int) -> None:
        """Queue a message, or a close code after what is queued already; 1005 is a bare close."""
        if self.deaf:
            return
        if len(self._outbox) >= LAG_LIMIT:
            self.abort()
            return
        self._outbox.append(item)
        self.said += 1
        self.written.clear()
        self._more.set()

    def fall_silent(self) -> None:
        """Half-open: answer and send nothing from now on, but keep TCP."""
        self.deaf = True
        self._outbox.clear()
        self.written.set()

    def abort(self) -> None:
        """Cut TCP without a close frame."""
        self._outbox.clear()
        self.written.set()
        if self._transport is not None:
            self._transport.abort()

    async def hear(self, within: float | None = None) -> str | None:
        """Return the next text, "" for another sign of life, None when the connection is over.

        Raises TimeoutError after `within` seconds of silence.
        """
        while True:
            try:
                message = await self.socket.receive(None if self.deaf else within)
            except TimeoutError:
                if self.deaf:
                    continue
                raise
            if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}:
                return None
            if message.type is WSMsgType.ERROR:
                return None
            if not self.deaf:
                return await self._sign_of_life(message.type, message.data)

    async def _sign_of_life(self, kind: WSMsgType, content: object) -> str:
        if kind is WSMsgType.PING:
            with suppress(ConnectionResetError):
                await self.socket.pong(cast("bytes", content))
        return content if isinstance(content, str) else ""

    async def write(self) -> None:
        """Write what is queued, for ever; return when the connection is gone."""
        with suppress(ConnectionResetError):
            while True:
                await self._more.wait()
                self._more.clear()
                while self._outbox:
                    await self._put(self._outbox.popleft())
                self.written.set()
        self.written.set()

    async def _put(self, item: str | bytes | int) -> None:
        match item:
            case 1005 if self._transport is not None:
                self._transport.write(EMPTY_CLOSE)
            case int():
                await self.socket.close(code=item)
            case bytes():
                await self.socket.send_bytes(item)
            case str() if self.fragments > 1 and self._transport is not None:
                self._transport.write(_fragmented(item.encode(), self.fragments))
            case str():
                await self.socket.send_str(item)


def _fragmented(text: bytes, count: int) -> bytes:
    """Return a text message in so many WebSocket frames, which no library of ours would write.

    https://www.rfc-editor.org/rfc/rfc6455#section-5.4
    """
    size = -(-len(text) // count) or 1
    pieces = [text[at : at + size] for at in range(0, len(text), size)] or [b""]
    frames = []
    for n, piece in enumerate(pieces):
        first = (TEXT if n == 0 else CONTINUATION) | (FIN if n == len(pieces) - 1 else 0)
        frames.append(bytes([first, LENGTH_OF_8_BYTES]) + len(piece).to_bytes(8, "big") + piece)
    return b"".join(frames)


class Audience:
    """All listeners of a twin. Everything told to any of them is in the books first."""

    def __init__(self, books: Books, *, compress: bool = False) -> None:
        self.books = books
        self._compress = compress
        self.listeners: set[Listener] = set()
        self.mute = False  # connected, but told nothing
        self.attentive = asyncio.Event()  # somebody has asked to be told

    @asynccontextmanager
    async def admitted(self, request: web.Request) -> AsyncIterator[Listener]:
        """Accept the upgrade; the connection ends with the block."""
        socket = web.WebSocketResponse(compress=self._compress, autoping=False, autoclose=False)
        await socket.prepare(request)
        listener = Listener(socket, request.transport)
        writing = asyncio.create_task(listener.write())
        self.listeners.add(listener)
        try:
            yield listener
        finally:
            self.listeners.discard(listener)
            writing.cancel()
            listener.written.set()
            await self._leave(listener, socket)

    async def _leave(self, listener: Listener, socket: web.WebSocketResponse) -> None:
        if listener.deaf:
            listener.abort()
        else:
            with suppress(ConnectionResetError):
                await socket.close()

    def tell(
        self, fact: Fact, text: str, listeners: Collection[Listener], fault: str | None = None
    ) -> None:
        """Tell a fact in these words, booked first; nobody hears while the twin is mute."""
        hearing = self._hearing(listeners)
        self.books.told(fact, text, len(hearing), fault)
        for listener in hearing:
            listener.say(text)

    def mention(self, text: str, listeners: Collection[Listener]) -> None:
        """Say what is no fact, such as a price: the books know nothing of it."""
        for listener in self._hearing(listeners):
            listener.say(text)

    def damage(
        self, fact: Fact, text: str | bytes, listeners: Collection[Listener], damage: str
    ) -> None:
        """Send a frame that must be refused; nothing is booked if nobody would get it."""
        if hearing := self._hearing(listeners):
            self.books.damaged(fact, text, len(hearing), damage)
            for listener in hearing:
                listener.say(text)

    def _hearing(self, listeners: Collection[Listener]) -> list[Listener]:
        return [] if self.mute else [each for each in listeners if not each.deaf]

    async def written(self) -> None:
        """Return when everything queued has been handed to the sockets."""
        for listener in tuple(self.listeners):
            await listener.written.wait()

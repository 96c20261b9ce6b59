"""The wire, against real servers on loopback."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from secrets import token_bytes

import pytest
from websockets.asyncio.server import ServerConnection, serve

from ingest import wire
from ingest.feed import Address, Close, Disconnected, Frame, Refusal
from ingest.wire import Wire, dial
from schemas.topics import MAX_FRAME_BYTES

SECRET = "s3cr3t"


@asynccontextmanager
async def websocket(serves: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Wire]:
    """Give a wire to a server that does as it is told."""
    async with serve(serves, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with dial(Address(f"ws://127.0.0.1:{port}/?token={SECRET}")) as opened:
            assert not isinstance(opened, Refusal)
            yield opened


@asynccontextmanager
async def http(*answer: str | bytes) -> AsyncIterator[str]:
    """Give the address of a server that answers every request with these bytes, and closes."""

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in answer:
            writer.write(part.encode() if isinstance(part, str) else part)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answers, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/?token={SECRET}"


async def dialled(url: str) -> Refusal:
    async with dial(Address(url, {"x-key": SECRET})) as opened:
        assert isinstance(opened, Refusal)
        return opened


async def received(opened: Wire, count: int = 1) -> object:
    """Return the next message, or the end; with a count, so many of them."""
    found: list[Frame | Close] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await opened.recv()
    assert len(found) == count
    return found[0] if count == 1 else found


async def test_brings_text_and_bytes_and_the_close() -> None:
    async def serves(peer: ServerConnection) -> None:
        await peer.send("text ü")
        await peer.send(b"\x00\xff")
        await peer.send(["frag", "ments"])
        await peer.send("the last")
        await peer.close(4001, "no such app")

    async with websocket(serves) as opened:
        assert await received(opened, 5) == [
            "text ü",
            b"\x00\xff",
            "fragments",
            "the last",
            Close(4001, "no such app"),
        ]


async def test_takes_the_largest_frame_and_no_larger() -> None:
    async def serves(peer: ServerConnection) -> None:
        await peer.send("x" * MAX_FRAME_BYTES)
        await peer.send("x" * (MAX_FRAME_BYTES + 1))
        await peer.wait_closed()

    async with websocket(serves) as opened:
        assert await received(opened) == "x" * MAX_FRAME_BYTES
        end = await received(opened)
        assert isinstance(end, Close)
        assert end.code == 1009


async def test_what_is_here_is_taken_at_once() -> None:
    async def serves(peer: ServerConnection) -> None:
        peer.transport.write(b"\x81\x01a\x81\x01b\x82\x01c")
        await peer.wait_closed()

    async with websocket(serves) as opened:
        assert await asyncio.wait_for(opened.recv(), 10) == ["a", "b", b"c"]


async def test_bad_utf_8_closes_with_1007_behind_what_came_before_it() -> None:
    async def serves(peer: ServerConnection) -> None:
        await peer.send("good")
        await peer.send(b"\xff\xfe", text=True)
        await peer.send("too late")
        await peer.wait_closed()

    async with websocket(serves) as opened:
        assert await received(opened) == "good"
        end = await received(opened)
        assert isinstance(end, Close)
        assert end.code == 1007


async def test_a_provider_waits_while_nobody_takes_what_it_says() -> None:
    said, more = 0, token_bytes(2**16)  # Which does not become smaller by compression.

    async def serves(peer: ServerConnection) -> None:
        nonlocal said
        while said < 512:
            await peer.send(more)
            said += 1
        await peer.close()

    async with websocket(serves) as opened:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.Event().wait()
        assert said < 512
        assert await received(opened, 513) == [more] * 512 + [Close(1000)]


async def test_a_connection_that_breaks_is_1006() -> None:
    async def serves(peer: ServerConnection) -> None:
        peer.transport.abort()

    async with websocket(serves) as opened:
        assert await received(opened) == Close(1006)


async def test_a_close_without_a_code_is_1005() -> None:
    async def serves(peer: ServerConnection) -> None:
        peer.transport.write(b"\x88\x00")
        await peer.wait_closed()

    async with websocket(serves) as opened:
        assert await received(opened) == Close(1005)


async def test_a_ping_is_done_when_its_pong_is_here() -> None:
    async def serves(peer: ServerConnection) -> None:
        await peer.wait_closed()

    async with websocket(serves) as opened:
        receiving = asyncio.ensure_future(opened.recv())
        await asyncio.wait_for(await opened.ping(), 10)
        receiving.cancel()


async def test_a_ping_to_a_connection_that_ended_is_never_done() -> None:
    async def serves(peer: ServerConnection) -> None:
        await peer.recv()

    async with websocket(serves) as opened:
        pong = await opened.ping()
        await asyncio.wait_for(pong, 10)
        await opened.send("that will do")
        assert await received(opened) == Close(1000)
        late = await opened.ping()
        await opened.send("too late")
        assert not late.done()


async def test_a_wait_that_is_cancelled_loses_nothing() -> None:
    go = asyncio.Event()

    async def serves(peer: ServerConnection) -> None:
        await go.wait()
        await peer.send("kept")
        await peer.wait_closed()

    async with websocket(serves) as opened:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opened.recv(), 0.01)
        go.set()
        assert await received(opened) == "kept"


async def test_a_wait_that_is_cancelled_among_fragments_loses_none_of_them() -> None:
    go = asyncio.Event()

    async def pieces() -> AsyncIterator[str]:
        yield "be"
        await go.wait()
        yield "gun"

    async def serves(peer: ServerConnection) -> None:
        await peer.send(pieces())
        await peer.send("next")
        await peer.wait_closed()

    async with websocket(serves) as opened:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opened.recv(), 0.05)
        go.set()
        assert await received(opened, 2) == ["begun", "next"]


REFUSED = "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}\r\n{body}"


def refused(status: str, body: str = "", more: str = "") -> str:
    return REFUSED.format(status=status, length=len(body), body=body, more=more)


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (refused("401 Unauthorized", '{"success":false}'), Refusal(401, None, '{"success":false}')),
        (refused("403 Forbidden"), Refusal(403)),
        (refused("429 Too Many", more="Retry-After: 900\r\n"), Refusal(429, 900)),
        (refused("429 Too Many", more="Retry-After: soon\r\n"), Refusal(429)),
        (
            refused("503 Sorry", more="Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"),
            Refusal(503, 0),
        ),
        (refused("502 Bad", "<html>\r\n <p>bad</p>"), Refusal(502, None, "<html> <p>bad</p>")),
        (refused("200 OK", "x" * 1000), Refusal(200, None, "x" * 200)),
    ],
)
async def test_a_refused_upgrade_is_a_value(answer: str, refusal: Refusal) -> None:
    async with http(answer) as url:
        assert await dialled(url) == refusal


async def test_a_redirect_does_not_carry_the_key_elsewhere() -> None:
    asked = asyncio.Event()

    async def elsewhere(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    async with await asyncio.start_server(elsewhere, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        target = f"Location: ws://127.0.0.1:{port}/\r\n"
        async with http(refused("302 Found", more=target)) as url:
            assert await dialled(url) == Refusal(302)
    assert not asked.is_set()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>no HTTP at all</html>",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: d3Jvbmc=\r\n\r\n"
        ),
        b"\x15\x03\x01\x00\x02\x02\x28",
    ],
)
async def test_no_proper_answer_is_a_disconnect_that_shows_no_secret(answer: bytes) -> None:
    async with http(answer) as url:
        with pytest.raises(Disconnected, match=r"cannot connect to 127.0.0.1:\d+: \w+") as raised:
            await dialled(url)
    assert SECRET not in str(raised.value)


async def test_nobody_there_is_a_disconnect() -> None:
    async with http(b"") as url:
        pass
    with pytest.raises(Disconnected, match=r"cannot connect to 127\.0\.0\.1"):
        await dialled(url)


async def test_a_server_that_accepts_and_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "_OPEN_WITHIN", 0.05)
    gone = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Disconnected, match="TimeoutError"):
            await dialled(f"ws://127.0.0.1:{port}/")
        await asyncio.wait_for(gone.wait(), 10)


async def test_a_half_open_peer_does_not_hold_up_the_next_dial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "_CLOSE_WITHIN", 0.05)
    leave = asyncio.Event()

    async def serves(peer: ServerConnection) -> None:
        peer.transport.pause_reading()
        await leave.wait()
        peer.transport.abort()

    async with asyncio.timeout(10), websocket(serves) as opened:
        pong = await opened.ping()
        assert not pong.done()
        asyncio.get_running_loop().call_later(0.2, leave.set)


async def test_the_library_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The one thing about logs that is tested: a secret that is planted is not in them."""

    async def serves(peer: ServerConnection) -> None:
        await peer.close()

    with caplog.at_level(logging.DEBUG):
        async with websocket(serves) as opened:
            await received(opened)
        async with http(refused("401 Unauthorized")) as url:
            await dialled(url)
    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert not [record for record in ours if SECRET in record.getMessage()]

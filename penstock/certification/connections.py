"""Cases about connections: how they begin, end, fall silent, and begin again."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final

import msgspec

from penstock.certification.books import holes
from penstock.certification.case import Case, Peer, live, new
from penstock.certification.endings import AT_ONCE, BACK_OFF, Ending
from penstock.certification.scene import WITHIN, Scene
from penstock.certification.watch import Failed, NotRun
from schemas.records import Closed, Kind

_FOR_EVER: Final = 600.0
_ALIVE_WITHIN: Final = 10.0 + WITHIN
_TOLD_WITHIN: Final = 15.0
_CAUSE: Final = msgspec.json.Decoder(Closed)


# ---- beginning -----------------------------------------------------------------------


async def _connect(scene: Scene) -> str:
    await scene.until_opened()
    return "live"


async def _subscribe(scene: Scene) -> str:
    await scene.until_opened()
    if scene.twin is None:
        try:
            await scene.until(scene.log.frames, "a frame", _TOLD_WITHIN)
        except Failed:
            raise NotRun(f"nothing was told in {_TOLD_WITHIN:g} s") from None
        return "a frame came"
    await scene.until_heard()
    await scene.order("storm", count=50)
    return f"{await scene.until_all_is_in_raw()} facts, byte for byte and in order"


async def _heartbeat(scene: Scene) -> str:
    await scene.until_opened()

    def is_alive() -> object:
        told = scene.log.frames() if scene.twin is None else ()
        return scene.log.marks(Kind.ALIVE) or told

    await scene.until(is_alive, "a sign of life", _ALIVE_WITHIN)
    if scene.ended:
        raise Failed(f"expected a connection that lasts; found {scene.ended[0]}")
    if not scene.log.marks(Kind.ALIVE):
        raise NotRun("it is never quiet for 10 s, so that nothing must be asked")
    return "quiet for 10 s, and proved alive"


async def _stop(scene: Scene) -> str:
    await scene.until_opened()
    await scene.stop()
    last = scene.log.told()[-1]
    if last.kind is not Kind.CLOSED or _CAUSE.decode(last.value).cause != "stopped":
        raise Failed(f"expected the mark of a stop as the last record; found {last.kind}")
    return "stopped as asked, and marked so"


async def _again(peer: Peer) -> str:
    for _ in range(2):
        async with peer.followed() as scene:
            await scene.until_opened()
            await scene.stop()
    return "live twice, one after the other"


async def _nobody_there(peer: Peer) -> str:
    async with peer.followed(url="ws://127.0.0.1:9/") as scene:
        said = await scene.expect(BACK_OFF, within=_ALIVE_WITHIN)
    return f"refused by the machine: {said}"


BEGINNINGS: Final = (
    Case(name="connect", play=new(_connect), commands=False),
    Case(name="subscribe", play=new(_subscribe), commands=False),
    Case(name="heartbeat", play=new(_heartbeat), commands=False, takes_long=True),
    Case(name="stop", play=new(_stop), commands=False),
    Case(name="connect again", play=_again, commands=False),
    Case(name="nobody at the address", play=_nobody_there, commands=False),
)


# ---- ending --------------------------------------------------------------------------


async def _closed(code: int, ending: Ending, scene: Scene) -> str:
    opened = scene.opened
    await scene.order("close", code=code)
    said = await scene.expect(ending)
    if ending.least is not None:
        await scene.until_heard(opened + 1)
        await scene.until_all_is_in_raw(in_order=False)
    return said


def closes(table: Mapping[int, Ending]) -> Iterator[Case]:
    """Yield a case for each close code: what must follow, and that it is live again."""
    for code, ending in table.items():
        yield Case(name=f"close {code}", play=live(partial(_closed, code, ending)))


async def _refused(status: int, cut: Ending, endings: tuple[Ending, ...], scene: Scene) -> str:
    opened = scene.opened
    await scene.order("refuse", status=status, seconds=_FOR_EVER)
    await scene.order("drop")
    await scene.expect(cut)
    said = await scene.expect(*endings, failures=2)
    await scene.order("refuse", status=status, seconds=0)
    if endings[-1].least is not None:
        await scene.until_heard(opened + 1)
    return said


def refusals(cut: Ending, table: Mapping[int, tuple[Ending, ...]]) -> Iterator[Case]:
    """Yield a case for each status of a refused upgrade; ``cut`` is what a lost line leads to."""
    for status, endings in table.items():
        play = live(partial(_refused, status, cut, endings))
        yield Case(name=f"upgrade refused with {status}", play=play)


async def _html(cut: Ending, scene: Scene) -> str:
    opened = scene.opened
    await scene.order("html", seconds=_FOR_EVER)
    await scene.order("drop")
    await scene.expect(cut)
    said = await scene.expect(BACK_OFF, failures=2)
    await scene.order("html", seconds=0)
    await scene.until_heard(opened + 1)
    return said


async def _turned_away(cut: Ending, scene: Scene) -> str:
    opened = scene.opened
    await scene.order("turn-away", code=1011, seconds=_FOR_EVER)
    await scene.order("drop")
    await scene.expect(cut)
    said = await scene.expect(BACK_OFF, BACK_OFF, failures=2)
    await scene.order("turn-away", code=1011, seconds=0)
    await scene.until_heard(opened + 1)
    return said


async def _cut(cut: Ending, scene: Scene) -> str:
    """Cut the line, tell what nobody hears, and look for it in a hole."""
    opened, told = scene.opened, len(scene.playing.books.lines)
    await scene.order("drop")
    await scene.order("storm", count=20)
    away = scene.playing.books.lines[told:]
    said = await scene.expect(cut)
    await scene.until_heard(opened + 1)
    await scene.until_all_is_in_raw(in_order=False)
    gaps = holes(scene.log)
    if any(not any(gap.covers(line.told_at) for gap in gaps) for line in away):
        raise Failed("expected what was told meanwhile inside the hole between the marks")
    return said


async def _away(cut: Ending, scene: Scene) -> str:
    opened = scene.opened
    await scene.order("restart", seconds=3)
    said = await scene.expect(cut, BACK_OFF)
    await scene.until_heard(opened + 1)
    await scene.until_all_is_in_raw(in_order=False)
    return said


async def ends(order: str, ending: Ending, scene: Scene) -> str:
    """Give an order that ends the connection; see what follows, and that it is live again."""
    opened = scene.opened
    await scene.order(order)
    said = await scene.expect(ending)
    await scene.until_heard(opened + 1)
    await scene.until_all_is_in_raw(in_order=False)
    return said


async def falls_silent(order: str, limit: float, scene: Scene) -> str:
    """Give an order after which the peer is as good as dead, and see that it is noticed."""
    opened = scene.opened
    await scene.order(order, seconds=limit + 1)
    said = await scene.end(limit + WITHIN)
    cause = _CAUSE.decode(scene.log.marks(Kind.CLOSED)[-1].value)
    if cause.cause != "silent":
        raise Failed(f"expected a silence; found {cause.cause}: {cause.detail}")
    await scene.until_heard(opened + 1)
    return f"{cause.detail}; {said}"


async def _says_nothing(cut: Ending, limit: float, scene: Scene) -> str:
    opened = scene.opened
    await scene.order("say-nothing", seconds=_FOR_EVER)
    await scene.order("drop")
    await scene.expect(cut)
    said = await scene.end(limit + WITHIN)
    await scene.order("say-nothing", seconds=0)
    await scene.until_heard(opened + 1)
    return str(said)


def interruptions(*, half_open: float, silence: float, cut: Ending = AT_ONCE) -> Iterable[Case]:
    """Yield what interrupts a connection of any protocol.

    ``half_open`` and ``silence`` are the seconds in which the connector must notice a peer
    that stopped answering, and one that never began.
    """
    yield Case(name="the line is cut", play=live(partial(_cut, cut)))
    yield Case(name="nobody there for a while", play=live(partial(_away, cut)))
    yield Case(
        name="half-open", play=live(partial(falls_silent, "half-open", half_open)), takes_long=True
    )
    yield Case(
        name="silence after the upgrade",
        play=live(partial(_says_nothing, cut, silence)),
        takes_long=True,
    )
    yield Case(name="closed as soon as open", play=live(partial(_turned_away, cut)))
    yield Case(name="a page instead of an upgrade", play=live(partial(_html, cut)))

"""Cases about frames: whatever they say and however they travel, they reach raw as they came."""

from functools import partial
from typing import Final

from penstock.certification.case import Case, Peer, live
from penstock.certification.scene import Scene
from penstock.certification.watch import Failed
from twins.faults import Faults

_STORM: Final = 3_000
_SLOW: Final = 1_000
_ROOM: Final = 64 * 2**10
"""Bytes that the slow broker takes before it acknowledges any."""
_MEGABYTE: Final = 1_000_000


async def all_in_raw(scene: Scene) -> str:
    """Wait until everything is in raw, told by the connection that there was from the first."""
    facts = await scene.until_all_is_in_raw()
    if scene.ended:
        raise Failed(f"expected one connection throughout; found {scene.ended[0]}")
    books = scene.playing.books.summary()
    return f"{facts} facts in {books.frames + books.damaged} frames, byte for byte and in order"


async def _faulty(faults: Faults, scene: Scene) -> str:
    scene.playing.teller.faults = faults
    await scene.order("storm", count=200)
    await scene.order("quiet")  # What was put off is told now.
    return await all_in_raw(scene)


async def between_facts(order: str, count: int, scene: Scene) -> str:
    """Give an order before and between facts."""
    for _ in range(3):
        await scene.order(order, count=count)
        await scene.order("storm", count=5)
    return await all_in_raw(scene)


async def _storm(scene: Scene) -> str:
    await scene.order("storm", count=_STORM)
    return await all_in_raw(scene)


async def _slow_broker(scene: Scene) -> str:
    scene.log.hold(_ROOM)
    await scene.order("storm", count=_SLOW)
    await scene.until(lambda: scene.log.is_full, "the connector to wait for the broker")
    most, taken = scene.log.most_in_flight, len(scene.log.frames())
    longest = max(len(raw.value) for raw in scene.log.frames())
    if most > _ROOM + longest:
        raise Failed(f"expected at most {_ROOM} bytes in hand; found {most}")
    scene.log.let_go()
    said = await all_in_raw(scene)
    return f"held at {taken} frames and {most} bytes; then {said}"


async def _deflated(scene: Scene) -> str:
    await scene.order("storm", count=200)
    await scene.order("big", count=_MEGABYTE)
    await scene.order("storm", count=1)
    return await all_in_raw(scene)


async def _restarted(peer: Peer) -> str:
    """Stop a connector in mid-stream, and let another one go on with what it left in raw."""
    async with peer.followed() as scene:
        await scene.until_heard()
        await scene.order("storm", count=20)
        await scene.stop()
        log = scene.log
    async with peer.followed(log) as scene:
        await scene.until_heard(scene.opened + 1)
        await scene.until_all_is_in_raw(in_order=False)
    return "what one connector began, the next goes on with"


FRAMES: Final = (
    Case(name="duplicate", play=live(partial(_faulty, Faults(duplicate=0.5)))),
    Case(name="reorder", play=live(partial(_faulty, Faults(reorder=0.5)))),
    Case(name="damaged frames", play=live(partial(_faulty, Faults(damage=0.5)))),
    Case(name="garbage", play=live(partial(between_facts, "garbage", 1))),
    Case(name="binary message", play=live(partial(between_facts, "binary", 1))),
    Case(name="fragmented frames", play=live(partial(between_facts, "fragment", 7))),
    Case(name="1 MB frame", play=live(partial(between_facts, "big", _MEGABYTE))),
    Case(name="permessage-deflate", play=live(_deflated), terms={"compress": True}),
    Case(name="storm", play=live(_storm)),
    Case(name="slow broker", play=live(_slow_broker)),
    Case(name="another connector takes over", play=_restarted),
)

"""What Paymium's connector must do. https://github.com/Paymium/api-documentation"""

from functools import partial
from typing import Final

from ingest.feeds import PUBLIC
from penstock.certification.case import Case, Peer, live, new, with_terms
from penstock.certification.connections import (
    BEGINNINGS,
    closes,
    ends,
    falls_silent,
    interruptions,
    refusals,
)
from penstock.certification.endings import AT_ONCE, BACK_OFF, REFUSED, UNAUTHORIZED, after
from penstock.certification.frames import FRAMES
from penstock.certification.scene import WITHIN, Scene
from penstock.certification.watch import Failed
from twins.engineio3 import Timers
from twins.paymium_lifecycle import PAYMENT

_PINGS: Final = {"timers": Timers(ping_interval=2000, ping_timeout=5000)}
"""Oftener than the real 10 s, as the protocol lets a server say."""
_SILENT: Final = 7.0
_QUIET: Final = 25.0
"""Seconds without prices or an announcement after which the public stream is dead."""
_FOR_EVER: Final = 600.0


async def _denied(scene: Scene) -> str:
    await scene.order("deny-namespaces", seconds=_FOR_EVER)
    await scene.order("drop")
    return await scene.expect(AT_ONCE, REFUSED)


async def _public(scene: Scene) -> str:
    await scene.until(scene.log.frames, "prices")
    await scene.order("mute")
    said = await scene.expect(AT_ONCE, within=_QUIET + WITHIN)
    await scene.order("unmute")
    before = len(scene.log.frames())
    await scene.until(lambda: len(scene.log.frames()) > before, "frames again")
    return said


async def _payments(peer: Peer) -> str:
    wanted = peer.playing.provider.payments[:5]
    async with peer.followed(options={"payments": wanted}) as scene:
        await scene.until_heard()
        await scene.order("storm", count=200)
        await scene.until_all_is_in_raw()
        told = {line.entity for line in scene.playing.books.lines if line.type == PAYMENT}
    if not told.intersection(wanted):
        raise Failed("expected payments to be told on their channels")
    return f"{len(told)} payments were told"


CASES: Final = (
    *with_terms(_PINGS, *BEGINNINGS),
    *with_terms(_PINGS, *interruptions(half_open=_SILENT, silence=10.0)),
    *closes(
        {
            1000: BACK_OFF,
            1001: AT_ONCE,
            1005: AT_ONCE,
            1008: UNAUTHORIZED,
            1011: BACK_OFF,
            1012: AT_ONCE,
            1013: BACK_OFF,
        }
    ),
    *refusals(
        AT_ONCE,
        {
            400: (REFUSED,),
            401: (UNAUTHORIZED, REFUSED),
            403: (after(60.0),),
            404: (REFUSED,),
            429: (after(60.0),),
            503: (BACK_OFF,),
        },
    ),
    *FRAMES,
    Case(name="the namespace is ended", play=live(partial(ends, "leave", AT_ONCE))),
    Case(name="the transport is ended", play=live(partial(ends, "engine-close", AT_ONCE))),
    Case(name="unknown namespace", play=live(_denied)),
    Case(
        name="no pongs",
        play=live(partial(falls_silent, "swallow-pongs", _SILENT)),
        terms=_PINGS,
    ),
    Case(name="payment channels", play=_payments),
    Case(
        name="public data falls silent",
        play=new(_public),
        account=PUBLIC,
        terms={"every_s": 1.0},
        takes_long=True,
    ),
)

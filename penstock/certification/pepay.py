"""What Pepay's connector must do. https://docs-alpha.pepay.io/api-spec/realtime/websockets"""

from functools import partial
from typing import Final

from penstock.certification.case import Case, live
from penstock.certification.connections import BEGINNINGS, closes, interruptions, refusals
from penstock.certification.credentials import expires, put_right, wrong
from penstock.certification.endings import (
    AT_ONCE,
    BACK_OFF,
    REFUSED,
    UNAUTHORIZED,
    UNRESUMABLE,
    after,
)
from penstock.certification.frames import FRAMES
from penstock.certification.scene import Scene
from penstock.certification.watch import Failed

_PING: Final = 20.0
"""Seconds from the last sign of life to the end: a ping after 10, and 10 for its pong."""


async def _resume(scene: Scene) -> str:
    """Cut the line, tell what nobody hears, and find it replayed."""
    opened = scene.opened
    await scene.order("drop")
    await scene.order("storm", count=300)
    await scene.expect(AT_ONCE)
    await scene.until_heard(opened + 1)
    keys = {line.key for line in scene.playing.books.lines}
    await scene.until_all_is_in_raw(in_order=False)
    told = {line.key for line in scene.playing.books.lines if line.listeners}
    if keys - told:
        raise Failed(f"expected a replay of everything; {len(keys - told)} were never asked for")
    return "300 facts told while away were replayed, none is missing"


CASES: Final = (
    *BEGINNINGS,
    *interruptions(half_open=_PING, silence=_PING),
    *closes(
        {
            1000: BACK_OFF,
            1001: AT_ONCE,
            1005: AT_ONCE,
            1008: UNAUTHORIZED,
            1011: BACK_OFF,
            1012: AT_ONCE,
            1013: BACK_OFF,
            4401: UNAUTHORIZED,
            4403: UNAUTHORIZED,
        }
    ),
    *refusals(
        AT_ONCE,
        {
            400: (UNRESUMABLE, REFUSED),
            401: (UNAUTHORIZED, REFUSED),
            403: (REFUSED,),
            404: (REFUSED,),
            429: (after(900.0),),
            503: (BACK_OFF,),
        },
    ),
    *FRAMES,
    Case(name="resume", play=live(_resume)),
    Case(
        name="token expires in mid-stream",
        play=live(partial(expires, UNAUTHORIZED)),
        options={"auth": "token"},
    ),
    wrong("api_key", UNAUTHORIZED, REFUSED),
    put_right("api_key", UNAUTHORIZED),
)

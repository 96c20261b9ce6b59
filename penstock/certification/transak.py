"""What Transak's connector must do. https://docs.transak.com/docs/websockets"""

from typing import Final

from penstock.certification.case import Case, Peer, live, with_terms
from penstock.certification.connections import BEGINNINGS, closes, interruptions, refusals
from penstock.certification.endings import (
    AT_ONCE,
    BACK_OFF,
    REFUSED,
    UNAUTHORIZED,
    after,
    backs_off,
)
from penstock.certification.frames import FRAMES, all_in_raw
from penstock.certification.scene import Scene
from twins.pusher import Timers

_PONG: Final = 31.0
"""Seconds to notice a dead peer: asked after the 1 that the twin names, and 30 for a pong."""


async def _token_expires(scene: Scene) -> str:
    """The access token is REST's: nothing happens to the stream."""
    await scene.order("expire-token")
    await scene.order("storm", count=20)
    return await all_in_raw(scene)


async def _other_app(peer: Peer) -> str:
    async with peer.followed(url=f"{peer.account.url}0") as scene:
        return await scene.expect(REFUSED)


CASES: Final = (
    *BEGINNINGS,
    *with_terms({"timers": Timers(activity=1)}, *interruptions(half_open=_PONG, silence=10.0)),
    *closes(
        {
            1000: BACK_OFF,
            1001: AT_ONCE,
            1005: AT_ONCE,
            1008: UNAUTHORIZED,
            1011: BACK_OFF,
            1012: AT_ONCE,
            **dict.fromkeys((4000, 4001, 4003, 4004, 4005, 4006, 4007, 4008, 4009), REFUSED),
            4100: backs_off(1.0),
            4200: AT_ONCE,
            4201: AT_ONCE,
            4202: AT_ONCE,
            4301: BACK_OFF,
            4302: BACK_OFF,
        }
    ),
    *refusals(
        AT_ONCE,
        {
            400: (REFUSED,),
            401: (UNAUTHORIZED, REFUSED),
            403: (UNAUTHORIZED, REFUSED),
            404: (REFUSED,),
            429: (after(2.0),),
            503: (BACK_OFF,),
        },
    ),
    *FRAMES,
    Case(name="token expires in mid-stream", play=live(_token_expires)),
    Case(name="another app key", play=_other_app, commands=False),
)

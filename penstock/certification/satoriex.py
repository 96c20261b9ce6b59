"""What SatoriEx's connector must do. https://satoriex.io/en/docs/trading/websocket"""

from functools import partial
from typing import Final

from penstock.certification.case import Case, Peer, live, new
from penstock.certification.connections import BEGINNINGS, closes, interruptions, refusals
from penstock.certification.credentials import expires, put_right, wrong
from penstock.certification.endings import (
    AT_ONCE,
    BACK_OFF,
    REFUSED,
    UNAUTHORIZED,
    Ending,
    after,
    backs_off,
)
from penstock.certification.frames import FRAMES, all_in_raw, between_facts
from penstock.certification.scene import Scene
from penstock.certification.watch import Failed
from schemas.records import Kind, Via

_PING: Final = 20.0
"""Seconds from the last sign of life to the end: a ping after 10, and 10 for its pong."""
_LIFE: Final = 4.0
_TAKEN_OVER: Final = backs_off(5.0)
_CUTS: Final = {"cuts": True}


async def _hydrated(scene: Scene) -> str:
    await scene.until_heard()
    places: dict[str, int] = {}
    for place, raw in enumerate(scene.log.records):
        what = raw.route if raw.via is Via.POLL else raw.kind
        places.setdefault(what, place)
    if not places["orders"] < places[Kind.HYDRATED] < places[Kind.FRAME]:
        raise Failed("expected the snapshot by REST, the mark, and only then frames")
    return "the snapshot first, then the mark, then frames"


async def _log_in_again(scene: Scene) -> str:
    await scene.order("forget-refresh")
    said = await expires(UNAUTHORIZED, scene)
    if scene.playing.provider.logins != 1 + 1:
        raise Failed("expected a second login, and no third")
    return f"{said}; logged in again"


async def _refreshed(scene: Scene) -> str:
    said = await expires(UNAUTHORIZED, scene)
    if scene.playing.provider.logins != 1:
        raise Failed("expected a refresh, and no second login")
    return f"{said}; refreshed, and not logged in again"


async def _ages(scene: Scene) -> str:
    opened = scene.opened
    said = await scene.expect(UNAUTHORIZED)
    await scene.until_heard(opened + 1)
    return f"after {_LIFE:g} s: {said}"


async def _limited(scene: Scene) -> str:
    opened = scene.opened
    await scene.order("limit-connections", count=1)
    await scene.order("drop")
    said = await scene.expect(AT_ONCE, Ending("after", 1.0, 66.0))
    await scene.order("limit-connections", count=60)
    await scene.until_heard(opened + 1)
    return said


async def _taken_over(peer: Peer) -> str:
    async with peer.followed() as scene:
        await scene.until_heard()
        async with peer.followed() as other:
            await other.until_opened()
            said = await scene.expect(_TAKEN_OVER)
    return said


async def _every_form(scene: Scene) -> str:
    await scene.order("storm", count=200)
    return await all_in_raw(scene)


CASES: Final = (
    *BEGINNINGS,
    *interruptions(half_open=_PING, silence=_PING),
    *closes(
        {
            1000: _TAKEN_OVER,
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
            400: (REFUSED,),
            401: (UNAUTHORIZED, REFUSED),
            403: (UNAUTHORIZED, REFUSED),
            404: (REFUSED,),
            429: (after(2.0),),
            503: (BACK_OFF,),
        },
    ),
    *FRAMES,
    Case(name="the snapshot comes first", play=new(_hydrated)),
    Case(name="token expires in mid-stream", play=live(_refreshed), terms=_CUTS),
    Case(name="refresh token forgotten", play=live(_log_in_again), terms=_CUTS),
    Case(name="token at its age", play=live(_ages), terms={**_CUTS, "token_lives_s": _LIFE}),
    wrong("password", UNAUTHORIZED, REFUSED),
    put_right("password", UNAUTHORIZED),
    Case(name="too many connections", play=live(_limited)),
    Case(name="another connection takes over", play=_taken_over, terms={"single": True}),
    Case(name="an error in-band", play=live(partial(between_facts, "say-error", 1))),
    Case(
        name="every form, and subscriptions acknowledged",
        play=live(_every_form),
        terms={"form": "mixed", "acknowledges": True},
    ),
)

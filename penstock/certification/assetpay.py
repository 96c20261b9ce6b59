"""What AssetPay's connector must do.

https://assetpay.gg/docs
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/realtime.ts
"""

from functools import partial
from typing import Final

from penstock.certification.case import Case, Peer, live, with_terms
from penstock.certification.connections import (
    BEGINNINGS,
    closes,
    ends,
    falls_silent,
    interruptions,
    refusals,
)
from penstock.certification.credentials import expires, wrong
from penstock.certification.endings import (
    AT_ONCE,
    BACK_OFF,
    REFUSED,
    UNAUTHORIZED,
    after,
    unwelcome,
)
from penstock.certification.frames import FRAMES, between_facts
from penstock.certification.scene import Scene
from twins.socketio_server import Timers

_PINGS: Final = {"timers": Timers(ping_interval=2, ping_timeout=6)}
"""Oftener than the real 25 s, as the protocol lets a server say."""
_SILENT: Final = 8.0
_LATER: Final = unwelcome(30.0)
_FOR_EVER: Final = 600.0


async def _deploys(scene: Scene) -> str:
    said = [await ends("deploy", AT_ONCE, scene) for _ in range(3)]
    return "; ".join(said)


async def _revoked(scene: Scene) -> str:
    opened = scene.opened
    await scene.order("revoke", seconds=_FOR_EVER)
    said = await scene.expect(AT_ONCE, _LATER)
    await scene.order("revoke", seconds=0)
    await scene.until_heard(opened + 1)
    return said


async def _without_market(peer: Peer) -> str:
    """A key that may not see the market is told nothing, and must not be read as refused."""
    key = peer.playing.introduction()["trades_key"]
    async with peer.followed(credentials=peer.planted("api_key", key)) as scene:
        await scene.until_opened()
        await scene.until_heard()
    return "live without a word"


CASES: Final = (
    *with_terms(_PINGS, *BEGINNINGS),
    *with_terms(_PINGS, *interruptions(half_open=_SILENT, silence=10.0, cut=BACK_OFF)),
    *closes(
        {
            1000: AT_ONCE,
            1001: AT_ONCE,
            1005: AT_ONCE,
            1008: UNAUTHORIZED,
            1011: BACK_OFF,
            1012: AT_ONCE,
            1013: BACK_OFF,
        }
    ),
    *refusals(
        BACK_OFF,
        {
            400: (REFUSED,),
            401: (_LATER,),
            403: (_LATER,),
            404: (REFUSED,),
            429: (after(2.0),),
            503: (BACK_OFF,),
        },
    ),
    *FRAMES,
    Case(name="a deploy disconnects all, three times", play=live(_deploys)),
    Case(name="key revoked", play=live(_revoked)),
    wrong("api_key", REFUSED),
    Case(name="a key without the market", play=_without_market),
    Case(
        name="no more pings",
        play=live(partial(falls_silent, "stop-pings", _SILENT + 2)),
        terms=_PINGS,
    ),
    Case(name="binary event with its attachment", play=live(partial(between_facts, "attach", 1))),
    Case(
        name="token expires in mid-stream",
        play=live(partial(expires, AT_ONCE)),
        credentials=frozenset({"api_secret", "trade_url"}),
        options={"auth": "token", "merchant_id": "m1", "steam_id": "76561198000000000"},
    ),
)

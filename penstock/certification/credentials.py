"""Cases about credentials that are wrong, replaced, or end in mid-stream."""

from functools import partial
from typing import Final

from ingest import credentials
from penstock.certification.case import Case, Peer
from penstock.certification.endings import Ending
from penstock.certification.scene import Scene

_WRONG: Final = "wrong"


async def _wrong(name: str, endings: tuple[Ending, ...], peer: Peer) -> str:
    async with peer.followed(credentials=peer.planted(name, _WRONG)) as scene:
        return await scene.expect(*endings)


def wrong(name: str, *endings: Ending) -> Case:
    """Return the case of a credential that nobody granted, and what must follow."""
    return Case(name=f"wrong {name}", play=partial(_wrong, name, endings), commands=False)


async def _put_right(name: str, ending: Ending, peer: Peer) -> str:
    right = credentials.read(peer.account.credentials, str(peer.account))[name]
    async with peer.followed(credentials=peer.planted(name, _WRONG)) as scene:
        said = await scene.expect(ending)
        peer.planted(name, right)
        await scene.until_opened()
    return f"{said}; read again, and live"


def put_right(name: str, ending: Ending) -> Case:
    """Return the case of a wrong credential that somebody replaces after the first refusal."""
    play = partial(_put_right, name, ending)
    return Case(name=f"wrong {name}, put right", play=play, commands=False)


async def expires(ending: Ending, scene: Scene) -> str:
    """Let the credential of this connection end, and see that a new one is used."""
    opened = scene.opened
    await scene.order("expire-token")
    said = await scene.expect(ending)
    await scene.until_heard(opened + 1)
    await scene.until_all_is_in_raw(in_order=False)
    return said

"""What a twin does wrong on purpose: rates that hold until changed, and orders obeyed once."""

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Shares of the tellings, each between 0 and 1, drawn independently.

    A damaged frame is told beside the proper one, so damage never loses a fact.
    """

    duplicate: Share = 0.0  # told again, at once or a few facts later
    reorder: Share = 0.0  # told a few facts late
    damage: Share = 0.0  # followed by a frame that no correct reader accepts
    forged: Share = 0.0  # delivered with a signature of nobody's, before the proper delivery
    old: Share = 0.0  # delivered with a signature an hour old, before the proper delivery
    public: Share = 1.0  # also told on the unsigned channels, where somebody listens there


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Arguments of the one-shot orders; each order reads those that concern it."""

    seconds: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    code: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = 1001
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 503
    url: str = ""
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000

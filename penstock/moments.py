"""Times on the command line: a date, a moment in UTC, or so long ago."""

import re
import time
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from penstock.errors import OperatorError
from schemas.records import Micros

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment(text: str) -> Micros:
    """Return microseconds of ``2h`` (ago), ``2026-11-21`` or ``2026-11-21T12:00[:00][Z]``."""
    if ago := _AGO.fullmatch(text):
        return time.time_ns() // 1000 - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise OperatorError(
            f"{text!r} is no time: say 2h, 3d, 2026-11-21 or 2026-11-21T12:00 (UTC)"
        ) from error
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()) * 1_000_000


SinceOption = Annotated[
    int | None,
    typer.Option(parser=moment, metavar="TIME", help="From then on: 2h (ago), 2026-11-21T12:00."),
]
UntilOption = Annotated[
    int | None, typer.Option(parser=moment, metavar="TIME", help="Up to before then.")
]

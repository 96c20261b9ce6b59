"""What a round does about a provider that is busy or out of order. No I/O."""

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from ingest.feed import After, Answer, Call, Disconnected, End, Next, Report, Step, Wait

TOO_MANY: Final = 429
_SERVER_ERRORS: Final = range(500, 600)
_TRIES: Final = 5
"""How often one call is asked again, before the round is given up and backs off."""
_LONGEST: Final = 3600.0

_UNIT: Final = {"s": 1, "m": 60, "h": 3600}
_PROSE: Final = re.compile(r"(\d{1,6})\s*([smh])", re.IGNORECASE)


class _Refusal(msgspec.Struct, frozen=True):
    retry_after: str | float = ""


def pause(answer: Answer, usual: float) -> float:
    """Return the seconds that a 429 asks for: its header, its words, else ``usual``.

    ``"15 minutes"`` in ``retry_after`` of the body is what one provider writes; a number there
    is of seconds.
    """
    if answer.retry_after is not None:
        return min(answer.retry_after, _LONGEST)
    try:
        told = msgspec.json.decode(answer.body, type=_Refusal).retry_after
    except (ValueError, RecursionError):
        return usual
    if isinstance(told, str):
        prose = _PROSE.match(told.strip())
        told = float(prose[1]) * _UNIT[prose[2].lower()] if prose else usual
    return min(max(told, 0.0), _LONGEST)


@dataclass(slots=True)
class Politeness:
    """Asks the same again, later and later, and not for ever. A fresh value per round."""

    usual: float
    """Seconds after a 429 that names none."""
    _failures: int = 0
    """In a row."""

    def about(self, call: Call, answer: Answer) -> tuple[Step, ...] | None:
        """Return what to do about 429 and 5xx; None for any other answer."""
        if answer.status == TOO_MANY:
            return self._again(call, "answered with 429", pause(answer, self.usual))
        if answer.status in _SERVER_ERRORS:
            return self._again(call, f"answered with {answer.status}", answer.retry_after or 0.0)
        self._failures = 0
        return None

    def failed(self, call: Call, error: Disconnected) -> tuple[Step, ...]:
        """Return what to do where there was no answer."""
        return self._again(call, str(error), 0.0)

    def _again(self, call: Call, why: str, seconds: float) -> tuple[Step, ...]:
        self._failures += 1
        said = f"{call.route}: {why}"
        seconds = max(seconds, float(2 ** (self._failures - 1)))
        if self._failures > _TRIES:
            return (End(Disconnected(said, After(seconds))),)
        return (Report(f"{said}; asked again in {seconds:.0f} s"), Wait(seconds), Next(call))

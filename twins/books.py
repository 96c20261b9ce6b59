"""The books of a twin: every telling of every fact, in the provider's own words and digits.

One JSON line per telling, on disk before the frame is sent, so that a kill cannot lose it.
A fact that nobody heard has a line with `listeners` 0 and `telling` 0.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from hashlib import sha256
from pathlib import Path

import msgspec

# The usual 28 digits would round sums of a provider's 20 decimals.
_EXACT = Context(prec=100)


@dataclass(slots=True, eq=False)
class Fact:
    """One thing that happened at the provider.

    `body` is the provider's own object as JSON text, amounts digit for digit. `money` holds the
    same digits under the provider's words, and the currencies. `about` are the ids by which a
    listener may ask for it.
    """

    key: tuple[str, ...]
    type: str
    status: str
    entity: str
    money: dict[str, str]
    about: dict[str, str]
    body: str
    tellings: int = 0
    also: tuple["Fact", ...] = ()
    """Further facts that the same frame tells, such as what it booked."""


NOTHING = Fact(key=(), type="", status="", entity="", money={}, about={}, body="")
"""What a frame that is made from no fact tells."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the books."""

    told_at: float  # unix seconds
    provider: str
    account: str
    kind: str  # fact, damaged
    key: tuple[str, ...]  # what identifies the fact, in the provider's words
    type: str
    status: str
    entity: str
    money: dict[str, str]
    listeners: int  # connections that this telling was written to
    telling: int  # 1, 2, 3 … among the tellings that somebody heard
    sha256: str | None  # of the frame's bytes, hex; None if nobody heard it
    fault: str | None  # duplicate, reorder, replay, channel, or the name of the damage


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What the books add up to; `told` counts facts that somebody heard."""

    facts: int
    told: int
    frames: int  # proper frames written, over all connections
    repeated: int  # of these, beyond the first of each fact
    damaged: int  # damaged frames written, over all connections
    faults: dict[str, int]  # tellings by fault
    money: dict[str, dict[str, str]]  # type and status → word and currency → sum over told facts


class Books:
    """Append-only; in a file where one is given, else in memory as `lines`."""

    def __init__(
        self,
        provider: str,
        account: str,
        currency_of: Mapping[str, str],
        clock: Callable[[], float],
        path: Path | None = None,
    ) -> None:
        self.lines: list[Line] = []
        self._provider, self._account, self._clock = provider, account, clock
        self._currency_of = currency_of
        self._file = path.open("ab", buffering=0) if path else None
        self._facts: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._money: defaultdict[str, dict[str, Decimal]] = defaultdict(dict)

    def told(self, fact: Fact, frame: str, listeners: int, fault: str | None) -> None:
        """Enter a proper telling, or that a fact happened unheard; call before the frame goes."""
        if listeners:
            fact.tellings += 1
            if fact.tellings == 1:
                self._add_up(fact)
        self._facts["frames"] += listeners
        self._enter("fact", fact, frame, listeners, fault)
        for other in fact.also:
            other.tellings += bool(listeners)
            self._enter("fact", other, frame, listeners, None)

    def damaged(self, fact: Fact, frame: str | bytes, listeners: int, damage: str) -> None:
        """Enter a damaged frame made from this fact."""
        self._facts["damaged"] += listeners
        self._enter("damaged", fact, frame, listeners, damage)

    def happened(self) -> None:
        self._facts["facts"] += 1

    def summary(self) -> Summary:
        told, frames = self._facts["told"], self._facts["frames"]
        return Summary(
            facts=self._facts["facts"],
            told=told,
            frames=frames,
            repeated=frames - told,
            damaged=self._facts["damaged"],
            faults=dict(self._faults),
            money={
                what: {word: str(amount) for word, amount in sums.items()}
                for what, sums in self._money.items()
            },
        )

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _add_up(self, fact: Fact) -> None:
        self._facts["told"] += 1
        sums = self._money[f"{fact.type} {fact.status}"]
        for word, currency in self._currency_of.items():
            if word in fact.money:
                name = f"{word} {fact.money[currency]}"
                sums[name] = _EXACT.add(sums.get(name, Decimal(0)), Decimal(fact.money[word]))

    def _enter(
        self, kind: str, fact: Fact, frame: str | bytes, listeners: int, fault: str | None
    ) -> None:
        sent = frame.encode() if isinstance(frame, str) else frame
        if fault:
            self._faults[fault] += 1
        line = Line(
            told_at=self._clock(),
            provider=self._provider,
            account=self._account,
            kind=kind,
            key=fact.key,
            type=fact.type,
            status=fact.status,
            entity=fact.entity,
            money=fact.money,
            listeners=listeners,
            telling=fact.tellings if kind == "fact" and listeners else 0,
            sha256=sha256(sent).hexdigest() if listeners else None,
            fault=fault,
        )
        if self._file:
            self._file.write(msgspec.json.encode(line) + b"\n")
        else:
            self.lines.append(line)

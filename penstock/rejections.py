"""What lies on ``rejected``: which parts still stand so, and which may be redriven. No I/O."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from schemas.records import Micros, Position, Rejected
from schemas.redrive import MAX_ATTEMPTS, Again


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """One record of ``rejected``, without the bytes."""

    at: str
    """``partition/offset`` on ``rejected``: what ``show`` takes."""
    provider: str
    account: str
    reason: str
    message: str
    of: Position
    part: str
    attempt: int
    size: int
    is_whole: bool
    """False where ``rejected`` has but the first of the frame's bytes."""
    fact_id: str | None
    mapper: str
    received_at: Micros
    rejected_at: Micros
    asked_at: Micros | None = None
    """When an operator asked that it be judged again; None: nobody did."""

    @property
    def again(self) -> Again:
        """Return what ``redrive`` would say of it."""
        return Again(self.of, self.part, self.attempt + 1)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rejections are meant; where nothing is said, all of them."""

    reasons: Collection[str] = ()
    providers: Collection[str] = ()
    accounts: Collection[str] = ()
    since: Micros | None = None
    until: Micros | None = None

    def take(self, one: Rejection) -> bool:
        return (
            (not self.reasons or one.reason in self.reasons)
            and (not self.providers or one.provider in self.providers)
            and (not self.accounts or one.account in self.accounts)
            and (self.since is None or one.rejected_at >= self.since)
            and (self.until is None or one.rejected_at < self.until)
        )

    def told(self) -> dict[str, str]:
        """Return what was said, by option, for ``audit``."""
        said = {
            "reason": ",".join(sorted(self.reasons)),
            "provider": ",".join(sorted(self.providers)),
            "account": ",".join(sorted(self.accounts)),
            "since": str(self.since or ""),
            "until": str(self.until or ""),
        }
        return {option: words for option, words in said.items() if words}


def rejection(rejected: Rejected, partition: int, offset: int) -> Rejection:
    """Return what is to be known of a record that lies there on ``rejected``."""
    return Rejection(
        at=f"{partition}/{offset}",
        provider=rejected.provider,
        account=rejected.account,
        reason=rejected.reason,
        message=rejected.message,
        of=Position(rejected.topic, rejected.partition, rejected.offset),
        part=rejected.part,
        attempt=rejected.attempt,
        size=rejected.size,
        is_whole=len(rejected.value) == rejected.size,
        fact_id=rejected.fact_id,
        mapper=rejected.mapper,
        received_at=rejected.received_at,
        rejected_at=rejected.rejected_at,
    )


def standing(
    found: Iterable[Rejection], asked: Mapping[Again, Micros], filters: Filters
) -> list[Rejection]:
    """Return the last rejection of each part that the filters take, oldest first.

    A part that was judged again and rejected again has several; only its last one counts, and
    has the reason that is asked for or not. ``asked``: part and attempt → when it was asked for.
    """
    last: dict[tuple[Position, str], Rejection] = {}
    for one in found:
        before = last.get((one.of, one.part))
        if before is None or one.attempt >= before.attempt:
            last[one.of, one.part] = one
    taken = sorted(filter(filters.take, last.values()), key=lambda one: one.rejected_at)
    return [msgspec.structs.replace(one, asked_at=asked.get(one.again)) for one in taken]


def counts(found: Sequence[Rejection]) -> Iterator[tuple[str, str, int, int]]:
    """Yield reason, provider, how many, and how many of them were asked for, most first."""
    rows = Counter((one.reason, one.provider) for one in found)
    asked = Counter((one.reason, one.provider) for one in found if one.asked_at)
    return ((*row, number, asked[row]) for row, number in rows.most_common())


@dataclass(frozen=True, slots=True)
class Plan:
    """What a redrive would do."""

    chosen: Sequence[Rejection]
    worn_out: Sequence[Rejection] = field(repr=False)
    """Judged so often that they stay rejected."""
    asked: Sequence[Rejection] = field(repr=False)
    """Asked for before, and not rejected again since: told meanwhile, or about to be."""
    beyond: int
    """How many more there are than the limit allows."""


def plan(found: Iterable[Rejection], *, limit: int | None, anew: bool) -> Plan:
    """Choose what to redrive, oldest first. ``anew``: also what was asked for before."""
    kinds: dict[str, list[Rejection]] = {"worn_out": [], "asked": [], "open": []}
    for one in found:
        if one.attempt >= MAX_ATTEMPTS:
            kinds["worn_out"].append(one)
        else:
            kinds["asked" if one.asked_at and not anew else "open"].append(one)
    chosen = kinds["open"][:limit]
    return Plan(chosen, kinds["worn_out"], kinds["asked"], len(kinds["open"]) - len(chosen))

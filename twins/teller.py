"""When a twin tells what happens: its pace, and what it repeats, delays and damages."""

import asyncio
from dataclasses import dataclass

from twins.audience import Audience
from twins.books import Fact
from twins.chance import dice, falls
from twins.courier import Courier
from twins.faults import Faults
from twins.provider import Provider, Publication

# Facts happen in steps of at least this length: 2,000 a second cost 200 wake-ups.
STEP = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Postponed:
    """A telling that waits until some more facts have happened."""

    at: int
    fact: Fact
    fault: str


class Teller:
    """Lets facts happen, `rate` a second, and tells them with the faults of the moment."""

    def __init__(  # noqa: PLR0913, PLR0917 - who tells, to whom, what and how
        self,
        provider: Provider,
        audience: Audience,
        courier: Courier,
        faults: Faults,
        facts: int | None,
        seed: int,
    ) -> None:
        self.faults = faults
        self._courier = courier
        self.stalled_until = 0.0  # on the loop's clock
        self.is_quiet = False
        self._provider, self._audience = provider, audience
        self._facts, self._happened = facts, 0
        self._dice = dice(seed, "faults")
        self._padding = 0
        self._postponed: list[Postponed] = []

    async def keep_pace(self, rate: float) -> None:
        """Tell until quiet or until all facts are told; a late step makes up for itself."""
        clock = asyncio.get_running_loop().time
        began, done = clock(), 0
        while not self._over():
            await asyncio.sleep(max(STEP, 1 / rate))
            if clock() >= self.stalled_until:
                due = int((clock() - began) * rate)
                await self.storm(due - done)
                done = due
        self._catch_up()

    async def storm(self, count: int) -> None:
        """Let `count` facts happen at once, unless quiet or beyond the last."""
        for n in range(1, count + 1):
            if self._over():
                return
            self._next()
            if n % 100 == 0:
                await asyncio.sleep(0)

    def pad(self, count: int) -> None:
        """Let the next telling be so many bytes longer, of the white space that JSON allows."""
        self._padding = count

    def fall_quiet(self) -> None:
        """Let nothing new happen; tell what was put off."""
        self.is_quiet = True
        self._catch_up()

    def _over(self) -> bool:
        return self.is_quiet or (self._facts is not None and self._happened >= self._facts)

    def _next(self) -> None:
        fact = self._provider.happens()
        self._happened += 1
        self._audience.books.happened()
        if falls(self._dice, self.faults.reorder):
            self._postpone(fact, "reorder", self._dice.randint(1, 3))
        else:
            self._publish(fact, None)
        for late in [late for late in self._postponed if late.at <= self._happened]:
            self._postponed.remove(late)
            self._publish(late.fact, late.fault)

    def _publish(self, fact: Fact, fault: str | None) -> None:
        published = [each for each in self._provider.publications(fact) if self._goes_out(each)]
        blank, self._padding = " " * self._padding, 0
        for n, each in enumerate(published):
            told_as = "channel" if n and fault is None else fault
            self._audience.tell(fact, each.text + blank, each.listeners, told_as)
        if not published:
            self._audience.tell(fact, "", (), fault)
        self._courier.deliver(fact, self.faults)
        self._misbehave(fact, fault)

    def _misbehave(self, fact: Fact, fault: str | None) -> None:
        # After the proper telling, so that a connection cut in between never loses the fact.
        if falls(self._dice, self.faults.damage):
            damage = self._provider.damaged(fact)
            self._audience.damage(fact, damage.text, damage.listeners, damage.name)
        if fault != "duplicate" and falls(self._dice, self.faults.duplicate):
            self._postpone(fact, "duplicate", self._dice.randint(0, 5))

    def _goes_out(self, publication: Publication) -> bool:
        return not publication.aside or falls(self._dice, self.faults.public)

    def _postpone(self, fact: Fact, fault: str, by: int) -> None:
        self._postponed.append(Postponed(self._happened + by, fact, fault))

    def _catch_up(self) -> None:
        while self._postponed:
            late = self._postponed.pop(0)
            self._publish(late.fact, late.fault)

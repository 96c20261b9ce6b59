"""What the end of a connection must lead to, in the connector's own words and pauses."""

from dataclasses import dataclass

AT_ONCE_LONGEST = 1.25
ALL = 60.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What a connector did about one end: its word for it, and the seconds until its next dial."""

    consequence: str
    pause: float | None
    """None: it stopped."""

    def __str__(self) -> str:
        if self.pause is None:
            return f"{self.consequence}: stopped"
        return f"{self.consequence}, dials again after {self.pause:.1f} s"


@dataclass(frozen=True, slots=True)
class Ending:
    """What must follow an end. Seconds; None: the feed stops."""

    consequence: str
    least: float | None
    most: float | None

    def allows(self, ended: Ended, failures: int) -> bool:
        """Judge one end, the so-many-th in a row: jitter may double with each."""
        if ended.consequence != self.consequence:
            return False
        if self.least is None or self.most is None or ended.pause is None:
            return self.least is ended.pause
        more = min(ALL, 2.0**failures)
        least, most = (self.least, self.most) if failures == 1 else (0.0, max(self.most, more))
        if self.least > AT_ONCE_LONGEST or self.consequence == "back_off":
            least = self.least
        return least <= ended.pause <= most

    def __str__(self) -> str:
        if self.least is None:
            return f"{self.consequence}: stopped"
        return f"{self.consequence}, {self.least:g} to {self.most:g} s"


AT_ONCE = Ending("at_once", 0.25, AT_ONCE_LONGEST)
UNAUTHORIZED = Ending("unauthorized", 0.25, AT_ONCE_LONGEST)
UNRESUMABLE = Ending("unresumable", 0.25, AT_ONCE_LONGEST)
BACK_OFF = Ending("back_off", 0.0, 2.0)
REFUSED = Ending("refused", None, None)


def after(seconds: float) -> Ending:
    """Return "after what the provider asks for", with the tenth that spreads accounts."""
    return Ending("after", seconds, seconds * 1.1)


def backs_off(least: float) -> Ending:
    return Ending("back_off", least, max(least, 2.0))


def unwelcome(first: float) -> Ending:
    return Ending("unwelcome", first, first * 1.1)

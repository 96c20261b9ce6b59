"""The vocabulary of ingestion: what a feed is, what a frame asks for, how a connection ends.

Nothing here does I/O. Times are seconds of a monotonic clock.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from schemas.records import Micros, OpenEntity, Recovered, Via

Frame = str | bytes
"""What a provider sent at once: a text or a binary message."""


# ---- what a frame asks for -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Write this message to the connection."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Keep:
    """This frame is the provider's to tell: append it, unchanged, to the raw topic."""

    frame: Frame
    useful: bool = True
    """False for what is about the connection alone: it does not prove a good one."""


@dataclass(frozen=True, slots=True)
class Beat:
    """From now on, ask for a sign of life after so many seconds without one.

    Any message is a sign of life. None comes within ``reply_within``: dead.
    """

    every: float
    reply_within: float
    text: str | None = None
    """What to ask with; None is a WebSocket ping."""
    steady: bool = False
    """Ask so often whatever is heard: the peer, too, counts on it. Only ``Answered`` answers."""


@dataclass(frozen=True, slots=True)
class Answered:
    """This frame answers a steady beat."""


@dataclass(frozen=True, slots=True)
class Await:
    """Call ``overdue`` unless ``Live``, or another ``Await``, comes within so many seconds."""

    within: float


@dataclass(frozen=True, slots=True)
class Live:
    """Everything wanted is subscribed: from here on, what is told reaches us."""


@dataclass(frozen=True, slots=True)
class Report:
    """Worth a line to the operator. Secrets in it are struck out before it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """Close the connection: this is what its end means."""

    error: "FeedError"


Effect = Send | Keep | Beat | Answered | Await | Live | Report | End


# ---- how a connection ends -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Close:
    """The last thing a connection says. 1005: no code given; 1006: no close frame."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An upgrade that was answered with HTTP."""

    status: int
    retry_after: float | None = None
    """Seconds, where the answer names them."""
    excerpt: str = ""
    """The beginning of the body, on one line."""


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Dial again at once, with a jitter; a second time in a row, back off."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """Dial again after a pause that grows with every failure in a row."""

    least: float = 0.0


@dataclass(frozen=True, slots=True)
class After:
    """Dial again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Doubling:
    """Dial again after ``first`` seconds, twice as many each time in a row, up to ``most``."""

    first: float
    most: float


Pause = AtOnce | BackOff | After | Doubling


class FeedError(Exception):
    """A connection ended, or never began. The subclass says what to do next."""

    cause: ClassVar[str] = "disconnected"
    """The word for it on ``coverage``."""


class Disconnected(FeedError):
    """It may work again: dial after a pause."""

    def __init__(self, message: str, pause: Pause = BackOff()) -> None:
        super().__init__(message)
        self.pause = pause


class Superseded(Disconnected):
    """As if another connection of the same account took over: said aloud if it repeats."""


class Silent(Disconnected):
    """Nothing was heard for too long, not even an answer."""

    cause = "silent"


class Unauthorized(FeedError):
    """The credential is read again and tried once more; then it means ``then``."""

    cause = "refused"

    def __init__(self, message: str, then: FeedError | None = None) -> None:
        super().__init__(message)
        self.then = then or Refused(message)


class Unwelcome(FeedError):
    """It ended as it does for a bad credential, and now and then for a good one.

    ``Refused`` as long as no connection was live; from then on, dial again ``later``, and alert.
    """

    cause = "refused"

    def __init__(self, message: str, later: Pause) -> None:
        super().__init__(message)
        self.later = later


class Unresumable(FeedError):
    """It will not work from that cursor: dial once without it."""


class Refused(FeedError):
    """It will not work until somebody changes something: stop this feed, and say so."""

    cause = "refused"


# ---- what a feed is ------------------------------------------------------------------


class Dialect(Protocol):
    """A protocol spoken over one connection, without the I/O.

    A fresh value per connection: what was confirmed, joined or half received lives in it.
    """

    def opened(self) -> Iterable[Effect]:
        """Return what to do once the connection is open."""
        ...

    def received(self, frame: Frame) -> Iterable[Effect]:
        """Return what to do about one frame. Never raises, whatever the frame."""
        ...

    def overdue(self) -> Iterable[Effect]:
        """Return what to do now that what was awaited did not come."""
        ...

    def closed(self, close: Close) -> FeedError:
        """Return what the end of the connection means."""
        ...

    def refused(self, refusal: Refusal) -> FeedError:
        """Return what a refused upgrade means."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account at one provider, with its secrets as they were read last."""

    provider: str
    name: str
    environment: str
    url: str = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Credential's name → secret."""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in what a provider tells, from which it can go on."""

    rank: tuple[int, ...]
    """What cursors are compared by."""
    text: str = field(compare=False)
    """The provider's own form."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to dial. Neither part is shown: both may hold a credential."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, then one every so many seconds."""

    burst: int
    every: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request. Nothing of it is shown but the method."""

    url: str = field(repr=False)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    retry_after: float | None
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """A POST whose answer holds a credential for the upgrade that follows."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: Callable[[Answer], Mapping[str, str]]
    """The minted secrets. Raises a ``FeedError`` where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a login or a refresh grants."""

    secrets: Mapping[str, str] = field(repr=False)
    """Name → token, to be read beside the account's own secrets."""
    life: float | None
    """Seconds from now; None where it does not say: good until it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How an account comes by its tokens. One owner asks, for socket and REST alike."""

    log_in: Callable[[Account], Request]
    refresh: Callable[[Account], Request]
    """Reads the tokens from the account's secrets."""
    tokens: Callable[[Answer, float], Tokens]
    """From an answer and the unix time. Raises a ``FeedError`` where it grants none."""
    log_in_rate: Rate
    """What the provider allows one address."""
    refresh_rate: Rate
    signs: str | None = None
    """Name of the token with which the provider signs what we verify: it is kept on ``keys``
    before it is used."""
    dials: bool = True
    """Whether the socket, too, is opened with these tokens."""


# ---- REST ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a round, before it is known which token it will bear."""

    route: str
    """Name of the call on raw records; never a URL."""
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    via: Via = Via.POLL


@dataclass(frozen=True, slots=True)
class Next:
    """Send this request next."""

    call: Call


@dataclass(frozen=True, slots=True)
class Wait:
    """Pause for so many seconds before going on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reached:
    """So far everything is kept: a round that is cut short goes on from here."""

    recovered: Recovered


@dataclass(frozen=True, slots=True)
class Done:
    """The round is over."""

    whole: bool
    """Whether everything that it asks for was answered and kept."""
    recovered: Recovered | None = None
    """What it read back, where the provider can be read back."""


Step = Keep | Report | Wait | Next | Reached | Done | End


class Reading(Protocol):
    """One round of requests, without the I/O. A fresh value per round.

    What it returns is done in its order, and is to hold one ``Next``, ``Done`` or ``End``.
    """

    def begin(self) -> Iterable[Step]:
        """Return what to ask first."""
        ...

    def answered(self, call: Call, answer: Answer) -> Iterable[Step]:
        """Return what an answer means. ``End(Unauthorized)``: once, with a fresh token."""
        ...

    def failed(self, call: Call, error: Disconnected) -> Iterable[Step]:
        """Return what to do where there was no answer, or one that is too long to keep."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known when a round begins."""

    now: Micros
    """The time, by our clock."""
    cursor: Cursor | None
    """Up to where raw holds everything; None where it never did."""
    opens: tuple[OpenEntity, ...] = ()
    """The account's entities whose last fact is not final, oldest first."""
    references: tuple[str, ...] = ()
    """What somebody named, who may be believed once REST says the same: ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is asked of a provider besides its socket, as data."""

    reading: Callable[[Account, Known], Reading]
    request: Callable[[Account, Call, int], Request]
    """The number is larger than that of any request of the account, or key, before it."""
    every: float
    """Seconds from the end of a round to the next."""
    rate: Rate
    """How often we ask."""
    holds: float
    """Seconds that the frames of a new connection may wait for a round; 0: they do not."""
    hydrates: bool = False
    """Whether a round tells the state, and is to be told so by a mark."""
    cursor: Callable[[str], Cursor | None] | None = None
    """Reads ``up_to`` of a ``recovered`` mark; None where a round begins from nothing."""
    key: Callable[[Account], str] | None = None
    """The key whose requests are numbered, and go one at a time; None: each is its own."""
    looks_up: bool = False
    """Whether it asks for the entities on ``open``."""
    reference: Callable[[bytes], str | None] | None = None
    """What a webhook names that is believed once REST says the same; None where they are signed."""
    needs: frozenset[str] = frozenset()
    """Names of the optional credentials that it takes; without them, nothing is asked."""


# ---- the feed ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One connection to one provider, as data."""

    provider: str
    route: str
    """Name of the stream on raw records; never a URL."""
    endpoints: Mapping[str, str]
    """Environment → the published address, where there is one."""
    credentials: frozenset[str]
    """Names of the credentials that an account must have."""
    optional_credentials: frozenset[str] = frozenset()
    """Names of those that it may have besides, where ``check`` says which options need them."""
    replicas: bool
    """Whether several processes may follow one account: every kind that this feed tells
    has an identity of the provider's own, and the provider tolerates it."""
    check: Callable[[Account], None]
    """Raises ``ValueError`` with one line if the options cannot work."""
    address: Callable[[Account, Cursor | None], Address]
    dialect: Callable[[Account, Cursor | None], Dialect]
    cursor: Callable[[Frame], Cursor | None] | None = None
    """The cursor that a kept frame carries; None where the provider replays nothing."""
    mint: Callable[[Account], Mint | None] = lambda _account: None
    """What to ask for before each dial."""
    login: Login | None = None
    """Where credentials buy tokens that last longer than one dial."""
    rest: Rest | None = None
    public: "Feed | None" = None
    """What follows the provider's public data, where that is a connection of its own."""
    sign: Callable[[Account, int], Mapping[str, str]] = lambda _account, _now: {}
    """Secrets that we make ourselves before each dial; ``now`` is in unix seconds."""


def fitted(feed: Feed, credentials: Collection[str]) -> Feed:
    """Return the feed without what an account of these credentials cannot have."""
    if feed.rest is None or feed.rest.needs <= set(credentials):
        return feed
    login = feed.login if feed.login and feed.login.dials else None
    return replace(feed, rest=None, login=login)

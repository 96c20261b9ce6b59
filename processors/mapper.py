"""The vocabulary of mapping: what a provider's module says about a frame.

A mapper is a value. ``open`` turns a frame into parts, ``routes`` turn a part into
what it states. Nothing here does I/O; time comes in with the frame.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from hashlib import sha256
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

from processors.errors import InvalidValue, OperatorError
from schemas.mac import mac
from schemas.records import Authority, Invoice, Micros, Money, Payload, Raw, Status

W = TypeVar("W")


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON object as a provider sends it; unknown fields are ignored."""


Word = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
"""What goes into ids, keys and headers: an id, a status, a code, a currency."""
Seconds = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
"""A time as unix seconds."""


class Part(msgspec.Struct, frozen=True):
    """What opening a frame yields."""

    kind: str
    """Picks the route."""
    body: bytes
    """JSON of the part alone."""
    pointer: str = ""
    """JSON pointer into the frame, empty for the whole."""
    context: Any = None
    """What the envelope says and the body does not; the provider's own type."""
    authority: Authority | None = None
    """None: what the path itself proves."""
    verified: str = "tls"
    """``hs256:<key id>``, ``hmac-sha256:<key id>`` or ``tls``."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What one part says about one entity, before anyone asked whether it is new."""

    payload: Payload
    action: str
    """Second half of the event's type: the status, or what was done."""
    provider_type: str
    entity_kind: str
    entity_id: str
    identity: tuple[str, ...] | None = None
    """Native identity, after provider and account; None for an observation."""
    group: str | None = None
    occurred_at: Micros | None = None
    """The provider's time; None where it gives none."""
    status: Status | None = None
    version: tuple[int, int] | None = None
    """What the provider orders this entity's facts by; None where it gives nothing."""
    rank: int = 0
    """Place of the status in the entity's life; decides where versions cannot."""
    is_final: bool = False
    stakes: tuple[str | Decimal | None, ...] = ()
    """What a ledger posts on, as far as every path of this event type carries it."""
    recipe: int = 1
    """Number of the rule by which the stakes were taken."""
    only_if_new: bool = False
    """Of an observation: say nothing where it repeats the entity's last, as a poll does."""


@dataclass(frozen=True, slots=True)
class Route(Generic[W]):
    """Which wire type a kind of part has, and what it states."""

    decoder: msgspec.json.Decoder[W]
    states: Callable[[W, Part, "Keys"], Iterable[Statement]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What mapping is told of one account: secrets, never in a ``repr``, and a unit.

    Raises ``OperatorError`` if one of them is empty.
    """

    verification: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Key id → key, newest first, for the provider's signatures."""
    reference_id: str = field(repr=False)
    reference: bytes = field(repr=False)
    """Key of the hashes that stand for persons, and its id."""
    places: int | None = field(default=None, repr=False)
    """Decimals that the provider leaves out of money whose unit it does not document: 2 where
    it counts in hundredths, 0 in whole ones. None: nobody said, and nothing is guessed."""

    def __post_init__(self) -> None:
        # Anybody can sign with an empty key, and find out whom a hash of one stands for.
        for key_id, key in (*self.verification.items(), (self.reference_id, self.reference)):
            if not key:
                raise OperatorError(f"key {key_id}: expected a secret, found an empty one; set it")

    def hashed(self, person: str | None) -> str | None:
        """Return ``<key id>:<HMAC-SHA256>`` of what names a person."""
        if not person:
            return None
        return f"{self.reference_id}:{mac(self.reference, person.encode()).hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapper:
    """One provider's reading."""

    provider: str
    version: int
    open: Callable[[Raw, Keys], Iterable[Part]]
    """A frame's parts. Raises a ``FrameError`` if the frame cannot be opened."""
    routes: Mapping[str, Route[Any]]
    silent: frozenset[str] = frozenset()
    """Kinds that are known, and state nothing."""
    unread: frozenset[str] = frozenset()
    """Names of fields that the provider's pages list and no wire type reads, at any depth."""

    name: str = field(init=False)
    """``provider@version``, as each event tells it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.provider}@{self.version}")


# ---- values that every mapper reads --------------------------------------------------

_PLACES: Final = Decimal(1).scaleb(-18)
_SCALE: Final = 18
_DIGITS: Final = 20
_LONGEST: Final = 128
_CONTEXT: Final = Context(prec=_LONGEST, rounding=ROUND_HALF_EVEN, traps=[])


def money(
    amount: Decimal | None, currency: str, where: str, *, signed: bool = False
) -> Money | None:
    """Return an exact amount, or None for None.

    ``amount`` is in units of the currency and has the provider's own digits. Beyond
    18 decimals it is rounded half-even, and ``exact`` keeps the digits. Raises
    ``InvalidValue`` if it is not finite, has more than 20 integer digits, or is
    negative where ``signed`` does not allow that.
    """
    if amount is None:
        return None
    plain = str(amount)
    if len(plain) < _SCALE and plain.replace(".", "", 1).isdigit():
        return Money(amount, currency.upper())  # Any further look costs three times as much.
    _check(amount, where, signed=signed)
    exponent = amount.as_tuple().exponent
    if exponent >= -_SCALE:  # type: ignore[operator]  # a number, since it is finite
        return Money(amount, currency.upper())
    if exponent < -_LONGEST:  # type: ignore[operator]
        raise InvalidValue(f"{where}: expected at most {_LONGEST} decimals, found more")
    rounded = amount.quantize(_PLACES, context=_CONTEXT)
    _check(rounded, where, signed=signed)
    return Money(rounded, currency.upper(), None if rounded == amount else digits(amount))


def _check(amount: Decimal, where: str, *, signed: bool) -> None:
    if not amount.is_finite():
        raise InvalidValue(f"{where}: expected a finite number, found {amount}")
    if amount.adjusted() >= _DIGITS and amount:
        raise InvalidValue(f"{where}: expected at most {_DIGITS} integer digits, found more")
    if amount < 0 and not signed:
        raise InvalidValue(f"{where}: expected 0 or more, found less")


def stake(told: Money | None) -> Decimal | None:
    """Return what a ledger posts of an amount, None where none was told."""
    return told.amount if told else None


def scaled(amount: Decimal, places: int) -> Decimal:
    """Return an amount of the smaller unit in the larger: ``scaled(10000, 3)`` is 10.000.

    What is too large to be shifted becomes infinite, which ``money`` refuses.
    """
    return amount.scaleb(-places, _CONTEXT)


def is_same(one: Decimal, other: Decimal) -> bool:
    """Compare two numbers exactly; what is not a number equals nothing."""
    # ``==`` raises on a signalling NaN, which a frame may hold.
    return _CONTEXT.compare(one, other).is_zero()


def digits(number: Decimal) -> str:
    """Return a number's digits as plain decimal, no exponent: ``1E-7`` → ``0.0000001``."""
    return format(number, "f")


def rate(number: Decimal | None, where: str, *, signed: bool = False) -> str | None:
    """Return a rate that the provider computed: its digits as plain decimal.

    Raises ``InvalidValue`` as ``money`` does, and beyond 128 decimals.
    """
    if number is None:
        return None
    _check(number, where, signed=signed)
    if number.as_tuple().exponent < -_LONGEST:  # type: ignore[operator]  # it is finite
        raise InvalidValue(f"{where}: expected at most {_LONGEST} decimals, found more")
    return digits(number)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 2**52  # the year 2112: some clients read longs as doubles


def micros(time: datetime | int, where: str = "time") -> Micros:
    """Return microseconds since the epoch, of a date or of unix seconds.

    A date without an offset is UTC. Raises ``InvalidValue`` outside 1970 to 2112.
    """
    if isinstance(time, int):
        told = time * 1_000_000
    else:
        delta = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
        told = (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    if not 0 <= told < _LAST:
        raise InvalidValue(f"{where}: expected a time between 1970 and 2112")
    return told


class _Literal(str):
    """A number's digits, as they came."""

    __slots__ = ()


def content_hash(body: bytes, *left_out: str) -> str:
    """Return the SHA-256, as hex, of a JSON object whose form does not matter.

    ``left_out`` names members that belong to the envelope. Sorted keys, no blanks, UTF-8
    unescaped, number literals unchanged: ``{"b":1,"a":"é"}`` is
    ``aa58fba8483623bed37c1b02edfccbdd9a53123837c20bfa4cb4049993a2872e``.
    """
    tree = json.loads(body, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal)
    kept = {name: tree[name] for name in tree.keys() - set(left_out)}
    return sha256(_canonical(kept).encode()).hexdigest()


def _canonical(tree: Any) -> str:  # noqa: ANN401 - JSON of any shape
    match tree:
        case _Literal():
            return str(tree)
        case dict():
            members = (f"{_canonical(key)}:{_canonical(tree[key])}" for key in sorted(tree))
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(_canonical, tree)) + "]"
    return json.dumps(tree, ensure_ascii=False)


def action(payload: Payload, status: Status) -> str:
    """Return the second half of an event's type: the status; an invoice is ``paid``."""
    if status is Status.COMPLETED and isinstance(payload, Invoice):
        return "paid"
    return status.value

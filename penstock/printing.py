"""Records and providers' bytes, made fit for a terminal and for JSON."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from schemas.records import Money, Payload
from schemas.times import millis_text

_TIME: Final = "_at"
"""How the names of fields that hold a time end."""


def printable(text: str) -> str:
    """Return a text without what a terminal would obey: somebody else wrote it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def body_text(value: bytes, indent: int = 2) -> str:
    r"""Return bytes to read: JSON indented, its digits as they came; else text, with ``\xNN``."""
    with suppress(msgspec.DecodeError):  # A frame of Socket.IO, a token, or torn: as it is.
        value = msgspec.json.format(value, indent=indent)
    return printable(value.decode(errors="backslashreplace"))


def plain(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record for JSON: times as text, amounts as digits, no bytes and nothing null."""
    told = msgspec.to_builtins(record, builtin_types=(bytes, Decimal))
    return {name: _plain(name, value) for name, value in told.items() if _is_told(value)}


def _is_told(value: object) -> bool:
    return value is not None and not isinstance(value, bytes)


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - anything that a record holds
    match value:
        case dict():
            return {key: _plain(key, inner) for key, inner in value.items() if _is_told(inner)}
        case list() | tuple():
            return [_plain(name, inner) for inner in value]
        case Decimal():
            return digits(value)
        case int() if name.endswith(_TIME):
            return millis_text(value)
    return value


def digits(amount: Decimal) -> str:
    """Return an amount as its digits, without the zeros that its scale adds."""
    told = f"{amount:f}"
    return told.rstrip("0").rstrip(".") if "." in told else told


_ONE_LINE: Final = 10_000
"""Columns that a pipe has, so that each row is one line there."""


def quiet() -> Console:
    """Return a console that prints what it is given, and reads nothing into it."""
    width = None if sys.stdout.isatty() else _ONE_LINE
    return Console(width=width, markup=False, emoji=False, highlight=False)


def table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a table without lines, whose last column alone may wrap."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, no_wrap=column != columns[-1])
    for row in rows:
        made.add_row(*(printable(str(cell)) for cell in row))
    return made


def monies(payload: Payload) -> str:
    """Return every amount that a payload has by itself: ``gross 30 USD, fee 0.3 USD``."""
    told = msgspec.structs.asdict(payload)
    return ", ".join(
        f"{name} {_amount(money)} {money.currency}"
        for name, money in told.items()
        if isinstance(money, Money)
    )


def _amount(money: Money) -> str:
    return money.exact or ("?" if money.amount is None else digits(money.amount))

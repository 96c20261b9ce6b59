"""Functions that write a record as Avro: Python, made from a schema's text when it is loaded.

https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

import json
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, Inexact
from itertools import count
from typing import Any, Final

# What records repeat is looked up, not made again: a subscript costs a third of a call.
_REMEMBERED: Final = 4096
"""Entries after which a table starts anew: nothing that a provider says fills our memory."""


class _Longs(dict[int, bytes]):
    """A number → zigzag varint. Small ones are there from the start, others are not kept."""

    def __missing__(self, n: int) -> bytes:
        n = (n << 1) ^ (n >> 63)
        if n < 1 << 28:
            return _PAIR[n & 0x3FFF] + _LAST[n >> 14] if n >> 14 else _LAST[n]
        return _PAIR[n & 0x3FFF] + _PAIR[n >> 14 & 0x3FFF] + _LAST[n >> 28]


class _Last(dict[int, bytes]):
    """A positive number → varint. The high bits of a time stay the same for two minutes."""

    def __missing__(self, n: int) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        out = bytearray()
        rest = n
        while rest > 0x7F:  # noqa: PLR2004 - seven bits a byte
            out.append((rest & 0x7F) | 0x80)
            rest >>= 7
        out.append(rest)
        self[n] = told = bytes(out)
        return told


class _Words(dict[str, bytes]):
    """A text → its bytes, for texts of which there are few."""

    def __missing__(self, text: str) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        encoded = text.encode()
        self[text] = told = _LONG[len(encoded)] + encoded
        return told


class _Amounts(dict[str, bytes]):
    """An amount's digits → its bytes: an entity tells the same amounts again and again."""

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def __missing__(self, digits: str) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        whole, _, decimals = digits.partition(".")
        if len(decimals) > self._scale or "E" in digits:
            unscaled = self._rare(digits)
        else:
            unscaled = int(whole + decimals.ljust(self._scale, "0"))
        size = (unscaled.bit_length() + 8) >> 3
        self[digits] = told = _LONG[size] + unscaled.to_bytes(size, "big", signed=True)
        return told

    def _rare(self, digits: str) -> int:
        scaled = Decimal(digits).scaleb(self._scale, _EXACT)
        return int(scaled.to_integral_exact(context=_EXACT))


_EXACT: Final = Context(prec=80, traps=[Inexact])

# Fourteen bits that are not the last.
_PAIR: Final = tuple(bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(1 << 14))
_LAST: Final = _Last()
_LONG: Final = _Longs()
_LONG.update({n: _LONG[n] for n in range(1 << 13)})
_WORD: Final = _Words()

_WORDS: Final = frozenset(
    "type provider account environment provider_type entity_kind change authority time_source "  # noqa: SIM905
    "via topic verified mapper status provider_status currency direction method side "
    "payment_method network name market order_type token retailer price_currency "
    "quantity_currency action game source severity".split()
)


class _Generator:
    """Writes one Python function per record type of a schema."""

    def __init__(self) -> None:
        self.source: list[str] = []
        self.records: set[str] = set()
        self.scope: dict[str, Any] = {"_LONG": _LONG, "_WORD": _WORD}
        self._number = count()

    def record(self, schema: Mapping[str, Any]) -> str:
        name = f"_{schema['name']}"
        parts = [self.field(field) for field in schema["fields"]]
        self.source.append(f"def {name}(r):\n    return b''.join(({', '.join(parts)},))")
        self.records.add(schema["name"])
        return name

    def field(self, field: Mapping[str, Any]) -> str:
        is_word = field["name"] in _WORDS
        return self.expression(field["type"], f"r.{field['name']}", is_word=is_word)

    def expression(self, schema: Any, value: str, *, is_word: bool = False) -> str:  # noqa: ANN401, C901, PLR0911
        match schema:
            case ["null", other]:
                inner = self.expression(other, value, is_word=is_word)
                return f"(b'\\x00' if {value} is None else b'\\x02' + {inner})"
            case {"type": "record"}:
                return f"{self.record(schema)}({value})"
            case {"type": "array", "items": items}:
                item = f"i{next(self._number)}"
                inner = self.expression(items, item)
                joined = f"b''.join([{inner} for {item} in {value}])"
                return f"((_LONG[len({value})] + {joined} if {value} else b'') + b'\\x00')"
            case {"logicalType": "decimal", "scale": scale}:
                self.scope[f"_AMOUNT{scale}"] = _Amounts(scale)
                return f"_AMOUNT{scale}[str({value})]"
            case {"type": plain}:
                return self.expression(plain, value)
            case "string" if is_word:
                return f"_WORD[{value}]"
            case "string":
                return f"_LONG[len(t := {value}.encode())] + t"
            case "bytes":
                return f"_LONG[len({value})] + {value}"
            case "int" | "long":
                return f"_LONG[{value}]"
            case "boolean":
                return f"(b'\\x01' if {value} else b'\\x00')"
            case str(name) if name in self.records:
                return f"_{name}({value})"
        raise ValueError(f"{value}: no rule for {schema}, see docs/contract.md")


def digits_as_avro(scale: int) -> Callable[[str], bytes]:
    """Return a function from a decimal's digits to its Avro bytes."""
    return _Amounts(scale).__getitem__


def encoder(text: str) -> Callable[[Any], bytes]:
    """Return a function from a record of ``schemas.records`` to its Avro bytes.

    Knows the constructs that ``docs/contract.md`` allows, and no others: a schema
    that uses another one fails here, when it is loaded.
    """
    generator = _Generator()
    name = generator.record(json.loads(text))
    # The source is made from our own .avsc alone.
    exec("\n".join(generator.source), generator.scope)  # noqa: S102
    encode: Callable[[Any], bytes] = generator.scope[name]
    return encode

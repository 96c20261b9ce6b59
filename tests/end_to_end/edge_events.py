"""Events at the edges of what the contract allows, the same ones for the same seed."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import cycle, islice
from typing import Any, Final

import msgspec

from schemas import records
from schemas.codec import schema_text
from tests.schemas.record_strategies import PAYLOADS

FARTHEST: Final = 2**52
"""Every client reads integers as far as this, to both sides."""
EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the Z is written by hand
TEXTS: Final = (
    *("", "completed", "null", "30", "1E+5", " ", "Žluťoučký kůň", "価格", "🪙💶", "e\u0301"),
    *('"', "\\", "\\u2028", "\u2028\u2029", "</script>&amp;", "/", "a\tb\r\nc\b\f"),
    *("\x00\x01\x1f\x7f\x80\x9f", "\ufeff\ufffd\uffff", "\U0010ffff", "x" * 5000),
)
AMOUNTS: Final = tuple(
    Decimal(digits)
    for digits in (
        *("0", "30", "30.0", "1E+19", "-1E+19", "0.1", "-0.1", "-12.34"),
        *("0.000000000000000001", "-0.000000000000000001"),
        # Where the unscaled number takes one byte more.
        *("0.000000000000000127", "0.000000000000000128", "-0.000000000000000128"),
        *("-0.000000000000000129", "0.000000000000032767", "-0.000000000000032769"),
        *("99999999999999999999.999999999999999999", "-99999999999999999999.999999999999999999"),
        *("9007199254740993", "0.123456789012345678"),
    )
)
LONGS: Final = (0, 1, -1, 63, 64, -64, -65, 999_999, -999_999, 2**31, 1_700_000_000_000_001)
PRIMITIVES: Final = {
    "string": TEXTS,
    "boolean": (False, True),
    "int": (0, 1, -1, 2**31 - 1, -(2**31)),
    "long": (*LONGS, FARTHEST, -FARTHEST),
}
TOLD: Final = 0.7
"""How many of the fields that may be null are not."""


class Edges:
    """Draws records of a schema, each edge of a type in its turn."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._turns = {kind: self._in_turn(edges) for kind, edges in PRIMITIVES.items()}
        self._amounts = self._in_turn(AMOUNTS)
        self._records: dict[str, Any] = {}

    def _in_turn(self, edges: Sequence[Any]) -> Iterator[Any]:
        return cycle(self._random.sample(edges, len(edges)))

    def record(self, schema: Any, **given: Any) -> Any:
        """Return a record of ``schemas.records``; of some fields the value is given."""
        self._records[schema["name"]] = schema
        drawn = {
            field["name"]: self._value(field["type"])
            for field in schema["fields"]
            if field["name"] not in given
        }
        return getattr(records, schema["name"])(**drawn, **given)

    def _value(self, schema: Any) -> Any:
        match schema:
            case ["null", other]:
                # Drawn in any case: a named type may be defined here, and used elsewhere.
                value = self._value(other)
                return value if self._random.random() < TOLD else None
            case {"type": "record"}:
                return self.record(schema)
            case {"type": "array", "items": items}:
                drawn = [self._value(items) for _ in range(3)]
                return tuple(drawn[: self._random.choice((0, 1, 3))])
            case {"logicalType": "decimal"}:
                return next(self._amounts)
            case {"type": plain}:
                return next(self._turns[plain])
            case _:
                known = self._records.get(schema)
                return self.record(known) if known else next(self._turns[schema])


def edge_events(count: int, seed: int = 7) -> list[records.Event]:
    """Return events of each payload in turn."""
    schema = json.loads(schema_text("event"))
    kinds = {field["name"]: field["type"] for field in schema["fields"]}
    edges = Edges(seed)
    edges.record(schema)
    return [
        edges.record(
            schema,
            id=f"acme/main/{number}",
            type=f"{payload}.edge",
            **dict.fromkeys(PAYLOADS) | {payload: edges.record(kinds[payload][1])},
        )
        for number, payload in enumerate(islice(cycle(PAYLOADS), count))
    ]


def line(event: records.Event) -> str:
    """Return what every consumer must print, told from what was written alone."""
    return json.dumps(_words(event), ensure_ascii=False, separators=(",", ":"))


def _words(value: Any, name: str = "") -> Any:
    match value:
        case msgspec.Struct():
            told = msgspec.structs.asdict(value)
            return {field: _words(inner, field) for field, inner in told.items()}
        case tuple():
            return [_words(item) for item in value]
        case Decimal():
            return f"{value:.18f}"
        case int() if name.endswith("_at"):
            return (EPOCH + timedelta(microseconds=value)).isoformat(timespec="microseconds") + "Z"
        case _:
            return value

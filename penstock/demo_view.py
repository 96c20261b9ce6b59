"""What the demo shows: a live table on a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Row:
    """One provider at one moment; latencies in seconds."""

    provider: str
    connected_since: float | None
    """Seconds since the epoch; None while it is not connected."""
    frames: int
    facts: int
    duplicates: int
    rejected: int
    p50: float | None
    p99: float | None


def table(rows: Sequence[Row], last: Sequence[Mapping[str, Any]], note: str) -> RenderableType:
    """Return the live picture: a row per provider, and the last canonical events."""
    return Group(_providers(rows), _events(last), Text(note, style="dim"))


def _providers(rows: Sequence[Row]) -> Table:
    shown = Table(title="providers", title_justify="left", expand=True)
    shown.add_column("provider")
    shown.add_column("connected since")
    for name in ("frames", "facts", "duplicates", "rejected", "p50 ms", "p99 ms"):
        shown.add_column(name, justify="right")
    for row in rows:
        counts = (row.frames, row.facts, row.duplicates, row.rejected)
        shown.add_row(
            row.provider, _clock(row.connected_since), *map(str, counts), _ms(row.p50), _ms(row.p99)
        )
    return shown


def _events(last: Sequence[Mapping[str, Any]]) -> Table:
    shown = Table(title="last canonical events", title_justify="left", expand=True)
    for name in ("type", "entity", "seq", "change", "authority", "amount"):
        shown.add_column(
            name, no_wrap=True, justify="right" if name in ("seq", "amount") else "left"
        )
    for event in reversed(last):
        shown.add_row(
            event["type"],
            f"{event['provider']} {event['entity_kind']} {event['entity_id'][:13]}",
            str(event["entity_sequence"]),
            event["change"] + (" stale" if event["is_stale"] else ""),
            event["authority"],
            amount(event),
        )
    return shown


def line(row: Row, seconds: float) -> str:
    """Return one provider as a plain line."""
    return (
        f"{seconds:4.0f} s  {row.provider:<9} since {_clock(row.connected_since)}  "
        f"frames {row.frames:>6}  facts {row.facts:>6}  duplicates {row.duplicates:>5}  "
        f"rejected {row.rejected:>4}  p50 {_ms(row.p50):>5} ms  p99 {_ms(row.p99):>5} ms"
    )


def amount(event: Mapping[str, Any]) -> str:
    """Return the first amount of an event's payload, for people: ``49 USD``."""
    payload = next(value for name, value in event.items() if _is_payload(name, value))
    for money in payload.values():
        if isinstance(money, dict) and money.get("amount") is not None:
            return f"{money['amount'].normalize():f} {money['currency']}"
    return ""


def _is_payload(name: str, value: object) -> bool:
    return isinstance(value, dict) and name != "evidence"


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f}"

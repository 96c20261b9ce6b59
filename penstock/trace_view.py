"""What ``penstock trace`` prints."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from rich.text import Text
from rich.tree import Tree

from penstock.printing import body_text, monies, plain, printable, quiet
from penstock.trace import Check, Trace, payload_of
from schemas.records import Event
from schemas.times import millis_text

_MARKS: Final = {
    True: ("✓ ", "green"),
    False: ("✗ ", "red bold"),
    None: ("· ", "yellow"),
}


def show(trace: Trace, *, with_bytes: bool) -> None:
    """Print a tree, from the bytes to the event and beyond."""
    event, held = trace.event, trace.held
    tree = Tree(_text(event.id, "bold"))
    _raw(tree, trace, with_bytes=with_bytes)
    part = tree.add(_text(f"part  {event.evidence.part or 'the whole frame'}"))
    part.add(_text(f"the provider's word: {event.provider_type}"))
    part.add(_check(held.signature))
    fact = tree.add(_text("fact" if event.is_fact else "observation"))
    fact.add(_check(held.told_again))
    _event(tree, trace)
    witnesses = tree.add(f"witnesses  {len(trace.witnesses) or 'no further path told it'}")
    for one in trace.witnesses:
        when = millis_text(one.received_at)
        place = f"{one.topic} partition {one.partition} offset {one.offset}"
        witnesses.add(_text(f"{when}  {one.via}, {one.authority}, {one.verified}, {place}"))
    entity = tree.add(_text(f"entity  {event.entity_kind} {event.entity_id}"))
    for fact_told in trace.entity:
        entity.add(_fact(fact_told, is_this=fact_told.id == event.id))
    quiet().print(tree)


def _raw(tree: Tree, trace: Trace, *, with_bytes: bool) -> None:
    told = trace.event.evidence
    branch = tree.add(_text(f"raw  {told.topic} partition {told.partition} offset {told.offset}"))
    if raw := trace.raw:
        when = millis_text(raw.received_at)
        how = f"{raw.via} {raw.route}, connection {raw.connection}, frame {raw.sequence}"
        branch.add(_text(f"{len(raw.value)} bytes, received {when} by {how}"))
        if with_bytes:
            branch.add(_text(body_text(raw.value)))
    branch.add(_check(trace.held.sha256))


def _event(tree: Tree, trace: Trace) -> None:
    event = trace.event
    branch = tree.add(_text(f"event  {event.type}, partition {trace.at[1]} offset {trace.at[2]}"))
    published = millis_text(event.published_at)
    branch.add(_text(f"occurred {millis_text(event.occurred_at)}, published {published}"))
    stale = ", stale" if event.is_stale else ""
    branch.add(_text(f"change {event.change}, {event.authority}{stale}, by {event.mapper}"))
    if amounts := monies(payload_of(event)):
        branch.add(_text(amounts))


def _fact(event: Event, *, is_this: bool) -> Text:
    mark = "▶" if is_this else " "
    line = (
        f"{event.entity_sequence:>3} {mark} {event.type}  {millis_text(event.occurred_at)}  "
        f"change {event.change}  {event.via}  {event.id}"
    )
    return _text(line, "bold" if is_this else "")


def _check(check: Check) -> Text:
    mark, style = _MARKS[check.holds]
    return Text.assemble((mark, style), printable(check.said))


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)


def told(trace: Trace, *, with_bytes: bool) -> Mapping[str, Any]:
    """Return the same for JSON."""
    held, raw = trace.held, trace.raw
    return {
        "event": plain(trace.event),
        "at": list(trace.at),
        "raw": raw and {**plain(raw), "size": len(raw.value)},
        "bytes": body_text(raw.value) if raw and with_bytes else None,
        "sha256": msgspec.to_builtins(held.sha256),
        "signature": msgspec.to_builtins(held.signature),
        "told_again": msgspec.to_builtins(held.told_again),
        "witnesses": [plain(one) for one in trace.witnesses],
        "entity": [plain(one) for one in trace.entity],
    }

"""Whoever tells anything else than ours does not count as a peer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from benchmarks.same_events import Seen, Telling, require_same_events, require_same_open, seen
from penstock.topic_reader import Span
from schemas.codec import cloud_event_headers, encode_event
from schemas.records import Event, Evidence, Settlement

EVENT = Event(
    id="satoriex/main/settlement/m1/o1",
    type="settlement.completed",
    is_fact=True,
    provider="satoriex",
    account="main",
    environment="sandbox",
    provider_type="settlement",
    entity_kind="settlement",
    entity_id="m1",
    group="m1",
    entity_sequence=1,
    is_stale=False,
    change="status",
    authority="best_effort",
    occurred_at=1_700_000_000_000_000,
    time_source="provider",
    received_at=1_700_000_000_500_000,
    published_at=1_700_000_001_000_000,
    via="socket",
    evidence=Evidence("raw.satoriex", 0, 7, "", "ab", "tls"),
    mapper="satoriex@1",
    settlement=Settlement(market="m1", outcome="o1"),
)
LATER = replace(EVENT, published_at=EVENT.published_at + 1)
OTHER = replace(EVENT, id="satoriex/main/settlement/m2/o1")


@dataclass(frozen=True, slots=True)
class Peer:
    name: str = "a peer"
    judges: bool = True
    tells_once: bool = True


def _seen(event: Event) -> tuple[str, Seen]:
    value = b"\x00\x00\x00\x00\x01" + encode_event(event)
    return seen(value, event.key.encode(), cloud_event_headers(event), Span("events", 0, 0, 1))


def _telling(*events: Event) -> Telling:
    return Telling(dict(map(_seen, events)), len(events))


def _nothing(_: Seen) -> Mapping[str, Any]:
    return {}


def test_events_that_differ_in_when_they_were_published_are_the_same() -> None:
    require_same_events(Peer(), _telling(EVENT), _telling(LATER), _nothing)


@pytest.mark.parametrize(
    "other",
    [
        replace(EVENT, received_at=EVENT.published_at),
        replace(EVENT, entity_sequence=2),
        replace(EVENT, evidence=Evidence("raw.satoriex", 0, 8, "", "ab", "tls")),
        replace(EVENT, settlement=Settlement(market="m1")),
        replace(EVENT, entity_id="m2"),
        replace(EVENT, occurred_at=EVENT.occurred_at + 1),
    ],
)
def test_an_event_that_differs_in_anything_else_is_refused(other: Event) -> None:
    with pytest.raises(SystemExit, match=f"a peer: {EVENT.id} is another event"):
        require_same_events(Peer(), _telling(EVENT), _telling(other), _nothing)


def test_the_field_that_differs_is_named() -> None:
    told = iter([{"id": "a", "via": "socket"}, {"id": "a", "via": "poll"}])
    with pytest.raises(SystemExit, match="via: expected socket, found poll"):
        require_same_events(
            Peer(),
            _telling(EVENT),
            _telling(replace(EVENT, via="poll")),
            lambda _: next(told),
        )


def test_an_event_less_is_refused() -> None:
    with pytest.raises(SystemExit, match=f"1 events lack, such as {OTHER.id}"):
        require_same_events(Peer(), _telling(EVENT, OTHER), _telling(EVENT), _nothing)


def test_an_event_too_many_is_refused() -> None:
    with pytest.raises(SystemExit, match=f"1 events too many, such as {OTHER.id}"):
        require_same_events(Peer(), _telling(EVENT), _telling(EVENT, OTHER), _nothing)


def test_an_event_told_again_is_refused_where_once_was_promised() -> None:
    again = _telling(EVENT, LATER)
    with pytest.raises(SystemExit, match="1 are told again"):
        require_same_events(Peer(), _telling(EVENT), again, _nothing)
    require_same_events(Peer(tells_once=False), _telling(EVENT), again, _nothing)


def test_a_peer_that_remembers_nothing_is_held_to_the_ids_alone() -> None:
    other = replace(EVENT, entity_sequence=2)
    require_same_events(Peer(judges=False), _telling(EVENT), _telling(other), _nothing)


def test_what_is_open_must_be_the_same() -> None:
    ours, theirs = _telling(EVENT), _telling(EVENT)
    require_same_open(Peer(), ours, theirs)
    theirs.open[b"satoriex/main/order/o1"] = b"{}"
    with pytest.raises(SystemExit, match="`open` differs"):
        require_same_open(Peer(), ours, theirs)


def test_the_short_backlog_is_held_against_how_the_long_one_begins() -> None:
    beyond = replace(OTHER, evidence=Evidence("raw.satoriex", 0, 8, "", "ab", "tls"))
    assert _telling(EVENT, beyond).within(8).events.keys() == {EVENT.id}

"""One line for each record of any topic that ``penstock tail`` reads. No I/O."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.printing import body_text, monies, plain
from penstock.trace import payload_of
from schemas.records import Coverage, Event, Raw, Rejected, Witness
from schemas.redrive import Asked
from schemas.times import millis_text

Record = Event | Raw | Rejected | Coverage | Witness | Asked


class Facets(msgspec.Struct, frozen=True):
    """What a record is filtered by; None where it has no such thing."""

    provider: str | None = None
    account: str | None = None
    type: str | None = None
    entity: str | None = None


def facets(record: Record) -> Facets:
    """Return what a record is filtered by."""
    match record:
        case Event():
            return Facets(record.provider, record.account, record.type, record.entity_id)
        case Raw():
            return Facets(record.provider, record.account, record.kind)
        case Rejected():
            return Facets(record.provider, record.account, record.reason, record.entity_id)
        case Coverage():
            return Facets(record.provider, record.account, record.kind)
        case Witness():
            return Facets(record.provider, record.account, record.via)
        case Asked():
            return Facets(type=record.action)


def takes(wanted: Facets, found: Facets) -> bool:
    """Return whether a record has all that is wanted; ``invoice`` is wanted of ``invoice.paid``."""
    return (
        wanted.provider in (None, found.provider)
        and wanted.account in (None, found.account)
        and wanted.entity in (None, found.entity)
        and (wanted.type is None or f"{found.type}.".startswith(f"{wanted.type}."))
    )


def line(record: Record, *, with_bytes: bool = False) -> str:
    """Return a record as one line for people, its time first."""
    match record:
        case Event():
            return _event(record)
        case Raw():
            said = f"{record.via} {record.route} {record.kind} {record.connection}"
            body = f"  {body_text(record.value, indent=-1)}" if with_bytes else ""
            size = f"{len(record.value)} bytes"
            return _line(record.received_at, record, f"{said}#{record.sequence}  {size}{body}")
        case Rejected():
            of = f"{record.topic}/{record.partition}/{record.offset}{record.part}"
            said = f"{record.reason}  {of}  {record.message}  attempt {record.attempt}"
            return _line(record.rejected_at, record, said)
        case Coverage():
            return _coverage(record)
        case Witness():
            said = f"{record.via} {record.authority} {record.verified}  {record.id}"
            return _line(record.published_at, record, said)
        case Asked():
            said = f"{record.action} of {len(record.parts)} of {record.chosen} parts by {record.by}"
            filters = " ".join(f"{name}={value}" for name, value in record.filters.items())
            return f"{millis_text(record.asked_at)}  {said}  {filters}  run {record.run}"


def _event(event: Event) -> str:
    words = (
        event.type,
        f"{event.entity_kind} {event.entity_id}",
        monies(payload_of(event)),
        f"change {event.change}" if event.is_fact else "",
        "stale" if event.is_stale else "",
        f"{event.via} {event.authority}",
    )
    return _line(event.published_at, event, "  ".join(word for word in words if word))


def _coverage(record: Coverage) -> str:
    span = f"{millis_text(record.from_at)} to {millis_text(record.to_at)}"
    by = f"by {record.recovered_by}" if record.recovered_by else record.cause
    whole = "" if record.complete or record.kind == "hole" else "  incomplete"
    said = f"{record.channel} {record.kind}  {span}  {by}{whole}"
    return _line(record.recorded_at, record, said)


def _line(at: int, record: Event | Raw | Rejected | Coverage | Witness, said: str) -> str:
    return f"{millis_text(at)}  {record.provider}/{record.account}  {said}"


def told(record: Record, *, with_bytes: bool) -> Mapping[str, Any]:
    """Return a record for JSON; bytes and their size, where it has them."""
    if not isinstance(record, Raw | Rejected):
        return plain(record)
    value = {"value": body_text(record.value, indent=-1)} if with_bytes else {}
    return {**plain(record), "size": len(record.value), **value}

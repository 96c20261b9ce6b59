"""``penstock trace``: an event, back to the provider's bytes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import Message

from penstock import trace_view
from penstock.addresses import (
    Named,
    RegistryOption,
    ServersOption,
    SettingsOption,
    StackOption,
    kafka,
    registry_url,
)
from penstock.avro_records import Records, headers
from penstock.bar import bar
from penstock.cluster import Cluster
from penstock.errors import OperatorError
from penstock.moments import SinceOption, UntilOption
from penstock.topic_reader import Piece, read, record_at, spans, whole
from penstock.trace import Trace, hold
from processors import settings as processors_settings
from processors.errors import OperatorError as ProcessorsError
from processors.mapper import Keys, Mapper
from processors.mappers import MAPPERS
from schemas import topics
from schemas.codec import raw_record
from schemas.connection import Connection
from schemas.records import Event, Position, Raw, Witness
from schemas.sealing import Unopened, opened


def command(  # noqa: PLR0913, PLR0917 - one for each option
    event_id: Annotated[str, typer.Argument(help="As `events` has it: provider/account/…")],
    servers: ServersOption = None,
    registry: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    with_bytes: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--bytes", help="The frame too: persons are in there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,  # noqa: FBT002
) -> None:
    """Follow an event from the provider's bytes to `events`, and verify its evidence again.

    With the settings of the processors (--settings) its signature is verified too, and its frame
    judged again. An id does not say where it lies: all of `events` is read, less with --since and
    --until, which bound when it was published. Exit code 1 where the evidence does not hold.
    """
    connection = kafka(Named(servers, stack, settings))
    read_event = Records(Event, url := registry_url(Named(registry, stack, settings)))
    bounds = Piece(since=since, until=until)
    message = _found(connection, event_id, bounds)
    event = read_event(message)
    raw = _raw(connection, event)
    trace = Trace(
        event=event,
        at=Position(topics.EVENTS, message.partition() or 0, message.offset() or 0),
        raw=raw,
        held=hold(event, raw, _mapper(event), _keys(connection, settings, event)),
        witnesses=tuple(_witnesses(connection, Records(Witness, url), event)),
        entity=tuple(_entity(connection, read_event, message, bounds)),
    )
    if as_json:
        typer.echo(json.dumps(trace_view.told(trace, with_bytes=with_bytes)))
    else:
        trace_view.show(trace, with_bytes=with_bytes)
    if trace.held.is_false:
        raise typer.Exit(1)


def _found(connection: Connection, event_id: str, bounds: Piece) -> Message:
    wanted = ("ce_id", event_id.encode())
    places = spans(connection, [topics.EVENTS], bounds)
    with bar(f"looking through {topics.EVENTS}") as told:
        for message in read(connection, places, told):
            if wanted in (message.headers() or ()):
                return message
    raise OperatorError(
        f"{event_id} is not on {topics.EVENTS}: it may lie outside --since and --until, be "
        "rejected (`penstock rejected list`), or be misspelt"
    )


def _raw(connection: Connection, event: Event) -> Raw | None:
    told = event.evidence
    found = record_at(connection, Position(told.topic, told.partition, told.offset))
    return None if found is None else raw_record(headers(found), found.value() or b"")


def _mapper(event: Event) -> Mapper:
    try:
        return MAPPERS[event.provider]
    except KeyError as error:
        raise OperatorError(
            f"{event.mapper} wrote it: this penstock is older, upgrade it"
        ) from error


def _keys(connection: Connection, settings: Path | None, event: Event) -> Keys | str:
    """Return what verifies an account's signatures, minted keys too; or why that is not known."""
    try:
        told = processors_settings.load(settings)
        ring = processors_settings.key_ring(told)
        sealed_with = told.sealed_with()
        if sealed_with is not None:
            for message in whole(connection, topics.KEYS):
                if value := message.value():
                    ring.add(opened((message.key() or b"").decode(), value, sealed_with))
    except (ProcessorsError, Unopened) as error:
        return str(error)
    return ring.of(event.provider, event.account)


def _witnesses(
    connection: Connection, read_witness: Records[Witness], event: Event
) -> Iterator[Witness]:
    count = Cluster(connection).partitions([topics.WITNESSES])[topics.WITNESSES]
    piece = Piece([topics.partition_of(event.id, count)], since=event.published_at)
    for message in read(connection, spans(connection, [topics.WITNESSES], piece)):
        if message.key() == event.id.encode():
            yield read_witness(message)


def _entity(
    connection: Connection, read_event: Records[Event], like: Message, bounds: Piece
) -> list[Event]:
    """Return the facts that share a message's key: they lie in its partition."""
    piece = Piece([like.partition() or 0], bounds.since, bounds.until)
    with bar("reading what else its entity told") as told:
        messages = read(connection, spans(connection, [topics.EVENTS], piece), told)
        events = (read_event(one) for one in messages if one.key() == like.key())
        return sorted((one for one in events if one.is_fact), key=lambda one: one.entity_sequence)

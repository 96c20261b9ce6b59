"""``penstock tail``: what is written on a topic, as it is written."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Final

import typer
from confluent_kafka import Message

from ingest.feeds import FEEDS
from penstock.addresses import (
    Named,
    RegistryOption,
    ServersOption,
    SettingsOption,
    StackOption,
    kafka,
    registry_url,
)
from penstock.avro_records import Foreign, Records, headers, place
from penstock.errors import OperatorError
from penstock.moments import SinceOption
from penstock.printing import printable
from penstock.tail_view import Facets, Record, facets, line, takes, told
from penstock.topic_reader import Piece, Span, follow, read, spans
from schemas import topics
from schemas.codec import raw_record
from schemas.connection import Connection
from schemas.records import Coverage, Event, Rejected, Witness
from schemas.redrive import decode_asked


class Tailed(StrEnum):
    """What can be followed; ``raw`` is every provider's, or that of ``--provider``."""

    EVENTS = topics.EVENTS
    RAW = "raw"
    REJECTED = topics.REJECTED
    COVERAGE = topics.COVERAGE
    WITNESSES = topics.WITNESSES
    AUDIT = topics.AUDIT


Decode = Callable[[Message], Record]

_AVRO: Final[Mapping[Tailed, Callable[[str], Decode]]] = {
    Tailed.EVENTS: lambda registry: Records(Event, registry),
    Tailed.REJECTED: lambda registry: Records(Rejected, registry),
    Tailed.COVERAGE: lambda registry: Records(Coverage, registry),
    Tailed.WITNESSES: lambda registry: Records(Witness, registry),
}
"""Those for whose records the registry is asked."""


def command(  # noqa: PLR0913, PLR0917 - one for each option
    what: Annotated[Tailed, typer.Argument(metavar="TOPIC", help=f"{', '.join(Tailed)}.")],
    servers: ServersOption = None,
    registry: RegistryOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    provider: Annotated[str | None, typer.Option(help="Of this provider only.")] = None,
    account: Annotated[str | None, typer.Option(help="Of this account only.")] = None,
    type_: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="Events: type, or the first half of it; raw, coverage: kind; rejected: reason; "
            "witnesses: path.",
        ),
    ] = None,
    entity: Annotated[str | None, typer.Option(help="About this entity only, by its id.")] = None,
    last: Annotated[int, typer.Option(min=0, help="Begin with the last so many.")] = 10,
    since: SinceOption = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning")] = False,  # noqa: FBT002
    follows: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--follow/--no-follow", help="Go on with what comes, until Ctrl-C.")
    ] = True,
    with_bytes: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--bytes", help="Of raw, the frames too: persons are in there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per record.")] = False,  # noqa: FBT002
) -> None:
    """Print the records of a topic, one line each, and go on until Ctrl-C.

    The last 10 first; --last, --since or --from-beginning say otherwise. Of the last ones those are
    shown that the filters take. What a provider said is shown with --bytes alone.
    """
    connection = kafka(Named(servers, stack, settings))
    decode = _decoder(what, Named(registry, stack, settings))
    wanted = Facets(provider, account, type_, entity)
    count = None if from_beginning or since else last
    places = spans(connection, _topics(what, provider), Piece(since=since, last=count))
    try:
        for message in _messages(connection, places, count, follows=follows):
            _print(message, decode, wanted, with_bytes=with_bytes, as_json=as_json)
    except KeyboardInterrupt:
        return


def _topics(what: Tailed, provider: str | None) -> Collection[str]:
    if what is not Tailed.RAW:
        return (what.value,)
    if provider is not None and provider not in FEEDS:
        raise OperatorError(f"no provider {provider!r}: choose one of {', '.join(sorted(FEEDS))}")
    return [topics.raw(one) for one in ([provider] if provider else FEEDS)]


def _decoder(what: Tailed, named: Named) -> Decode:
    if made := _AVRO.get(what):
        return made(registry_url(named))
    return _raw if what is Tailed.RAW else _asked


def _raw(message: Message) -> Record:
    return _ours(message, lambda value: raw_record(headers(message), value))


def _asked(message: Message) -> Record:
    return _ours(message, decode_asked)


def _ours(message: Message, read_value: Callable[[bytes], Record]) -> Record:
    try:
        return read_value(message.value() or b"")
    except ValueError as error:
        raise Foreign(f"{place(message)}: {error}: it was not written by Penstock") from error


def _messages(
    connection: Connection, places: Collection[Span], last: int | None, *, follows: bool
) -> Iterator[Message]:
    if last is None:
        yield from read(connection, places)
    elif last:
        yield from sorted(read(connection, places), key=lambda one: one.timestamp()[1])[-last:]
    if follows:
        yield from follow(connection, places)


def _print(
    message: Message,
    decode: Decode,
    wanted: Facets,
    *,
    with_bytes: bool,
    as_json: bool,
) -> None:
    try:
        record = decode(message)
    except Foreign as error:
        typer.echo(f"penstock: {error}", err=True)
        return
    if not takes(wanted, facets(record)):
        return
    if as_json:
        at = {"partition": message.partition(), "offset": message.offset()}
        shown = json.dumps({**told(record, with_bytes=with_bytes), "at": at})
    else:
        shown = printable(line(record, with_bytes=with_bytes)).replace("\n", "\\n")
    typer.echo(shown)

"""``penstock topics``: the topics of a deployment, as ``schemas.topics`` says."""

from typing import Annotated, Final

import typer

from ingest.feeds import FEEDS
from penstock.addresses import (
    Named,
    ServersOption,
    SettingsOption,
    StackOption,
    kafka,
)
from penstock.cluster import Cluster
from schemas.topics import Topic, all_topics

app: Final = typer.Typer(help="Create and verify the topics.", no_args_is_help=True)

PartitionsOption = Annotated[
    int, typer.Option("--partitions", min=1, help="Of every topic, for life.")
]
ReplicationOption = Annotated[
    int, typer.Option("--replication", min=1, help="How many brokers hold each partition.")
]


@app.command(epilog="Example: penstock topics apply --bootstrap-servers kafka:9092 --replication 3")
def apply(
    servers: ServersOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    partitions: PartitionsOption = 12,
    replication: ReplicationOption = 1,
) -> None:
    """Create the topics that are missing, and mend settings that differ.

    Refuses, and changes nothing, where a partition count differs.
    """
    cluster = Cluster(kafka(Named(servers, stack, settings)))
    done = cluster.apply(_wanted(partitions, replication))
    for line in done.lines:
        typer.echo(f"{line}: done")
    if not done.lines:
        typer.echo("all topics are as they must be")


@app.command(epilog="Example: penstock topics check --stack default --partitions 4")
def check(
    servers: ServersOption = None,
    stack: StackOption = None,
    settings: SettingsOption = None,
    partitions: PartitionsOption = 12,
    replication: ReplicationOption = 1,
) -> None:
    """List what differs, one line each, and exit 1 if anything does."""
    cluster = Cluster(kafka(Named(servers, stack, settings)))
    found = cluster.compare(_wanted(partitions, replication))
    for line in found.lines:
        typer.echo(line)
    if found.lines:
        raise typer.Exit(1)
    typer.echo("all topics are as they must be")


def _wanted(partitions: int, replication: int) -> tuple[Topic, ...]:
    return all_topics(FEEDS, partitions=partitions, replication=replication)

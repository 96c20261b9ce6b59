"""Kafka nodes (KRaft, broker and controller in one) for this machine: one, or a cluster.

https://kafka.apache.org/documentation/#brokerconfigs
"""

import base64
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from penstock.certificates import Identity
from penstock.child import Child
from penstock.errors import OperatorError
from penstock.jars import Jars
from penstock.leash import Leash
from penstock.ports import LOOPBACK
from schemas.connection import MECHANISM, Connection
from schemas.topics import MAX_RAW_BYTES

_LEAN: Final = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Starts sooner, in less memory, and pauses for 15 to 20 ms to collect garbage."""
_AS_SHIPPED: Final = (
    *("-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"),
    *("-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"),
)
"""What of ``kafka-server-start.sh`` and ``kafka-run-class.sh`` bears on speed."""

_SAFE_REPLICATION: Final = 3
"""With three replicas, two must have a record before it counts as written."""

SETTINGS: Final = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # Above every topic's own limit, which is the one that counts.
    "message.max.bytes": str(2 * MAX_RAW_BYTES),
    "replica.fetch.max.bytes": str(2 * MAX_RAW_BYTES),
    "group.initial.rebalance.delay.ms": "0",
    # Fewer files to make and open before the first commit; 50 each by default.
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.num.partitions": "5",
    # A killed node may come back as soon as it can, and is given up as soon.
    "broker.session.timeout.ms": "3000",
    "unclean.leader.election.enable": "false",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster, by its loopback ports."""

    number: int
    """From 1."""
    clients: int
    controller: int


def replication(brokers: int) -> int:
    """Return how many copies a cluster of so many brokers keeps."""
    return min(brokers, _SAFE_REPLICATION)


def copies(brokers: int) -> Mapping[str, str]:
    """Return a broker's settings for its own topics: offsets and transactions."""
    wanted = replication(brokers)
    enough = "2" if wanted >= _SAFE_REPLICATION else "1"
    return {
        "default.replication.factor": str(wanted),
        "min.insync.replicas": enough,
        "offsets.topic.replication.factor": str(wanted),
        "transaction.state.log.replication.factor": str(wanted),
        "transaction.state.log.min.isr": enough,
    }


@dataclass(frozen=True, slots=True)
class Site:
    """Where a cluster lives, and with what it runs."""

    directory: Path
    java: str
    jars: Jars
    leash: Leash | None
    identity: Identity | None
    """None: everybody on this machine may connect, in the clear."""
    as_shipped: bool = False
    """Whether the brokers' JVMs are set as Kafka's own scripts set them."""


def brokers(site: Site, nodes: Sequence[Node]) -> list[Child]:
    """Return the nodes of one cluster, not started, each with files of its own."""
    cluster = _cluster_id(site.directory)
    return [_broker(site, node, nodes, cluster) for node in nodes]


def _broker(site: Site, node: Node, nodes: Sequence[Node], cluster: str) -> Child:
    name = "kafka" if len(nodes) == 1 else f"kafka-{node.number}"
    properties = site.directory / f"{name}.properties"
    properties.touch(mode=0o600)
    told = {**SETTINGS, **copies(len(nodes)), **_places(node, nodes)}
    told["log.dirs"] = str(site.directory / name)
    told |= site.identity.broker_settings() if site.identity else {}
    properties.write_text("".join(f"{key}={value}\n" for key, value in told.items()))
    _format(site, site.directory / name, properties, cluster)
    address = f"{LOOPBACK}:{node.clients}"
    connection = site.identity.connection(address) if site.identity else Connection(address)
    return Child(
        name="Kafka" if len(nodes) == 1 else f"Kafka {node.number}",
        command=_program(site, "kafka.Kafka", str(properties)),
        log=site.directory / f"{name}.log",
        port=node.clients,
        serves=lambda: answers(connection, len(nodes)),
        leash=site.leash,
    )


def answers(kafka: Connection, brokers: int = 1, seconds: float = 1.0) -> bool:
    """Whether a cluster tells at least a majority of so many brokers to a client."""
    client = AdminClient({**kafka.for_librdkafka(), "log_level": 0})
    try:
        return len(client.list_topics(timeout=seconds).brokers) > brokers // 2
    except KafkaException:
        return False


def _cluster_id(directory: Path) -> str:
    """Return what the nodes of this directory know each other by: random, made once."""
    path = directory / "cluster-id"
    if not path.is_file():
        path.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    return path.read_text()


def _places(node: Node, nodes: Sequence[Node]) -> Mapping[str, str]:
    voters = ",".join(f"{each.number}@{LOOPBACK}:{each.controller}" for each in nodes)
    return {
        "node.id": str(node.number),
        "listeners": f"CLIENTS://{LOOPBACK}:{node.clients},"
        f"CONTROLLER://{LOOPBACK}:{node.controller}",
        "advertised.listeners": f"CLIENTS://{LOOPBACK}:{node.clients}",
        "inter.broker.listener.name": "CLIENTS",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": voters,
    }


def _program(site: Site, name: str, *words: str) -> list[str]:
    jvm = _AS_SHIPPED if site.as_shipped else _LEAN
    return [site.java, *jvm, "-Dlog4j2.level=WARN", "-cp", site.jars.kafka, name, *words]


def _format(site: Site, files: Path, properties: Path, cluster: str) -> None:
    """Give an empty directory the cluster's id, and the cluster its first user."""
    if (files / "meta.properties").is_file():
        return
    # One word: an id may begin with a dash, and would be read as an option.
    words = ["format", f"--cluster-id={cluster}", "-c", str(properties)]
    words += _first_user(site.identity)
    told = subprocess.run(
        _program(site, "kafka.tools.StorageTool", *words),
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode != 0:
        last = (told.stdout + told.stderr).strip().splitlines()[-1:]
        raise OperatorError(f"{files}: Kafka could not prepare its files: {''.join(last)}")


def _first_user(identity: Identity | None) -> Iterator[str]:
    # The password is this stack's own, made for it, and good for nothing else.
    if identity:
        yield "--add-scram"
        yield f"{MECHANISM}=[name={identity.username},password={identity.password}]"

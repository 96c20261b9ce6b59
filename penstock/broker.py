"""One Kafka node (KRaft, broker and controller in one) for this machine.

https://kafka.apache.org/documentation/#brokerconfigs
"""

import base64
import subprocess
import uuid
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from penstock.child import Child
from penstock.errors import OperatorError
from penstock.jars import Jars
from penstock.leash import Leash
from penstock.ports import LOOPBACK
from schemas.topics import MAX_RAW_BYTES

_LEAN: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN")

SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # Above every topic's own limit, which is the one that counts.
    "message.max.bytes": str(2 * MAX_RAW_BYTES),
    "replica.fetch.max.bytes": str(2 * MAX_RAW_BYTES),
    # One node: nothing to copy to, nobody to wait for.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # Fewer files to make and open before the first commit; 50 each by default.
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.num.partitions": "5",
    # A killed node may come back as soon as it can: nobody else could lead.
    "broker.session.timeout.ms": "3000",
    "unclean.leader.election.enable": "false",
}


def broker(
    directory: Path, java: str, jars: Jars, ports: tuple[int, int], leash: Leash | None
) -> Child:
    """Return a broker, not started, with its settings and files in a directory.

    ``ports``: for clients, and for its own controller.
    """
    properties = directory / "kafka.properties"
    properties.write_text(_properties(directory, *ports))
    address = f"{LOOPBACK}:{ports[0]}"
    _format(directory, java, jars, properties)
    return Child(
        name="Kafka",
        command=[java, "-Xmx512m", *_LEAN, "-cp", jars.kafka, "kafka.Kafka", str(properties)],
        log=directory / "kafka.log",
        port=ports[0],
        serves=lambda: answers(address),
        leash=leash,
    )


def answers(bootstrap_servers: str, seconds: float = 1.0) -> bool:
    """Whether a cluster tells its brokers to a client."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=seconds).brokers)
    except KafkaException:
        return False


def _properties(directory: Path, clients: int, controller: int) -> str:
    settings = {
        **SETTINGS,
        "listeners": f"PLAINTEXT://{LOOPBACK}:{clients},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{clients}",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "log.dirs": str(directory / "kafka"),
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _format(directory: Path, java: str, jars: Jars, properties: Path) -> None:
    """Give an empty directory a cluster id of its own."""
    if (directory / "kafka" / "meta.properties").is_file():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = [java, *_LEAN, "-cp", jars.kafka, "kafka.tools.StorageTool", "format"]
    told = subprocess.run(
        # One word: an id may begin with a dash, and would be read as an option.
        [*tool, f"--cluster-id={cluster}", "-c", str(properties)],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode != 0:
        last = (told.stdout + told.stderr).strip().splitlines()[-1:]
        raise OperatorError(f"{directory}: Kafka could not prepare its files: {''.join(last)}")

"""Ports: asked for, kept, or any; and somebody who is faster."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from penstock.child import Child
from penstock.errors import OperatorError
from penstock.launch import Makers, Ports, Wanted, started
from penstock.ports import LOOPBACK, free, is_free
from penstock.server import Server

LISTEN = """
import socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    listening.accept()
"""


def listener(directory: Path, port: int) -> Child:
    """Return a server that serves once its port takes a connection."""

    def serves() -> bool:
        with socket.create_connection((LOOPBACK, port)):
            return True

    return Child(
        name=f"listener {port}",
        command=[sys.executable, "-S", "-c", LISTEN, str(port)],
        log=directory / f"{port}.log",
        serves=serves,
        port=port,
    )


def makers(directory: Path, chosen: list[Ports]) -> Makers:
    def kafka(ports: Ports) -> list[Child]:
        chosen.append(ports)
        return [listener(directory, port) for port in ports.kafka]

    return Makers(kafka, lambda ports: listener(directory, ports.registry))


def test_somebody_who_takes_a_port_first_is_avoided(tmp_path: Path) -> None:
    chosen: list[Ports] = []
    ordinary = makers(tmp_path, chosen)
    with socket.socket() as faster:

        def kafka(ports: Ports) -> Sequence[Server]:
            if not chosen:
                faster.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                faster.bind((LOOPBACK, ports.kafka[0]))
                faster.listen()
            return ordinary.kafka(ports)

        ports, (broker,), registry = started(Makers(kafka, ordinary.registry), Wanted())
    assert len(chosen) == 2
    assert ports == chosen[1]
    broker.terminate()
    registry.terminate()


def test_server_that_cannot_start_is_told_and_takes_the_other_with_it(tmp_path: Path) -> None:
    chosen: list[Ports] = []
    ordinary = makers(tmp_path, chosen)

    def broken(ports: Ports) -> list[Child]:
        chosen.append(ports)
        command = [sys.executable, "-S", "-c", "import sys; sys.exit('no such disk')"]
        return [Child("Kafka", command, tmp_path / "kafka.log", lambda: False, ports.kafka[0])]

    with pytest.raises(OperatorError, match="Kafka died while it started: no such disk"):
        started(Makers(broken, ordinary.registry), Wanted())
    (ports,) = chosen
    assert is_free(ports.registry)


def test_ports_of_the_last_time_are_kept(tmp_path: Path) -> None:
    kafka, controller, registry = free(3)
    last_time = Ports((kafka,), (controller,), registry)
    ports, (broker,), server = started(makers(tmp_path, []), Wanted(), last_time)
    broker.kill()
    server.kill()
    assert ports == last_time


def test_several_brokers_get_ports_of_their_own(tmp_path: Path) -> None:
    ports, brokers, registry = started(makers(tmp_path, []), Wanted(brokers=3))
    for server in (*brokers, registry):
        server.kill()
    assert len(brokers) == len(ports.kafka) == len(ports.controllers) == 3
    assert len(set(ports.all())) == 7


def test_port_asked_for_is_used(tmp_path: Path) -> None:
    (wanted,) = free(1)
    ports, (broker,), registry = started(makers(tmp_path, []), Wanted(registry=wanted))
    broker.kill()
    registry.kill()
    assert ports.registry == wanted

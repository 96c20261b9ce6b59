"""Ports for servers: nobody is given one that somebody was given already."""

import socket
import subprocess
import sys

import pytest

from penstock.errors import OperatorError
from penstock.ports import LOOPBACK, free, is_free, require_free

MANY = 300
"""Two draws of so many out of ten thousand have nine in common, as a rule."""

NEIGHBOUR = f"""
import sys
from penstock.ports import free
print(*free({MANY}), flush=True)
sys.stdin.read()
"""


def listener(port: int) -> socket.socket:
    """Return what listens as servers do: Kafka, the registry, asyncio."""
    return socket.create_server((LOOPBACK, port))


def test_two_processes_are_never_given_the_same_port() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NEIGHBOUR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as neighbour:
        assert neighbour.stdout is not None
        theirs = {int(port) for port in neighbour.stdout.readline().split()}
        ours = free(MANY)
        neighbour.communicate()
    assert len(theirs) == len(set(ours)) == MANY
    assert theirs.isdisjoint(ours)


def test_a_port_that_was_given_is_for_a_server_that_comes_back_to_it() -> None:
    (port,) = free(1)
    for _ in range(2):
        assert is_free(port)
        with listener(port) as server, socket.create_connection((LOOPBACK, port)):
            accepted, _ = server.accept()
            accepted.close()  # The server's end first: it lingers.
            assert not is_free(port)


def test_nobody_answers_on_a_port_that_was_given_until_a_server_does() -> None:
    (port,) = free(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))


def test_a_port_that_is_taken_is_told_to_who_asked_for_it() -> None:
    (port,) = free(1)
    assert require_free(port, "Kafka") == port
    with listener(port), pytest.raises(OperatorError, match=f":{port} is taken, Kafka cannot"):
        require_free(port, "Kafka")

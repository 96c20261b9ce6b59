"""Loopback ports for servers that must find their port again after a restart."""

import itertools
import random
import socket
from typing import Final

import psutil

from penstock.errors import OperatorError

LOOPBACK: Final = "127.0.0.1"

_OURS: Final = range(20_000, 30_000)
"""Below the system's own range: an outgoing connection cannot take the port of a
server while that restarts. https://www.kernel.org/doc/html/latest/networking/ip-sysctl.html
"""


def is_free(port: int) -> bool:
    with socket.socket() as tried:
        # As servers do: what lingers of an ended connection is no obstacle.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free(count: int) -> list[int]:
    """Return different ports that no other call of this returns while this process lives.

    Each stays bound here, so that nobody else finds it free, and is never listened on, so
    that servers, which reuse addresses, may. Where a stack is started, somebody who does not
    ask here may yet be faster.
    """
    found = itertools.islice(filter(_is_held, random.sample(_OURS, len(_OURS))), count)
    return list(found)


def _is_held(port: int) -> bool:
    """Hold a port until this process ends; False if it is somebody's already."""
    held = socket.socket()
    try:
        held.bind((LOOPBACK, port))  # Without the option: a port that is held is taken.
    except OSError:
        held.close()
        return False
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.detach()
    return True


def listens(pid: int, port: int) -> bool:
    """Whether this very process listens on a port, and not one that was faster."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(
        open_.status == psutil.CONN_LISTEN and open_.laddr.port == port for open_ in connections
    )


def require_free(port: int, what: str) -> int:
    """Return a port that was asked for; ``OperatorError`` if it is taken."""
    if not is_free(port):
        raise OperatorError(
            f"{LOOPBACK}:{port} is taken, {what} cannot listen there: "
            "end what listens, or choose another port"
        )
    return port

"""What a local stack can do with its broker and its registry, wherever they run."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from penstock.errors import OperatorError
from penstock.stack_record import Trace


class Servers(Protocol):
    """What can be taken away and brought back: one server, or a whole cluster."""

    def start(self) -> None:
        """Start it, on the same port and files as before; it does not serve yet."""

    def until_serving(self, seconds: float = 60.0) -> None:
        """Return once it serves; ``OperatorError`` if it dies, or takes longer."""

    def terminate(self) -> None:
        """End it in order."""

    def kill(self) -> None:
        """End it at once, as a power cut would."""


class Server(Servers, Protocol):
    """A broker or a registry."""

    def trace(self) -> Trace:
        """Return how another process finds it."""


@dataclass(frozen=True, slots=True)
class Together:
    """Several servers, taken away and brought back as one."""

    servers: Sequence[Server]

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def until_serving(self, seconds: float = 60.0) -> None:
        for server in self.servers:
            server.until_serving(seconds)

    def terminate(self) -> None:
        # At once: the last broker of a cluster would wait for the others.
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(lambda server: server.terminate(), self.servers))

    def kill(self) -> None:
        for server in self.servers:
            server.kill()


_NOT_OURS: Final = (
    "this server was given by PENSTOCK_BOOTSTRAP_SERVERS and PENSTOCK_REGISTRY_URL: "
    "it is not ours to stop; unset both to start a local one"
)


class Elsewhere:
    """A server that somebody else runs: it is used, never stopped."""

    def start(self) -> None:
        raise OperatorError(_NOT_OURS)

    def until_serving(self, seconds: float = 60.0) -> None:  # noqa: ARG002
        raise OperatorError(_NOT_OURS)

    def terminate(self) -> None:
        raise OperatorError(_NOT_OURS)

    def kill(self) -> None:
        raise OperatorError(_NOT_OURS)

    def trace(self) -> Trace:
        raise OperatorError(_NOT_OURS)

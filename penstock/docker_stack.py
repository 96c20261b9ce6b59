"""The same broker and registry from images, where a Docker engine runs: ``STACK=docker``.

https://hub.docker.com/r/apache/kafka, https://hub.docker.com/r/apicurio/apicurio-registry-mem
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from threading import Event
from time import monotonic
from types import ModuleType
from typing import Any, Final

from penstock.broker import SETTINGS, answers, copies
from penstock.errors import OperatorError
from penstock.ports import LOOPBACK
from penstock.registry_server import registry_url
from penstock.stack_record import DockerContainer
from schemas.connection import Connection
from schemas.registry import Registry

_KAFKA_IMAGE: Final = "apache/kafka:4.1.0"
_REGISTRY_IMAGE: Final = "apicurio/apicurio-registry-mem:2.6.13.Final"
_LOOK_AGAIN: Final = 0.2


@dataclass(slots=True)
class DockerServer:
    """A container that listens on one loopback port."""

    name: str
    wanted: Any
    """What testcontainers starts."""
    serves: Callable[[], bool]
    container: Any = None
    """What the engine runs; None before the first start."""

    def start(self) -> None:
        with _engine():
            if self.container is None:
                self.container = self.wanted.start().get_wrapped_container()
            else:
                self.container.start()

    def until_serving(self, seconds: float = 60.0) -> None:
        limit = monotonic() + seconds
        while not self.serves():
            with _engine():
                self.container.reload()
            if self.container.status == "exited" or monotonic() > limit:
                raise OperatorError(
                    f"{self.name} does not serve (its container is {self.container.status}): "
                    f"see `docker logs {self.container.short_id}`"
                )
            Event().wait(_LOOK_AGAIN)

    def terminate(self) -> None:
        with _engine():
            self.container.stop()

    def kill(self) -> None:
        if self.container is not None:
            with _engine():
                self.container.kill()

    def trace(self) -> DockerContainer:
        return DockerContainer(self.container.id)


def broker(port: int, *, outlives: bool) -> DockerServer:
    """Return a Kafka node, not started; ``outlives``: it stays when this process ends."""
    listeners = {
        "node.id": "1",
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:{port + 1}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.quorum.voters": f"1@localhost:{port + 1}",
    }
    told = {**SETTINGS, **copies(1), **listeners}
    variables = {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in told.items()}
    wanted = _container(_KAFKA_IMAGE, (port, port), variables, outlives=outlives)
    return DockerServer("Kafka", wanted, lambda: answers(Connection(f"{LOOPBACK}:{port}")))


def registry(port: int, *, outlives: bool) -> DockerServer:
    """Return a registry, not started; it keeps its schemas as long as its container."""
    database = {"REGISTRY_DATASOURCE_URL": "jdbc:h2:file:/tmp/registry/db;WRITE_DELAY=0"}
    wanted = _container(_REGISTRY_IMAGE, (8080, port), database, outlives=outlives)
    asked = Registry(registry_url(port), seconds=1.0)
    return DockerServer("the registry", wanted, asked.answers)


def is_alive(trace: DockerContainer) -> bool:
    """Whether a container runs; an engine that is away runs nothing."""
    try:
        with _engine() as docker:
            return bool(docker.from_env().containers.get(trace.id).status == "running")
    except OperatorError:
        return False


def remove(trace: DockerContainer) -> None:
    """End a container and throw it away."""
    with _engine() as docker:
        try:
            docker.from_env().containers.get(trace.id).remove(force=True, v=True)
        except docker.errors.NotFound:
            return


def _container(
    image: str, port: tuple[int, int], variables: dict[str, str], *, outlives: bool
) -> Any:  # noqa: ANN401 - an extra, so its types are not there for everybody
    inside, outside = port
    with _engine():
        # Its reaper removes containers when this process ends.
        import_module("testcontainers.core.config").testcontainers_config.ryuk_disabled = outlives
        made = import_module("testcontainers.core.container").DockerContainer(image)
    made.ports = {inside: (LOOPBACK, outside)}  # Off every other interface.
    return made.with_envs(**variables)


@contextmanager
def _engine() -> Iterator[ModuleType]:
    """Give the engine's client, and translate what it raises."""
    try:
        docker = import_module("docker")
        import_module("testcontainers.core.container")
    except ModuleNotFoundError as error:
        raise OperatorError(
            "STACK=docker needs testcontainers: pip install 'penstock[docker]'"
        ) from error
    try:
        yield docker
    except docker.errors.DockerException as error:
        raise OperatorError(
            f"STACK=docker, and Docker refuses ({str(error).splitlines()[0]}): start its "
            "engine, or unset STACK to use Java"
        ) from error

"""Starts brokers and a registry on loopback ports: all, or none."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from penstock import ports
from penstock.errors import OperatorError
from penstock.server import Server

_TRIES: Final = 3
"""How often ports are chosen anew because somebody was faster."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a stack listens on the loopback address."""

    kafka: tuple[int, ...]
    """Of each broker, for clients."""
    controllers: tuple[int, ...]
    """Of each broker, for the others."""
    registry: int

    def all(self) -> tuple[int, ...]:
        return *self.kafka, *self.controllers, self.registry


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked for."""

    kafka: int | None = None
    """Port of the first broker; None: any that is free."""
    registry: int | None = None
    """Port; None: any that is free."""
    brokers: int = 1
    secured: bool = False
    """Whether Kafka speaks TLS, and asks for a user and a password."""
    as_shipped: bool = False
    """Whether Kafka's JVM is set as its own scripts set it, or to start soon and small."""


@dataclass(frozen=True, slots=True)
class Makers:
    """How the servers are made, by Java or by Docker."""

    kafka: Callable[[Ports], Sequence[Server]]
    registry: Callable[[Ports], Server]


def started(
    makers: Makers, wanted: Wanted, before: Ports | None = None, tries: int = _TRIES
) -> tuple[Ports, tuple[Server, ...], Server]:
    """Return ports, brokers and registry once all serve; else none runs.

    ``before``: the ports of the last time. Where somebody took a port between its choice
    and its use, others are chosen.
    """
    chosen = _chosen(wanted, before)
    with ExitStack() as undo:
        try:
            registry = makers.registry(chosen)
            undo.callback(registry.kill)
            registry.start()
            brokers = tuple(makers.kafka(chosen))
            for broker in brokers:
                undo.callback(broker.kill)
                broker.start()
            for server in (*brokers, registry):
                server.until_serving()
        except OperatorError:
            undo.close()
            if tries == 1 or all(map(ports.is_free, chosen.all())):
                raise
            return started(makers, wanted, before, tries - 1)
        undo.pop_all()
    return chosen, brokers, registry


def _chosen(wanted: Wanted, before: Ports | None) -> Ports:
    """Return the ports asked for, else those of the last time, else any."""
    any_free = ports.free(2 * wanted.brokers + 1)
    last_time = before.all() if before else any_free
    found = [
        last if ports.is_free(last) else other
        for last, other in zip(last_time, any_free, strict=True)
    ]
    if wanted.kafka:
        found[0] = ports.require_free(wanted.kafka, "Kafka")
    if wanted.registry:
        found[-1] = ports.require_free(wanted.registry, "the registry")
    *nodes, registry = found
    return Ports(tuple(nodes[: wanted.brokers]), tuple(nodes[wanted.brokers :]), registry)

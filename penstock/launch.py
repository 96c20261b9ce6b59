"""Starts a broker and a registry on loopback ports: both, or neither."""

from collections.abc import Callable
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

    kafka: int
    controller: int
    registry: int

    def all(self) -> tuple[int, int, int]:
        return self.kafka, self.controller, self.registry


@dataclass(frozen=True, slots=True)
class Wanted:
    """Ports that somebody asked for; None: any that is free."""

    kafka: int | None = None
    registry: int | None = None


@dataclass(frozen=True, slots=True)
class Makers:
    """How the two servers are made, by Java or by Docker."""

    kafka: Callable[[Ports], Server]
    registry: Callable[[Ports], Server]


def started(
    makers: Makers, wanted: Wanted, before: tuple[int, int, int] = (0, 0, 0), tries: int = _TRIES
) -> tuple[Ports, Server, Server]:
    """Return ports, broker and registry once both serve; else neither runs.

    ``before``: the ports of the last time. Where somebody took a port between its choice
    and its use, others are chosen.
    """
    chosen = _chosen(wanted, before)
    with ExitStack() as undo:
        try:
            registry = makers.registry(chosen)
            undo.callback(registry.kill)
            registry.start()
            kafka = makers.kafka(chosen)
            undo.callback(kafka.kill)
            kafka.start()
            kafka.until_serving()
            registry.until_serving()
        except OperatorError:
            undo.close()
            if tries == 1 or all(map(ports.is_free, chosen.all())):
                raise
            return started(makers, wanted, before, tries - 1)
        undo.pop_all()
    return chosen, kafka, registry


def _chosen(wanted: Wanted, before: tuple[int, int, int]) -> Ports:
    """Return the ports asked for, else those of the last time, else any."""
    kafka, controller, registry = (
        last if last and ports.is_free(last) else other
        for last, other in zip(before, ports.free(3), strict=True)
    )
    if wanted.kafka:
        kafka = ports.require_free(wanted.kafka, "Kafka")
    if wanted.registry:
        registry = ports.require_free(wanted.registry, "the registry")
    return Ports(kafka, controller, registry)

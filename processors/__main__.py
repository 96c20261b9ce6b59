"""`python -m processors --settings penstock.toml`: raw topics in, canonical topics out."""

import argparse
import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import faust
import structlog

from processors.app import application
from processors.errors import OperatorError
from processors.key_log import KeyLog
from processors.late_keys import LateKeys
from processors.mapper import Mapper
from processors.mappers import MAPPERS
from processors.settings import KeyRing, Settings, key_ring, load
from processors.store import Buffers
from processors.task import Work
from schemas import topics
from schemas.avro_reader import Reader
from schemas.codec import confluent
from schemas.connection import Connection
from schemas.records import Rejected
from schemas.registry import Registry, RegistryError, schema_ids

_MISTAKE = 2


def main() -> None:
    path = _parser().parse_args().settings
    try:
        settings = load(path)
        host, port = _free(settings.processors.http)
        work = _work(settings)
    except (OperatorError, RegistryError) as error:
        print(f"penstock-processors: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(_MISTAKE)
    _log_lines()
    tune_garbage_collection()
    structlog.get_logger().info("listening", address=f"{host}:{port}")
    worker = faust.Worker(application(work, host, port), quiet=True, override_logging=False)
    worker.spinner = None
    worker.execute_from_commandline()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="penstock-processors",
        description="Turn the raw topics into canonical ones, exactly once.",
        epilog="example: python -m processors --settings penstock.toml",
    )
    parser.add_argument(
        "--settings", type=Path, help="settings file; default $PENSTOCK_SETTINGS or penstock.toml"
    )
    return parser


def _free(address: str) -> tuple[str, int]:
    """Return host and port to listen on, any free one for port 0.

    The port is tried here, because Faust would find it taken only in mid-start.
    """
    host, _, port = address.rpartition(":")
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, int(port)))
        except (OSError, OverflowError) as error:
            raise OperatorError(
                f"cannot listen on {address} ({error}); change processors.http or free the port"
            ) from error
        return host, int(attempt.getsockname()[1])


def _work(settings: Settings) -> Work:
    registry = Registry(settings.registry.url)
    prefixes = schema_ids(registry)
    kafka, ring = settings.connection(), key_ring(settings)
    inputs = {topics.raw(provider): mapper for provider, mapper in MAPPERS.items()}
    return Work(
        kafka=kafka,
        application=settings.processors.application,
        linger=settings.processors.linger_ms / 1000,
        inputs=inputs,
        keys=ring,
        prefixes={topic: confluent(number) for topic, number in prefixes.items()},
        state_directory=settings.processors.state_directory,
        buffers=Buffers(),
        turns=asyncio.Semaphore(2),
        late_keys=_late_keys(settings, registry, kafka, ring, inputs),
    )


def _late_keys(
    settings: Settings,
    registry: Registry,
    kafka: Connection,
    ring: KeyRing,
    inputs: Mapping[str, Mapper],
) -> LateKeys | None:
    sealed_with = settings.sealed_with()
    if sealed_with is None:
        return None
    return LateKeys(
        log=KeyLog(kafka, sealed_with, ring),
        ring=ring,
        kafka=kafka,
        inputs=inputs,
        read=Reader(Rejected, registry.text),
    )


def _log_lines() -> None:
    """JSON lines, or readable ones on a terminal; nothing per record."""
    is_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # What the libraries would say of a broker that is away is said by us, once.
    logging.basicConfig(level=logging.CRITICAL)


def tune_garbage_collection() -> None:
    """Spare the collector what stays for ever: a tenth of the CPU per event."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


if __name__ == "__main__":
    main()

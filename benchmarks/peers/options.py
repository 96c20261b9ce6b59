"""The options that every Python peer takes."""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import work


class Options(NamedTuple):
    bootstrap: str
    group: str
    inputs: list[str]
    output: str
    state: str
    """A directory of its own."""
    by_hand: bool
    """Whether Avro is written by hand, and not with fastavro."""

    @property
    def encoded(self) -> Callable[[dict[str, Any]], bytes]:
        """What makes Avro of an event."""
        encoded: Callable[[dict[str, Any]], bytes] = (
            work.bytes_by_hand if self.by_hand else work.fastavro_bytes
        )
        return encoded


def options() -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--inputs", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--by-hand", action="store_true")
    told = parser.parse_args()
    return Options(
        told.bootstrap, told.group, told.inputs.split(","), told.output, told.state, told.by_hand
    )

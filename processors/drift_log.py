"""One line for each shape of what providers began to send, and never a value."""

from collections.abc import Iterable
from typing import Final

import structlog

from processors.drift import Drift

MOST: Final = 500
"""Shapes that one process tells; all are counted."""

_log = structlog.get_logger()


def tell_new(drifts: Iterable[Drift], told: set[tuple[str, str, tuple[str, ...]]]) -> None:
    """Log the shapes that are not in ``told``, and add them. ``sample``: where in raw one lies."""
    for drift in drifts:
        shape = (drift.provider, drift.kind, drift.fields)
        if shape not in told and len(told) < MOST:
            told.add(shape)
            _log.warning(
                "unknown fields",
                provider=drift.provider,
                kind=drift.kind,
                fields=list(drift.fields),
                sample=drift.where,
            )

"""What was seen, one line for each play, after the tests: the figures of docs/reliability.md."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.brokers.house import Figures

_SEEN: Final[list[str]] = []


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    found: Figures = []
    yield found
    for restarts, pauses, reconciled in found:
        told = ", ".join(f"{pause:.1f}" for pause in pauses) or "none"
        name = request.node.name.removeprefix("test_")
        _SEEN.append(f"{name}: restarts {restarts}, pauses {told} s, {reconciled}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _SEEN:
        terminalreporter.write_line(line)

"""Which tests run side by side (`pytest -n 3`), and which after one another.

https://pytest-xdist.readthedocs.io/en/stable/how-it-works.html
"""

from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_BY_THE_CLOCK: Final = {
    "tests/chaos/test_chaos.py",
    "tests/end_to_end/test_a_day.py",
    "tests/end_to_end/test_certify.py",
    "tests/end_to_end/test_demo.py",
    "tests/end_to_end/test_demo_paths.py",
    "tests/end_to_end/test_token_refresh.py",
}
"""They run whole systems against real time: one at a time, or they slow each other down."""


class Spread(LoadScopeScheduling):
    """The tests of a file stay together, as its fixtures do."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return "by the clock" if file in _BY_THE_CLOCK else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Spread:
    """Hand out files as they are collected: those of minutes come first."""
    config.option.loadscopereorder = False
    return Spread(config, log)

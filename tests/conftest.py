"""A real Kafka and registry for every test that asks for them, started once."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from ingest.feeds import FEEDS
from penstock.preparation import prepare
from penstock.stack import Stack, local_stack

pytest_plugins = ["tests.spread"]

# How long something takes is measured in benchmarks/, never asserted in a test.
settings.register_profile("penstock", deadline=None)
settings.load_profile("penstock")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a stack without topics; what the environment names is used as it is.

    Without Java this fails, with a line that says so: a test that cannot run has not
    passed.
    """
    with local_stack(tmp_path_factory.mktemp("stack"), partitions=4) as running:
        yield running


@pytest.fixture(scope="session")
def prepared_stack(stack: Stack) -> Stack:
    """Give a stack with every topic and schema."""
    prepare(stack, FEEDS)
    return stack

"""Three brokers, three copies, and what may happen to them: nothing is lost, nothing is told twice.

Run by ``make brokers``; each test is a whole Penstock of its own.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from penstock.cluster import Cluster
from penstock.stack_record import LocalProcess
from schemas import topics
from tests.brokers.house import ACCOUNTS, Figures, House, house, until
from twins import TWINS

pytestmark = pytest.mark.timeout(240)

OUTAGE = 10.0
"""Seconds."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as built:
        yield built


def assert_nothing_is_lost_or_doubled(running: House, figures: Figures) -> None:
    found = running.reconciled()
    figures.append((running.restarts(), running.onlooker.pauses, str(found)))
    assert found.holds, "\n".join([str(found), *found.complaints()])
    assert found.published > 1_000


def assert_nothing_is_written(running: House, seconds: float) -> None:
    """Neither acknowledged by raw nor committed, by what the programs themselves count."""
    before = running.written()
    Event().wait(seconds)  # That nothing happens in a time is what is to be shown.
    after = running.written()
    assert {name: count for name, count in after.items() if count > before[name]} == {}


def test_leaders_and_coordinators_move(running: House, figures: Figures) -> None:
    """kill -9 of who coordinates the group and transactions, and leads raw and an output."""
    provider, account = next(iter(ACCOUNTS.items()))
    partition = topics.partition_of(account, running.stack.partitions)
    for who in (
        running.group_coordinator,
        running.transaction_coordinator,
        lambda: running.leader(topics.raw(provider), partition),
        lambda: running.leader(topics.STATE, partition),
    ):
        broker = running.stack.brokers[who()]
        broker.kill()
        running.goes_on()
        broker.start()
        until(lambda: running.in_sync() == 3, "every copy is in sync again")
    assert_nothing_is_lost_or_doubled(running, figures)


def test_every_broker_is_restarted_in_order(running: House, figures: Figures) -> None:
    for broker in running.stack.brokers:
        broker.terminate()
        running.goes_on()
        broker.start()
        until(lambda: running.in_sync() == 3, "every copy is in sync again")
    assert_nothing_is_lost_or_doubled(running, figures)


def test_a_broker_hangs(running: House, figures: Figures) -> None:
    """It keeps its connections and answers nobody: no error tells the clients to go elsewhere."""
    broker = running.stack.brokers[running.leader(topics.raw(next(iter(ACCOUNTS))), 0)]
    frozen = broker.trace()
    assert isinstance(frozen, LocalProcess)
    os.kill(frozen.pid, signal.SIGSTOP)
    running.goes_on()
    os.kill(frozen.pid, signal.SIGCONT)
    until(lambda: running.in_sync() == 3, "every copy is in sync again")
    running.goes_on()
    assert_nothing_is_lost_or_doubled(running, figures)


def test_a_broker_is_lost_for_good_and_then_a_copy_is_wanting(
    running: House, figures: Figures
) -> None:
    running.stack.brokers[running.group_coordinator()].kill()
    running.goes_on()
    cluster = Cluster(running.stack.connection)
    usual = topics.all_topics(TWINS, partitions=running.stack.partitions, replication=3)
    three = {"min.insync.replicas": "3"}
    cluster.apply([replace(each, settings={**each.settings, **three}) for each in usual])
    Event().wait(1)  # The brokers learn it one after the other.
    assert_nothing_is_written(running, OUTAGE)
    cluster.apply(usual)
    running.goes_on()
    assert_nothing_is_lost_or_doubled(running, figures)


def test_two_of_three_are_down(running: House, figures: Figures) -> None:
    """For longer than the 15 s after which Kafka ends a transaction."""
    leader = running.leader(topics.raw(next(iter(ACCOUNTS))), 0)
    down = [running.stack.brokers[(leader + step) % 3] for step in (0, 1)]
    for broker in down:
        broker.kill()
    assert_nothing_is_written(running, 2 * OUTAGE)
    for broker in down:
        broker.start()
    running.goes_on()
    until(lambda: running.in_sync() == 3, "every copy is in sync again")
    assert_nothing_is_lost_or_doubled(running, figures)

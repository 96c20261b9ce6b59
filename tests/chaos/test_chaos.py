"""The chaos suite itself, and a seeded minute of it."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from typing import Any

import pytest

from penstock.chaos_acts import harm
from penstock.chaos_plan import LASTS, STREAMS, Act, Timed, schedule
from penstock.ledger_check import LEDGER, differing, posted_by_books
from penstock.order import Order
from penstock.readings.telling import Expected
from penstock.state_room import StateRoom

LAST = re.compile(
    r"CHAOS seed=24 kills=(\d+) facts=(\d+) lost=0 twice=0 disorder=0 holes=0 money=equal "
    r"missed=\d+"
)


# Of the short plans, this one has most of the acts: workers killed, frozen and two more
# started, the broker stopped, two stores swapped, the disk full, ingest killed.
@pytest.mark.timeout(300)
def test_a_seeded_minute_of_chaos_loses_doubles_and_disorders_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "chaos"
    command = [Path(sys.executable).with_name("penstock"), "chaos", "--directory", directory]
    ended = subprocess.run(
        [*map(str, command), "--minutes", "0.5", "--seed", "24", "--rate", "100"],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    line = LAST.fullmatch(ended.stdout.splitlines()[-1])
    assert line, ended.stdout
    kills, facts = map(int, line.groups())
    assert kills >= 5
    assert facts >= 1_500


# ---- the plan -------------------------------------------------------------------------


def test_a_plan_follows_from_its_seed() -> None:
    assert schedule(Random(1), 5) == schedule(Random(1), 5)
    assert schedule(Random(1), 5) != schedule(Random(2), 5)


def test_a_longer_plan_begins_like_a_shorter_one() -> None:
    longer = schedule(Random(3), 10)
    assert schedule(Random(3), 4) == tuple(timed for timed in longer if timed.at < 240)


def test_acts_are_in_order_within_the_time_and_last_as_long_as_they_should() -> None:
    acts = schedule(Random(4), 10)
    assert [timed.at for timed in acts] == sorted(timed.at for timed in acts)
    assert all(0 <= timed.at < 600 and 0 <= timed.pick < 1 for timed in acts)
    for timed in acts:
        least, most = LASTS.get(timed.act, (0, 0))
        assert least <= timed.lasts <= most


def test_a_long_plan_has_every_act_and_a_frozen_worker_outlives_its_session() -> None:
    done = Counter(timed.act for timed in schedule(Random(5), 60))
    assert set(done) == set(Act) == {act for stream in STREAMS for act in stream.acts}
    assert LASTS[Act.FREEZE_WORKER][0] > 10


# ---- harm to stores -------------------------------------------------------------------


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Give the stores of two workers, each with one file."""
    room = StateRoom(tmp_path, refusal=None)
    for worker in ("worker-1", "worker-2"):
        store = room.of(worker) / "penstock" / "0"
        store.mkdir(parents=True)
        (store / "000001.sst").write_bytes(worker.encode() * 1000)
    return room.stores()


def contents(stores: list[Path]) -> list[bytes]:
    return [file.read_bytes() for store in stores for file in store.glob("*")]


@pytest.mark.parametrize(
    "act", [Act.DELETE_STORE, Act.TRUNCATE_STORE, Act.CORRUPT_STORE, Act.SWAP_STORES]
)
def test_every_harm_changes_what_the_stores_hold(act: Act, stores: list[Path]) -> None:
    before = contents(stores)
    harm(Timed(0.0, act, 0.25, 0.0), stores)
    assert contents(stores) != before


def test_swapped_stores_hold_each_other_s_files(stores: list[Path]) -> None:
    before = contents(stores)
    harm(Timed(0.0, Act.SWAP_STORES, 0.5, 0.0), stores)
    assert contents(stores) == before[::-1]


# ---- order and holes ------------------------------------------------------------------


def fact(number: int, rank: int = 1, *, status: str = "pending") -> Expected:
    return Expected(
        event_id=f"acme/main/{number}",
        payload="invoice",
        status=status,
        amounts={},
        entity="acme/main/invoice/1",
        order_key=((number,), rank),
        posted={},
    )


def event(number: int, sequence: int, **changed: Any) -> Mapping[str, Any]:
    told = {
        "id": f"acme/main/{number}",
        "is_fact": True,
        "entity_sequence": sequence,
        "is_stale": False,
        "change": "status" if sequence == 1 else "none",
        "invoice": {"status": "pending"},
    }
    return told | changed


def judged(*events: Mapping[str, Any], partitions: tuple[int, ...] = ()) -> Order:
    order = Order({one.event_id: one for one in map(fact, range(1, 10))})
    for at, told in enumerate(events):
        order.see(partitions[at] if partitions else 0, told)
    return order


def test_facts_in_their_order_are_in_order_even_where_one_came_late_and_says_so() -> None:
    order = judged(event(1, 1), event(3, 2), event(2, 3, is_stale=True))
    assert order.disorder == []
    assert order.holes() == []


@pytest.mark.parametrize(
    ("events", "what"),
    [
        ((event(1, 1), event(2, 1, change="none")), "sequence 1 after 1"),
        ((event(2, 1), event(1, 2)), "is_stale is False"),
        ((event(1, 1), event(2, 2, is_stale=True)), "is_stale is True"),
        ((event(1, 1), event(2, 2, change="status")), "change is status"),
        ((event(1, 1, change="none"),), "change is none"),
    ],
)
def test_disorder_is_found(events: tuple[Mapping[str, Any], ...], what: str) -> None:
    (complaint,) = judged(*events).disorder
    assert what in complaint


def test_an_entity_in_two_partitions_is_disorder() -> None:
    (complaint,) = judged(event(1, 1), event(2, 2), partitions=(0, 1)).disorder
    assert "partition 1" in complaint


def test_a_missing_number_is_a_hole() -> None:
    assert judged(event(1, 1), event(2, 3)).holes() == ["acme/main/invoice/1: sequence lacks 2"]


# ---- the example ledger ---------------------------------------------------------------

PAID = "acme", "main", "invoice.paid/paid", "USD"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ledger(**options: Any) -> Any:
    spec = spec_from_file_location("ledger", LEDGER)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Ledger(**options)


def paid(amount: str, change: str = "status", second: int = 0, **changed: Any) -> dict[str, Any]:
    money = {"amount": Decimal(amount), "currency": "USD", "exact": None}
    told = {
        "id": f"acme/main/{second}",
        "type": "invoice.paid",
        "provider": "acme",
        "account": "main",
        "entity_kind": "invoice",
        "entity_id": "1",
        "change": change,
        "authority": "best_effort",
        "occurred_at": NOON + timedelta(seconds=second),
        "invoice": {"paid": money, "amount": money},
    }
    return told | changed


def test_a_ledger_posts_a_status_once_and_what_changes_no_stakes_never() -> None:
    kept = ledger()
    kept.event(paid("30"))
    kept.event(paid("30", "none", 1))
    assert kept.balances == {PAID: Decimal(30)}


def test_a_ledger_replaces_what_was_corrected_but_not_by_what_a_later_one_overtook() -> None:
    kept = ledger()
    kept.event(paid("30", second=1))
    kept.event(paid("25", "stakes", 3))
    kept.event(paid("27", "stakes", 2))
    assert kept.balances == {PAID: Decimal(25)}


def test_a_ledger_posts_the_amount_of_a_paid_invoice_that_tells_no_more() -> None:
    kept = ledger()
    told = paid("30")
    kept.event(told | {"invoice": told["invoice"] | {"paid": None}})
    assert kept.balances == {PAID: Decimal(30)}


@pytest.mark.parametrize("witness_first", [False, True])
def test_a_ledger_that_trusts_signatures_waits_for_a_witness(*, witness_first: bool) -> None:
    kept = ledger(trusted=("signed",))
    told, witness = paid("30"), {"id": "acme/main/0", "authority": "signed"}
    if witness_first:
        kept.witness(witness)
    kept.event(told)
    assert kept.balances == ({PAID: Decimal(30)} if witness_first else {})
    kept.witness({"id": "acme/main/0", "authority": "best_effort"})
    kept.witness(witness)
    assert kept.balances == {PAID: Decimal(30)}


def test_books_add_up_the_newest_of_each_status_and_differences_are_told() -> None:
    older, newer = fact(1, status="paid"), fact(2, status="paid")
    posted = [
        one._replace(posted={"invoice.paid/paid": (Decimal(amount), "USD")})
        for one, amount in ((newer, "25"), (older, "30"))
    ]
    assert posted_by_books(posted) == {PAID: Decimal(25)}
    assert differing({PAID: Decimal(25)}, {PAID: Decimal("25.0")}) == []
    assert differing({PAID: Decimal(25)}, {}) == [f"{' '.join(PAID)}: expected 25, found 0"]

"""What the latency benchmark sends, and what it says of what became visible."""

import pytest

from benchmarks.latency import Cell, Results, Window, report
from benchmarks.loads import PARTITIONS, Accounts, reference_events
from benchmarks.open_loop import quantile
from schemas.topics import partition_of


def test_the_load_stays_in_as_many_partitions_as_are_active() -> None:
    sent = reference_events("raw")(4, 400)

    assert {each.partition for each in sent} == {0, 1, 2, 3}


def test_one_event_in_ten_was_told_before_in_its_partition() -> None:
    sent = reference_events("raw")(4, 1_000)

    told: dict[bytes | None, int] = {}
    again = [each for each in sent if told.setdefault(each.mark, each.partition) != each.partition]
    assert len(sent) - len(told) == 100
    assert again == []


def test_two_windows_tell_nothing_twice_of_each_other() -> None:
    load = reference_events("raw")

    first, second = ({each.mark for each in load(1, 100)} for _ in range(2))
    assert first.isdisjoint(second)


def test_an_account_is_of_its_partition_and_used_once() -> None:
    accounts = Accounts()

    names = [accounts.of(7) for _ in range(3)]
    assert len(set(names)) == 3
    assert {partition_of(name, PARTITIONS) for name in names} == {7}


@pytest.mark.parametrize(
    ("share", "figure"), [(0.5, 501), (0.99, 991), (0.999, 1_000), (1.0, 1_000)]
)
def test_a_quantile_is_a_figure_that_was_measured(share: float, figure: int) -> None:
    assert quantile(range(1, 1_001), share) == figure


def test_the_report_has_a_row_for_each_program_and_a_column_for_each_rate() -> None:
    took = [ms * 1_000_000 for ms in range(1, 101)]
    windows = [
        Window("ours", Cell(rate, 4, 100), took, {"processors": 0.5}, 2.4) for rate in (500, 5_000)
    ]

    told = report(Results(10.0, windows))
    assert "| 4 | ours | 51.0 / 100.0 / 100.0 | 50% | 51.0 / 100.0 / 100.0 | 50% |" in told
    assert "left 2 ms late" in told


def test_one_stall_of_the_machine_is_no_figure() -> None:
    windows = [
        Window("ours", Cell(500, 4, 100), [ms * 1_000_000], {"processors": share}, 0.0)
        for ms, share in ((20, 0.3), (400, 0.9), (30, 0.4))
    ]

    told = report(Results(5.0, windows))
    assert "| 4 | ours | 30.0 / 30.0 / 30.0 | 40% |" in told
    assert "the median of 3" in told

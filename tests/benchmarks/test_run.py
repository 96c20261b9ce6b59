"""`make bench` writes what it measured, and leaves what people wrote."""

import re

import pytest

from benchmarks import reference
from benchmarks.drain import Drained
from benchmarks.part import spread
from benchmarks.run import PARTS, PLOT, replaced
from penstock.checkout import ROOT
from penstock.errors import OperatorError

_PAGE = (ROOT / "docs" / "performance.md").read_text("utf-8")


def test_the_page_has_a_place_for_every_part_and_no_other() -> None:
    places = re.findall(r"<!-- make bench: (.+?) -->.*?<!-- end of \1 -->", _PAGE, re.DOTALL)
    assert sorted(places) == sorted([PLOT, *(part.name for part in PARTS)])


def test_a_section_replaces_the_one_before_and_nothing_else() -> None:
    part = PARTS[0].name
    once = replaced(_PAGE, part, "a table\n")
    assert replaced(once, part, "another\n") == replaced(_PAGE, part, "another\n")
    (before, after) = once.split("\na table\n\n")
    assert _PAGE.startswith(before)
    assert _PAGE.endswith(after)


def test_a_part_without_a_place_is_told() -> None:
    with pytest.raises(OperatorError, match="has no markers for nobody"):
        replaced(_PAGE, "nobody", "a table\n")


def test_the_medians_are_what_is_compared() -> None:
    def runs(*cpu_us: float) -> list[Drained]:
        return [Drained(1_000_000, 10.0, cpu, 100.0) for cpu in cpu_us]

    told = reference.report(
        reference.Results(
            reference.FULL,
            {"ours": runs(9, 10, 99), "streams": runs(1, 20, 30), "quixstreams": runs(40, 50, 60)},
        )
    )
    assert "0.50 of the CPU of Kafka Streams 4.1 (target: 0.6)" in told
    assert "0.20 of the CPU of quixstreams (target: 0.2)" in told
    assert str(spread([9, 99, 10])) == "9.0 / 10.0 / 99.0"

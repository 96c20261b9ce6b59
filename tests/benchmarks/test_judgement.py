"""What `make bench-check` makes of its samples: a busy machine is no slower code."""

from random import Random

import pytest

from benchmarks.judgement import Sample, dearer, lowest, ratio

STAGE = "acme, decode"
BASELINE = {STAGE: 2.5}
ALLOWED = 1.15


def measured(
    *, times: float = 1.0, machine: float = 1.0, busy: float = 0.0, seed: int = 1
) -> list[Sample]:
    """Return samples of a stage that takes so many times its baseline.

    ``machine``: seconds of a loop; ``busy``: by how much what others do may slow each pair,
    and, one time in eight, the stage of a pair alone.
    """
    chance = Random(seed)
    samples = []
    for _ in range(40):
        slowed = machine * (1 + busy * chance.random())
        alone = 1 + busy * (chance.random() < 0.125)
        samples.append(Sample(slowed, slowed * alone * times * BASELINE[STAGE]))
    return samples


def named(samples: list[Sample]) -> dict[str, float]:
    return dict(dearer({STAGE: ratio(samples)}, BASELINE, ALLOWED))


def test_a_ratio_is_how_many_loops_a_stage_takes() -> None:
    assert ratio([Sample(2.0, 5.0)]) == 2.5
    assert ratio(measured()) == pytest.approx(2.5)


@pytest.mark.parametrize("machine", [0.001, 1.0, 30.0])
@pytest.mark.parametrize("busy", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_neither_another_machine_nor_a_busy_one_is_an_alarm(
    machine: float, busy: float, seed: int
) -> None:
    assert named(measured(machine=machine, busy=busy, seed=seed)) == {}


@pytest.mark.parametrize("machine", [0.001, 30.0])
@pytest.mark.parametrize("busy", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_a_fifth_more_is_named_with_how_much_it_is(machine: float, busy: float, seed: int) -> None:
    found = named(measured(times=1.2, machine=machine, busy=busy, seed=seed))
    assert found == {STAGE: pytest.approx(1.2, rel=0.03)}


def test_what_became_cheaper_is_no_alarm() -> None:
    assert named(measured(times=0.5)) == {}


def test_one_good_moment_of_the_loop_alone_is_no_alarm() -> None:
    samples = measured()
    assert named([samples[0]._replace(loop=samples[0].loop / 2), *samples[1:]]) == {}


def test_many_bad_moments_of_the_stage_alone_are_no_alarm() -> None:
    good, *others = measured()
    assert named([good, *(one._replace(stage=one.stage * 2) for one in others)]) == {}


def test_a_process_that_lies_badly_in_memory_is_no_alarm() -> None:
    assert lowest([{STAGE: 3.1, "other": 1.0}, {STAGE: 2.6}]) == {STAGE: 2.6, "other": 1.0}
    assert dict(dearer(lowest([{STAGE: 3.1}, {STAGE: 2.6}]), BASELINE, ALLOWED)) == {}
    assert STAGE in dict(dearer(lowest([{STAGE: 3.1}, {STAGE: 3.0}]), BASELINE, ALLOWED))

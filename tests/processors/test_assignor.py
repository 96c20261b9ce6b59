"""A task is never split between two workers."""

from processors.assignor import assigned

OLD, NEW = frozenset({"raw.a", "raw.b"}), frozenset({"raw.a", "raw.b", "raw.c"})
COUNTS = {"raw.a": 4, "raw.b": 4, "raw.c": 4}


def test_partition_p_of_every_topic_goes_to_one_worker() -> None:
    work = assigned({"w1": OLD, "w2": OLD}, COUNTS)
    assert work["w1"] == {"raw.a": [0, 2], "raw.b": [0, 2]}
    assert work["w2"] == {"raw.a": [1, 3], "raw.b": [1, 3]}


def test_while_an_upgrade_adds_a_topic_only_those_that_know_it_work() -> None:
    work = assigned({"w1": OLD, "w2": NEW}, COUNTS)
    assert work["w1"] == {}
    assert work["w2"] == {topic: [0, 1, 2, 3] for topic in NEW}


def test_more_workers_than_partitions_leaves_some_idle() -> None:
    work = assigned({f"w{n}": OLD for n in range(6)}, COUNTS)
    assert sum(bool(topics) for topics in work.values()) == 4

"""Who holds a lease, as every member of its group works it out."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.lease import holder

ids = st.text("abc", min_size=1, max_size=3)


def test_who_holds_it_keeps_it_whoever_comes() -> None:
    assert holder({"b": b"b", "a": b""}) == "b"
    assert holder({"b": b"b", "a": b"b"}) == "b"


def test_who_was_given_up_and_comes_back_under_another_id_holds_nothing() -> None:
    assert holder({"a-2": b"a-1", "b": b"b"}) == "b"


@given(st.sets(ids, min_size=1))
def test_of_those_that_come_at_once_all_agree_on_one(members: set[str]) -> None:
    chosen = holder(dict.fromkeys(members, b""))
    assert chosen == holder(dict.fromkeys(sorted(members), b""))
    assert holder(dict.fromkeys(members, chosen.encode())) == chosen

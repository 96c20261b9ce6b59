"""What a provider tells again may not stay missed; what it never tells again may."""

from collections.abc import Collection

import pytest

from penstock.read_back import ReadBack
from penstock.readings.telling import Again, Expected, Shown

PENDING, PAID, SETTLED = "1-pending", "2-paid", "3-settled"
END = 20.0
"""When the hole was over in which the missing fact was told."""


def fact(name: str, again: Again | None, entity: str = "order") -> Expected:
    rank = int(name[0])
    return Expected(
        event_id=f"{entity}/{name}",
        payload="order",
        status=name,
        amounts={},
        entity=entity,
        order_key=((), rank),
        again=again,
    )


def outstanding(
    facts: Collection[Expected], missing: Expected, found: Collection[Expected] = ()
) -> bool:
    """Return whether a fact must be read back; the facts were told second after second."""
    moments = {fact.event_id: [10.0 + n] for n, fact in enumerate(facts)}
    read_back = ReadBack({fact.event_id: fact for fact in facts}, moments)
    ids = [fact.event_id for fact in found]
    return [*read_back.outstanding({missing.event_id: END}, ids)] == [missing.event_id]


@pytest.mark.parametrize("lacking", [PENDING, PAID, SETTLED])
def test_a_list_of_every_change_tells_every_change(lacking: str) -> None:
    life = [fact(name, Again(Shown.EACH)) for name in (PENDING, PAID, SETTLED)]
    assert outstanding(life, next(one for one in life if one.status == lacking))


@pytest.mark.parametrize(("lacking", "is_told"), [(PENDING, False), (PAID, False), (SETTLED, True)])
def test_a_list_of_entities_tells_how_they_stand(lacking: str, *, is_told: bool) -> None:
    life = [fact(name, Again(Shown.STANDING)) for name in (PENDING, PAID, SETTLED)]
    assert outstanding(life, next(one for one in life if one.status == lacking)) is is_told


def test_what_was_told_late_does_not_stand_for_what_is_newer() -> None:
    newer, older = (fact(name, Again(Shown.STANDING)) for name in (PAID, PENDING))
    assert outstanding([newer, older], newer)
    assert not outstanding([newer, older], older)


def test_what_is_looked_up_by_its_id_must_have_been_heard_of_before() -> None:
    known, missing = (fact(name, Again(Shown.KNOWN)) for name in (PENDING, PAID))
    assert outstanding([known, missing], missing, found=[known])
    assert not outstanding([known, missing], missing)


def test_what_was_final_when_we_heard_of_it_is_not_looked_up() -> None:
    first, final = (fact(name, Again(Shown.KNOWN)) for name in (PENDING, "4-done"))
    ended = final._replace(is_final=True)
    refunded = fact("5-refunded", Again(Shown.KNOWN))
    assert not outstanding([first, ended, refunded], refunded, found=[first, ended])
    assert outstanding([first, ended, refunded], refunded, found=[first])


def test_what_is_told_once_may_be_missed() -> None:
    alone = fact(PENDING, None)
    assert not outstanding([alone], alone)


@pytest.mark.parametrize(("behind", "is_listed"), [(2, True), (3, False)])
def test_a_list_that_ends_tells_what_was_still_on_it_when_it_was_read(
    behind: int, *, is_listed: bool
) -> None:
    page = Again(Shown.STANDING, "orders", rows=3)
    facts = [fact(PENDING, page, entity=f"order-{n}") for n in range(behind + 1)]
    assert outstanding(facts, facts[0]) is is_listed

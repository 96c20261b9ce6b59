"""What is open, as the topic tells it record by record."""

from ingest.open_entities import OpenEntities
from schemas.codec import encode_open
from schemas.connection import Connection
from schemas.records import OpenEntity


def entity(
    entity_id: str, since: int = 1, provider: str = "p", account: str = "main"
) -> OpenEntity:
    return OpenEntity(
        provider=provider,
        account=account,
        entity_kind="order",
        entity_id=entity_id,
        status="pending",
        since=since,
    )


def told(*entities: OpenEntity) -> OpenEntities:
    opens = OpenEntities(Connection("127.0.0.1:1"), {"p"})
    for one in entities:
        opens.learn(one.key.encode(), encode_open(one))
    return opens


def ids(opens: OpenEntities, account: str = "main") -> list[str]:
    return [found.entity_id for found in opens.of("p", account)]


def test_what_has_been_open_longest_comes_first() -> None:
    assert ids(told(entity("a", 5), entity("b", 3))) == ["b", "a"]


def test_a_tombstone_closes() -> None:
    opens = told(entity("a"), entity("b"))
    opens.learn(entity("a").key.encode(), None)
    opens.learn(entity("never").key.encode(), None)
    assert ids(opens) == ["b"]


def test_an_entity_that_opens_again_is_there_once() -> None:
    assert ids(told(entity("a", 1), entity("a", 2))) == ["a"]


def test_other_accounts_and_providers_stay_apart() -> None:
    opens = told(entity("a"), entity("b", account="other"), entity("c", provider="q"))
    assert (ids(opens), ids(opens, "other"), opens.of("q", "main")) == (["a"], ["b"], ())


def test_a_record_that_cannot_be_read_takes_no_other_along() -> None:
    opens = told(entity("a"))
    opens.learn(b"p/main/order/b", b"{}")
    assert ids(opens) == ["a"]

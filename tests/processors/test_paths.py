"""A fact has one id by the socket and by REST, and the second telling is a witness."""

import pytest

from processors.pipeline import Batch
from tests.processors.memory import Remembered
from tests.test_every_provider import FRAMES, lines, play, played, raw

PATHS = ("socket.jsonl", "rest.jsonl")


@pytest.mark.parametrize("provider", ["paymium", "pepay", "satoriex"])
def test_a_fact_that_both_paths_tell_is_published_once_and_witnessed(provider: str) -> None:
    socket, rest = (FRAMES / provider / path for path in PATHS)
    by_socket, by_rest = (
        {event.id for batch in played(path) for event, _ in batch.events if event.is_fact}
        for path in (socket, rest)
    )
    both = by_socket & by_rest
    assert both
    remembered = Batch(Remembered(), published_at=0)
    for number in range(len(lines(socket))):
        play(remembered, raw(socket, number))
    again = [play(remembered, raw(rest, number)) for number in range(len(lines(rest)))]
    assert both.isdisjoint(event.id for batch in again for event, _ in batch.events)
    witnessed = {witness.id for batch in again for witness in batch.witnesses}
    assert both & witnessed, "of facts with money"

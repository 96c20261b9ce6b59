"""Where reading goes on after a restart: from raw, read from its end backwards. No I/O.

The cursor is ``up_to`` of the last complete ``recovered`` mark, advanced by the frames behind
it of the socket that bore it. Another socket's frames may lie behind a hole, and a webhook
says nothing about what came before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from ingest.feed import Cursor, Feed
from schemas.records import Kind, Raw, Recovered, Via

_RECOVERED = msgspec.json.Decoder(Recovered)


@dataclass(slots=True)
class Recall:
    """What the records of one account add up to, the newest first."""

    feed: Feed
    cursor: Cursor | None = None
    number: int = 0
    """The last number of a signed request that was written down."""
    references: list[str] = field(default_factory=list)
    """What webhooks named since; REST may not have been asked about it."""
    is_over: bool = False
    """Whether nothing older matters."""
    _furthest: dict[str, Cursor] = field(default_factory=dict)
    """Connection → the furthest that its frames told."""
    _oldest: Cursor | None = None

    @property
    def is_needed(self) -> bool:
        return self.feed.cursor is not None or (
            self.feed.rest is not None and self.feed.rest.cursor is not None
        )

    def take(self, newest_first: Iterable[Raw]) -> None:
        """Read on, backwards."""
        for raw in newest_first:
            if self.is_over:
                return
            match raw.kind:
                case Kind.RECOVERED:
                    self._take_mark(raw)
                case Kind.FRAME if raw.via is Via.SOCKET:
                    self._take_frame(raw)
                case Kind.FRAME if raw.via is Via.WEBHOOK:
                    self._take_webhook(raw)
                case _:
                    pass

    def begin(self) -> None:
        """Say that nothing is older.

        Where nothing was ever read back, all that we know to be whole ends at the first frame.
        """
        if not self.is_over:
            self.cursor = self._oldest

    def _take_frame(self, raw: Raw) -> None:
        read = self.feed.cursor
        told = read(raw.value) if read else None
        if told is not None:
            furthest = self._furthest.get(raw.connection, told)
            self._furthest[raw.connection] = max(furthest, told)
            self._oldest = min(self._oldest or told, told)

    def _take_webhook(self, raw: Raw) -> None:
        read = self.feed.rest.reference if self.feed.rest else None
        if read and (reference := read(raw.value)):
            self.references.append(reference)

    def _take_mark(self, raw: Raw) -> None:
        recovered = _RECOVERED.decode(raw.value)
        self.number = max(self.number, recovered.number)
        read = self.feed.rest.cursor if self.feed.rest else None
        reached = read(recovered.up_to) if read and recovered.complete else None
        if reached is not None:
            self.cursor = max(reached, self._furthest.get(raw.connection, reached))
            self.is_over = True

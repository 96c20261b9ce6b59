"""Pepay, the list of events read back over the same range that the socket replays.

A ``since`` beyond what the socket retains gives a snapshot and no error, so only the list
tells what happened in between. https://docs-alpha.pepay.io/api-reference/events/list-events
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import msgspec

from ingest.feed import (
    Account,
    Answer,
    Call,
    Cursor,
    Disconnected,
    Done,
    End,
    Keep,
    Known,
    Next,
    Rate,
    Reached,
    Request,
    Rest,
    Step,
    Unauthorized,
)
from ingest.feeds.pepay.events import api, cursor, numbered, options
from ingest.politeness import Politeness
from schemas.records import Micros, Recovered, Via

_PATH: Final = "/api/v1/events"
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_PAGE: Final = 50
"""The page's own example; the maximum is not published."""
_RATE_PAUSE: Final = 900.0
"""Seconds: what the page's example of a 429 asks for."""
_OVERLAP: Final = 60
"""Seconds that are read twice: an id may show after a larger one."""
_PAGES: Final = 40
"""Held in memory until a window is whole; where there are more, the window is made shorter."""
_MOST_PAGES: Final = 400
"""Of a second, which cannot be made shorter."""
_NARROWER: Final = 8
_WIDER: Final = 4

_CLOCK: Final = re.compile(r"\d{1,18}", re.ASCII)


def _marked(up_to: str) -> Cursor | None:
    """Read a mark's cursor: an event id, or milliseconds where there was no event yet.

    The socket knows nothing of the latter, so its text is empty.
    """
    return Cursor((int(up_to), 0), "") if _CLOCK.fullmatch(up_to) else numbered(up_to)


def _reading(account: Account, known: Known) -> "_Windows":
    told = options(account)
    filters = {"type": ",".join(told.types)}
    if told.invoice_id:
        filters["invoice_id"] = told.invoice_id
    begins = known.cursor.rank[0] // 1000 if known.cursor else known.now // 1_000_000
    return _Windows(filters, known, max(begins - _OVERLAP, 0))


def _request(account: Account, call: Call, _number: int) -> Request:
    name = "x-commerce-api-key" if options(account).auth == "header" else "x-api-key"
    url = f"{api(account, call.path)}?{urlencode(call.query)}"
    return Request(url=url, headers={name: account.secrets["api_key"]})


# ---- one round -----------------------------------------------------------------------


class _Rows(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]
    has_more: bool


class _List(msgspec.Struct, frozen=True):
    data: _Rows


_LIST: Final = msgspec.json.Decoder(_List)


@dataclass(slots=True)
class _Window:
    """A stretch of ``created``, read newest first and kept once it is whole."""

    low: int
    """Unix seconds, included."""
    width: int | None
    """Seconds; None: it has no end, because our clock says nothing about theirs."""
    pages: list[bytes] = field(default_factory=list)
    rows: int = 0
    newest: Cursor | None = None
    oldest: Cursor | None = None

    def query(self) -> dict[str, str]:
        query = {"limit": str(_PAGE), "created[gte]": str(self.low)}
        if self.width is not None:
            query["created[lte]"] = str(self.low + self.width)
        if self.oldest is not None:
            query["starting_after"] = self.oldest.text
        return query

    def take(self, page: _Rows, body: bytes) -> bool:
        """Hold a page; return whether it led further back."""
        cursors = [told for row in page.data if (told := cursor(bytes(row)))]
        if page.data:
            self.pages.append(body)
        self.rows += len(page.data)
        if not cursors:
            return False
        self.newest = max(filter(None, (self.newest, *cursors)))
        before, self.oldest = self.oldest, min(cursors)
        return before is None or self.oldest < before

    def narrower(self, now: int) -> "_Window":
        span = self.width or max(now - self.low, 1)
        return _Window(self.low, max(span // _NARROWER, 1))

    def following(self, now: int) -> "_Window":
        """Return the window behind one that has an end."""
        width = self.width or 1
        low = self.low + width
        if len(self.pages) * _WIDER <= _PAGES:
            width *= _WIDER
        return _Window(low, width if low + width < now else None)


@dataclass(slots=True)
class _Windows:
    """Everything from the cursor on, window by window, the oldest first."""

    filters: dict[str, str]
    known: Known
    begins: int
    """Unix seconds."""
    window: _Window = field(init=False)
    count: int = 0
    """Rows of the windows that are whole."""
    newest: Cursor | None = None
    """Of the windows that are whole, or where an earlier round came to."""
    polite: Politeness = field(default_factory=lambda: Politeness(_RATE_PAUSE))

    def __post_init__(self) -> None:
        self.window = _Window(self.begins, None)
        self.newest = self.known.cursor

    def begin(self) -> Iterable[Step]:
        return (self._ask(),)

    def answered(self, call: Call, answer: Answer) -> Iterable[Step]:
        if steps := self.polite.about(call, answer):
            return steps
        said = f"{call.route} was answered with {answer.status}"
        if answer.status == _UNAUTHORIZED:
            return (End(Unauthorized(said)),)
        if answer.status != _OK:
            return (End(Disconnected(said)),)
        try:
            page = _LIST.decode(answer.body).data
        except (ValueError, RecursionError):
            return (End(Disconnected(f"{said}, and no list")),)
        is_older = self.window.take(page, answer.body)
        if not page.has_more:
            return self._whole()
        return self._older() if is_older else (_endless(),)

    def failed(self, call: Call, error: Disconnected) -> Iterable[Step]:
        return self.polite.failed(call, error)

    def _older(self) -> Iterable[Step]:
        """Ask for the next page, or for a shorter window where this is too much to hold."""
        if len(self.window.pages) >= _PAGES and self.window.width != 1:
            self.window = self.window.narrower(self._now)
        elif len(self.window.pages) >= _MOST_PAGES:
            return (_endless(),)
        return (self._ask(),)

    def _whole(self) -> Iterator[Step]:
        window = self.window
        yield from map(Keep, reversed(window.pages))
        self.count += window.rows
        self.newest = max(filter(None, (self.newest, window.newest)), default=None)
        if window.width is None:
            yield Done(whole=True, recovered=self._recovered(self.known.now))
            return
        self.window = window.following(self._now)
        yield Reached(self._recovered(self.window.low * 1_000_000))
        yield self._ask()

    @property
    def _now(self) -> int:
        return self.known.now // 1_000_000

    def _ask(self) -> Next:
        query = {**self.filters, **self.window.query()}
        return Next(Call("events", _PATH, query, Via.BACKFILL))

    def _recovered(self, up_to_at: Micros) -> Recovered:
        return Recovered(
            from_=self._text(self.known.cursor),
            up_to=self._text(self.newest),
            from_at=self.begins * 1_000_000,
            up_to_at=up_to_at,
            by=Via.BACKFILL,
            count=self.count,
            complete=True,
        )

    def _text(self, reached: Cursor | None) -> str:
        """Return what ``_marked`` reads."""
        if reached is None:
            return str(self.begins * 1000)
        return reached.text or str(reached.rank[0])


def _endless() -> End:
    return End(Disconnected("events: the list does not get older, or has no end"))


REST: Final = Rest(
    reading=_reading,
    request=_request,
    every=600.0,
    rate=Rate(10, 0.6),  # 100 a minute and key, in https://github.com/PepayLabs/docs
    holds=30.0,
    cursor=_marked,
)

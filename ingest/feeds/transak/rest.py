"""Transak, orders read back: from its list, and what is open and on none one by one.

https://docs.transak.com/reference/get-orders
https://docs.transak.com/api/public/get-order-by-order-id
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import quote

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
    Report,
    Request,
    Rest,
    Step,
    Unauthorized,
)
from ingest.feeds.transak.api import requested
from ingest.politeness import Politeness
from schemas.records import Micros, Recovered

_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_RATE_PAUSE: Final = 60.0

# Several in one filter are not documented. In the order of an order's life: one that moves on
# while we read is met again further down.
_STATUSES: Final = (
    "AWAITING_PAYMENT_FROM_USER",
    "PAYMENT_DONE_MARKED_BY_USER",
    "PROCESSING",
    "PENDING_DELIVERY_FROM_TRANSAK",
    "ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK",
    "COMPLETED",
    "EXPIRED",
    "FAILED",
    "CANCELLED",
    "REFUNDED",
)
_LATE: Final = frozenset({"REFUNDED"})
"""May follow long after the order was created, by which the list is cut."""
_PRODUCTS: Final = ("BUY", "SELL")

_LIMIT: Final = 100
_OVERLAP: Final = 10
"""Rows that a page shares with the one before. Rows leave a list while it is read, and what is
behind them moves up: a page that shares none has lost its place."""
_MOST_PAGES: Final = 500
_MOST_RESTARTS: Final = 3
_WINDOW: Final = timedelta(days=90)
_OVERLAP_DAYS: Final = timedelta(days=1)
"""Dates are whole days, of a clock that is not ours."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# ---- what is asked -------------------------------------------------------------------


def _calls(known: Known) -> Iterator[Call]:
    today, since = _day(known.now), _since(known)
    for product in _PRODUCTS:
        for status in _STATUSES:
            yield _list(product, status, today - _WINDOW if status in _LATE else since)


def _list(product: str, status: str, since: date) -> Call:
    query = {
        "filter[productsAvailed]": f'["{product}"]',
        "filter[status]": status,
        "filter[sortOrder]": "asc",
        "startDate": since.isoformat(),
        "limit": str(_LIMIT),
        "skip": "0",
    }
    return Call("orders", "/orders", query)


def _looked_up(known: Known) -> dict[str, None]:
    """Return the orders that must be told of, on a list or one by one."""
    opens = (entity.entity_id for entity in known.opens if entity.entity_kind == "order")
    return dict.fromkeys((*opens, *known.references))


def _day(at: Micros) -> date:
    return (_EPOCH + timedelta(microseconds=at)).date()


def _since(known: Known) -> date:
    """Return the first day that the list is asked for; what is older is on ``open`` or final."""
    oldest = _day(known.now) - _WINDOW
    if known.cursor is None:
        return oldest
    return max(oldest, _day(known.cursor.rank[0]) - _OVERLAP_DAYS)


def _cursor(text: str) -> Cursor | None:
    """Return the time up to which everything was read back, in µs."""
    return Cursor((int(text),), text) if text.isdecimal() else None


# ---- what is answered ----------------------------------------------------------------


class _Row(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="_id", default="")


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    skip: int
    total_count: int


class _Page(msgspec.Struct, frozen=True):
    meta: _Meta
    data: list[_Row]


class _One(msgspec.Struct, frozen=True):
    data: _Row


_PAGE: Final = msgspec.json.Decoder(_Page)
_ONE: Final = msgspec.json.Decoder(_One)


@dataclass(slots=True)
class _Orders:
    """One round. What cannot be told is said and skipped: the next round asks again."""

    known: Known
    left: deque[Call]
    alone: dict[str, None]
    """Orders that no list has told of yet."""
    whole: bool = True
    count: int = 0
    _politeness: Politeness = field(default_factory=lambda: Politeness(_RATE_PAUSE))
    _seen: frozenset[str] = frozenset()
    """Ids of the page before, of the list that is being read."""
    _pages: int = 0
    _restarts: int = 0

    def begin(self) -> Iterable[Step]:
        return (self._go_on(),)

    def answered(self, call: Call, answer: Answer) -> Iterable[Step]:
        said = f"{call.route} was answered with {answer.status}"
        if answer.status == _UNAUTHORIZED:
            return (End(Unauthorized(said)),)
        if steps := self._politeness.about(call, answer):
            return steps
        if answer.status == _NOT_FOUND and call.route == "order":
            return (Report("an order that was told is unknown to REST"), self._go_on())
        if answer.status not in range(200, 300):
            return self._skipped(said)
        try:
            further = self._one(answer) if call.route == "order" else self._page(call, answer)
        except (ValueError, RecursionError):
            return self._skipped(f"{said}, and no orders")
        return (Keep(answer.body), *further)

    def failed(self, call: Call, error: Disconnected) -> Iterable[Step]:
        return self._politeness.failed(call, error)

    def _one(self, answer: Answer) -> Iterable[Step]:
        _ONE.decode(answer.body)
        self.count += 1
        return (self._go_on(),)

    def _page(self, call: Call, answer: Answer) -> Iterable[Step]:
        page = _PAGE.decode(answer.body)
        skip, rows = int(call.query["skip"]), [row.id for row in page.data]
        if page.meta.skip != skip:
            return self._skipped("orders: another page was answered than was asked for")
        if skip and rows and rows[0] not in self._seen:
            return self._begin_again(call)
        self.count += len(set(rows) - self._seen)
        for order_id in rows:
            self.alone.pop(order_id, None)
        self._pages += 1
        if skip + len(rows) >= page.meta.total_count:
            return (self._go_on(),)
        if not rows:
            return self._skipped("orders: an empty page, and more are said to follow")
        if self._pages >= _MOST_PAGES:
            return self._skipped(f"orders: more than {_MOST_PAGES} pages of one status")
        self._seen = frozenset(rows)
        return (_at(call, skip + max(1, len(rows) - _OVERLAP)),)

    def _begin_again(self, call: Call) -> Iterable[Step]:
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS:
            return self._skipped("orders: the list changes faster than it can be read")
        self._seen = frozenset()
        return (_at(call, 0),)

    def _skipped(self, why: str) -> Iterable[Step]:
        self.whole = False
        return (Report(why), self._go_on())

    def _go_on(self) -> Step:
        """Begin with the next list or order."""
        self._seen, self._pages, self._restarts = frozenset(), 0, 0
        if not self.left and self.alone:
            asked, self.alone = self.alone, {}
            self.left.extend(Call("order", f"/order/{quote(one, safe='')}") for one in asked)
        return Next(self.left.popleft()) if self.left else Done(self.whole, self._recovered())

    def _recovered(self) -> Recovered:
        begun, cursor = self.known.now, self.known.cursor
        since = cursor.rank[0] if cursor else begun - _WINDOW // timedelta(microseconds=1)
        return Recovered(
            from_=cursor.text if cursor else "",
            up_to=str(begun),
            from_at=since,
            up_to_at=begun,
            by="poll",
            count=self.count,
            complete=self.whole,
        )


def _at(call: Call, skip: int) -> Next:
    return Next(Call(call.route, call.path, {**call.query, "skip": str(skip)}))


def _reading(_account: Account, known: Known) -> _Orders:
    return _Orders(known, deque(_calls(known)), _looked_up(known))


def _request(account: Account, call: Call, _number: int) -> Request:
    return requested(account, call)


REST: Final = Rest(
    reading=_reading,
    request=_request,
    every=300.0,
    rate=Rate(10, 1.0),  # No limit is published; one call a second, as the reference advises.
    holds=0.0,
    cursor=_cursor,
    looks_up=True,
    needs=frozenset({"api_secret"}),
)

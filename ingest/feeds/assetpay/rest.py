"""AssetPay, what is open looked up by id; the merchant's own trades and its ledger, listed.

https://github.com/assetpaygg/assetpay-sdk/blob/main/src/modules/trades.ts
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/modules/wallet.ts
https://assetpay.gg/docs/api-reference
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec

from ingest.feed import (
    Account,
    Answer,
    Call,
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
from ingest.politeness import Politeness
from schemas.records import Micros, OpenEntity, Recovered

_REFS: Final = 100
"""Trades that one call may name."""
_LIMIT: Final = 100
_LEDGER_LIMIT: Final = 50
_GAMES: Final = ("730", "252490")
"""CS2 and Rust: a call that names no game is about the first."""
_MOST_PAGES: Final = 500
_WINDOW: Final = timedelta(days=14)
"""How far back is listed: a hold takes 7 days, and a reversal comes after it. What is older and
not final is on ``open``."""
_RATE_PAUSE: Final = 60.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_UNAUTHORIZED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_OUT_OF_SCOPE: Final = "INSUFFICIENT_SCOPE"
"""A key may see trades and not the ledger: the one call is left out, and the others go on."""


# ---- what is asked -------------------------------------------------------------------


def _calls(known: Known) -> Iterator[Call]:
    trades = _ids(known.opens, "trade")
    for begin in range(0, len(trades), _REFS):
        refs = ",".join(quote(trade, safe="") for trade in trades[begin : begin + _REFS])
        yield Call("trades", f"/secure/trades/{refs}")
    for funding in _ids(known.opens, "funding"):
        yield Call("ledger", f"/v1/ledger/transactions/{quote(funding, safe='')}")
    for game in _GAMES:
        yield Call("self_trades", "/secure/trades", {"limit": str(_LIMIT), "game": game})
    query = {"startDate": _begin(known).date().isoformat(), "limit": str(_LEDGER_LIMIT)}
    yield Call("ledger", "/v1/ledger/transactions", {**query, "offset": "0"})


def _ids(opens: Iterable[OpenEntity], kind: str) -> list[str]:
    return [entity.entity_id for entity in opens if entity.entity_kind == kind]


def _begin(known: Known) -> datetime:
    return _EPOCH + timedelta(microseconds=known.now) - _WINDOW


def _request(account: Account, call: Call, _number: int) -> Request:
    socket = urlsplit(account.url)
    scheme = {"ws": "http", "wss": "https"}[socket.scheme]
    url = urlunsplit((scheme, socket.netloc, call.path, urlencode(call.query), ""))
    return Request(url=url, headers={"api-key": account.secrets["api_key"]})


# ---- what is answered ----------------------------------------------------------------


class _Error(msgspec.Struct, frozen=True):
    key: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    success: bool
    data: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None


class _Trade(msgspec.Struct, frozen=True, rename="camel"):
    created_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Trades(msgspec.Struct, frozen=True, rename="camel"):
    items: list[_Trade]
    next_cursor: str | None = None


class _Pagination(msgspec.Struct, frozen=True):
    page: int
    total: int


class _Ledger(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]
    pagination: _Pagination


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_TRADES: Final = msgspec.json.Decoder(_Trades)
_LEDGER: Final = msgspec.json.Decoder(_Ledger)
_FOUND: Final = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw])


@dataclass(slots=True)
class _Books:
    """One round. What cannot be told is said and skipped: the next round asks again."""

    known: Known
    left: deque[Call]
    whole: bool = True
    count: int = 0
    _politeness: Politeness = field(default_factory=lambda: Politeness(_RATE_PAUSE))
    _pages: int = 0
    """Of the list that is being read."""

    def begin(self) -> Iterable[Step]:
        return (self._go_on(),)

    def answered(self, call: Call, answer: Answer) -> Iterable[Step]:
        if steps := self._politeness.about(call, answer):
            return steps
        envelope = _envelope(answer.body)
        key = envelope.error.key if envelope.error else ""
        said = f"{call.route} was answered with {answer.status} {key}".rstrip()
        if not envelope.success or answer.status not in range(200, 300):
            return self._refused(answer.status, key, said)
        try:
            further = self._further(call, bytes(envelope.data))
        except (ValueError, RecursionError):
            return self._skipped(f"{said}, and not with what was asked for")
        return (Keep(answer.body), *further)

    def failed(self, call: Call, error: Disconnected) -> Iterable[Step]:
        return self._politeness.failed(call, error)

    def _refused(self, status: int, key: str, said: str) -> Iterable[Step]:
        if status in _UNAUTHORIZED and key != _OUT_OF_SCOPE:
            return (End(Unauthorized(said)),)
        if status == _NOT_FOUND:
            return (Report(f"{said}: one that was told is unknown to REST"), self._go_on())
        return self._skipped(said)

    def _further(self, call: Call, told: bytes) -> Iterable[Step]:
        """Return what to ask after a page, or after what was looked up by its id."""
        self._pages += 1
        match call.route:
            case "self_trades":
                return self._after_trades(call, _TRADES.decode(told))
            case "ledger" if "offset" in call.query:
                return self._after_ledger(call, _LEDGER.decode(told))
        found = _FOUND.decode(told)
        self.count += len(found) if isinstance(found, list) else 1
        return (self._go_on(),)

    def _after_trades(self, call: Call, page: _Trades) -> Iterable[Step]:
        """Go on, newest first, until all of a page is older than the window."""
        self.count += len(page.items)
        begin = _begin(self.known)
        is_recent = any(t.created_at is None or t.created_at >= begin for t in page.items)
        if page.next_cursor is None or not is_recent:
            return (self._go_on(),)
        return self._next(call, {"cursor": page.next_cursor})

    def _after_ledger(self, call: Call, page: _Ledger) -> Iterable[Step]:
        self.count += len(page.items)
        offset = int(call.query["offset"])
        if page.pagination.page != offset // _LEDGER_LIMIT + 1:
            return self._skipped("ledger: another page was answered than was asked for")
        if offset + len(page.items) >= page.pagination.total:
            return (self._go_on(),)
        if len(page.items) != _LEDGER_LIMIT:
            return self._skipped("ledger: a short page, and more are said to follow")
        return self._next(call, {"offset": str(offset + _LEDGER_LIMIT)})

    def _next(self, call: Call, place: dict[str, str]) -> Iterable[Step]:
        if self._pages >= _MOST_PAGES:
            return self._skipped(f"{call.route}: more than {_MOST_PAGES} pages")
        return (Next(Call(call.route, call.path, {**call.query, **place})),)

    def _skipped(self, why: str) -> Iterable[Step]:
        self.whole = False
        return (Report(why), self._go_on())

    def _go_on(self) -> Step:
        self._pages = 0
        return Next(self.left.popleft()) if self.left else Done(self.whole, self._recovered())

    def _recovered(self) -> Recovered:
        """Say what was read back. It is never all: no call lists what end users traded."""
        return Recovered(
            from_="",
            up_to="",
            from_at=_micros(_begin(self.known)),
            up_to_at=self.known.now,
            by="poll",
            count=self.count,
            complete=False,
        )


def _micros(at: datetime) -> Micros:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _envelope(body: bytes) -> _Envelope:
    try:
        return _ENVELOPE.decode(body)
    except (ValueError, RecursionError):
        return _Envelope(success=False)


def _reading(_account: Account, known: Known) -> _Books:
    return _Books(known, deque(_calls(known)))


REST: Final = Rest(
    reading=_reading,
    request=_request,
    every=300.0,
    rate=Rate(10, 0.7),  # 100 a minute, as long as the merchant is not verified.
    holds=0.0,
    looks_up=True,
)

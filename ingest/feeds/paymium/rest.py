"""Paymium, what REST lists: depth and trades for everybody; orders, transfers and payments.

https://github.com/Paymium/api-documentation (spec/openapi.yaml)
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

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
from ingest.politeness import Politeness
from schemas.records import Recovered, Via

_API: Final = "/api/v1"
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_RATE_PAUSE: Final = 60.0
"""Seconds. What a 429 looks like is not known."""

_OVERLAP: Final = 60
"""Seconds: trades are asked for from so long before the last time."""
_CLOCKS: Final = 600
"""Seconds: their ``updated_at`` is held against our clock."""
_MOST_TRADES: Final = 1_000
"""Rows of one answer; from there on it may lack some."""
_LIMIT: Final = 50
_PER_PAGE: Final = 100
_MOST_PAGES: Final = 200

_TIME: Final = re.compile(r"\d{1,12}", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def _cursor(up_to: str) -> Cursor | None:
    """Read a mark's cursor: unix seconds of our clock."""
    return Cursor((int(up_to),), up_to) if _TIME.fullmatch(up_to) else None


def _url(account: Account, call: Call) -> str:
    socket = urlsplit(account.url)
    scheme = {"ws": "http", "wss": "https"}[socket.scheme]
    return urlunsplit((scheme, socket.netloc, _API + call.path, urlencode(call.query), ""))


def _request(account: Account, call: Call, _number: int) -> Request:
    return Request(url=_url(account, call))


def _signed(account: Account, call: Call, nonce: int) -> Request:
    """Sign a request: hex HMAC-SHA256 of nonce, whole URL and body, which is empty here."""
    url = _url(account, call)
    secret = account.secrets["api_secret"].encode()
    headers = {
        "Api-Key": account.secrets["api_key"],
        "Api-Nonce": str(nonce),
        "Api-Signature": digest(secret, f"{nonce}{url}".encode(), sha256).hex(),
    }
    return Request(url=url, headers=headers)


# ---- one round -----------------------------------------------------------------------


class _Row(msgspec.Struct, frozen=True):
    uuid: str = ""
    updated_at: datetime | None = None


class _User(msgspec.Struct, frozen=True):
    channel_id: str = ""


_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ROW: Final = msgspec.json.Decoder(_Row)
_USER: Final = msgspec.json.Decoder(_User)


@dataclass(slots=True)
class _Lists:
    """One round. What cannot be told is said and skipped: the next round asks again."""

    account: Account
    known: Known
    since: int
    """Unix seconds: rows that were changed before are known."""
    left: deque[Call]
    whole: bool = True
    count: int = 0
    seen: set[str] = field(default_factory=set)
    is_looking_up: bool = False
    polite: Politeness = field(default_factory=lambda: Politeness(_RATE_PAUSE))

    def begin(self) -> Iterable[Step]:
        return (self._go_on(),)

    def answered(self, call: Call, answer: Answer) -> Iterable[Step]:
        if steps := self.polite.about(call, answer):
            return steps
        said = f"{call.route} was answered with {answer.status}"
        if answer.status == _UNAUTHORIZED:
            return (End(Unauthorized(f"{said}; is the key used elsewhere, with larger nonces?")),)
        if answer.status == _NOT_FOUND and call.route in _LOOKED_UP:
            return (self._go_on(),)  # It is a transfer, or nobody's: what names it may be forged.
        if answer.status != _OK:
            return self._skipped(said)
        try:
            further = tuple(self._read(call, answer.body))
        except (ValueError, RecursionError):
            return self._skipped(f"{said}, and not with what its page says")
        return (Keep(answer.body), *further, self._go_on())

    def failed(self, call: Call, error: Disconnected) -> Iterable[Step]:
        return self.polite.failed(call, error)

    def _skipped(self, why: str) -> Iterable[Step]:
        self.whole = False
        return (Report(why), self._go_on())

    def _read(self, call: Call, body: bytes) -> Iterator[Step]:
        """Look for what leads on. Raises ``ValueError`` for what is not of the call's shape."""
        match call.route:
            case "orders" | "withdrawals":
                rows = [_row(bytes(row)) for row in _ROWS.decode(body)]
                self.count += len(rows)
                self.seen.update(row.uuid for row in rows)
                yield from self._further(call, rows)
            case "trades":
                rows_told = len(_ROWS.decode(body))
                self.count += rows_told
                if rows_told >= _MOST_TRADES:
                    self.whole = False
                    yield Report(f"{call.route}: {rows_told} at once; some may be missing")
            case "user":
                ours = self.account.secrets["channel_id"]
                if not compare_digest(_USER.decode(body).channel_id.encode(), ours.encode()):
                    yield Report("channel_id is not the user's: replace it by that of GET /user")
            case _:
                _OBJECT.decode(body)

    def _further(self, call: Call, rows: list[_Row]) -> Iterator[Step]:
        """Ask for the next page of a list, until what it tells is known."""
        page = _following(call)
        if page is None or not rows or all(self._is_known(row) for row in rows):
            return
        if page.number > _MOST_PAGES:
            self.whole = False
            yield Report(f"{call.route}: more than {_MOST_PAGES} pages")
            return
        self.left.appendleft(page.call)

    def _is_known(self, row: _Row) -> bool:
        return row.updated_at is not None and _seconds(row.updated_at) < self.since

    def _go_on(self) -> Step:
        if not self.left and not self.is_looking_up:
            self.is_looking_up = True
            self.left.extend(self._looked_up())
        return Next(self.left.popleft()) if self.left else self._done()

    def _looked_up(self) -> Iterator[Call]:
        """Ask for what is open and on no page, and for what somebody named."""
        opens = [(e.entity_kind, e.entity_id) for e in self.known.opens]
        named = [("payment", reference) for reference in self.known.references]
        for kind, entity_id in dict.fromkeys((*opens, *named)):
            if kind in _LOOKED_UP and _UUID.fullmatch(entity_id) and entity_id not in self.seen:
                yield Call(kind, f"{_LOOKED_UP[kind]}/{entity_id}")

    def _done(self) -> Done:
        now = self.known.now // 1_000_000
        reached = self.known.cursor
        recovered = Recovered(
            from_=reached.text if reached else str(now),
            up_to=str(max(now, reached.rank[0]) if reached else now),
            from_at=self.since * 1_000_000,
            up_to_at=self.known.now,
            by=Via.POLL,
            count=self.count,
            complete=self.whole,
        )
        return Done(self.whole, recovered)


_LOOKED_UP: Final = {"order": "/user/orders", "payment": "/merchant/get_payment"}
"""Kind of entity, and name of the call → path."""
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _row(row: bytes) -> _Row:
    """Return what paging needs; a row that cannot be read is new, and the mapper's to reject."""
    try:
        return _ROW.decode(row)
    except (ValueError, RecursionError):
        return _Row()


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class _Page:
    number: int
    call: Call


def _following(call: Call) -> _Page | None:
    """Return the page behind this one, in either of the two pagings; active orders have none."""
    if "offset" in call.query:
        offset = int(call.query["offset"]) + _LIMIT
        query = {**call.query, "offset": str(offset)}
        return _Page(offset // _LIMIT + 1, replace(call, query=query))
    if "page" in call.query:
        number = int(call.query["page"]) + 1
        return _Page(number, replace(call, query={**call.query, "page": str(number)}))
    return None


def _named(callback: bytes) -> str | None:
    """Return the payment that a callback names: it is not signed, and no fact by itself."""
    return _row(callback).uuid or None


def _user(account: Account, known: Known) -> _Lists:
    calls = (
        Call("user", "/user"),
        Call("orders", "/user/orders", {"active": "true"}),
        Call("orders", "/user/orders", {"offset": "0", "limit": str(_LIMIT)}),
        Call("withdrawals", "/user/withdrawals", {"page": "1", "per_page": str(_PER_PAGE)}),
    )
    return _Lists(account, known, _from(known) - _CLOCKS, deque(calls))


def _public(account: Account, known: Known) -> _Lists:
    since = _from(known) - _OVERLAP
    # Without it: a week, or what a thousand rows hold.
    query = {"since": str(since)} if known.cursor else {}
    calls = (Call("depth", "/data/eur/depth"), Call("trades", "/data/eur/trades", query))
    return _Lists(account, known, since, deque(calls))


def _from(known: Known) -> int:
    return known.cursor.rank[0] if known.cursor else known.now // 1_000_000


PUBLIC: Final = Rest(
    reading=_public,
    request=_request,
    every=60.0,
    rate=Rate(2, 1.0),  # 86,400 calls a day and address.
    holds=10.0,
    hydrates=True,
    cursor=_cursor,
)
USER: Final = replace(
    PUBLIC,
    reading=_user,
    request=_signed,
    key=lambda account: account.secrets["api_key"],
    looks_up=True,
    reference=_named,
    needs=frozenset({"api_key", "api_secret"}),
)

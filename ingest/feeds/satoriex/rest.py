"""SatoriEx, what a user is told to ask for every minute, whatever the socket said.

https://satoriex.io/en/docs/api
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

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
from ingest.feeds.satoriex.login import TOKEN_EXPIRED, api
from ingest.politeness import TOO_MANY, Politeness

_UNAUTHORIZED: Final = 401
_RATE_PAUSE: Final = 60.0
_MOST_PAGES: Final = 20


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user follows besides what is told unasked."""

    markets: tuple[str, ...] = ()


def options(account: Account) -> Options:
    return msgspec.convert(account.options, Options)


def _calls(account: Account) -> Iterator[Call]:
    yield Call("orders", "/orders")
    yield Call("balance", "/wallet/balance")
    yield Call("transactions", "/wallet/transactions")
    yield Call("positions", "/me/positions")
    for market in options(account).markets:
        path = f"/markets/{quote(market, safe='')}"
        yield Call("market", path)
        yield Call("trades", f"{path}/trades")
        yield Call("orderbook", f"{path}/orderbook")


def _request(account: Account, call: Call, _number: int) -> Request:
    query = f"?{urlencode(call.query)}" if call.query else ""
    bearer = {"authorization": f"Bearer {account.secrets['access_token']}"}
    return Request(url=api(account, call.path) + query, headers=bearer)


# ---- one round -----------------------------------------------------------------------


class _Envelope(msgspec.Struct, frozen=True):
    code: int
    msg: Any = None
    data: msgspec.Raw = msgspec.Raw()


class _Page(msgspec.Struct, frozen=True):
    """Of lists whose paging is documented, ``/feed`` and ``/oracle``: the others may."""

    items: list[msgspec.Raw]
    page: int
    size: int
    total: int


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_PAGE: Final = msgspec.json.Decoder(_Page)


@dataclass(slots=True)
class _Snapshot:
    """One round. What cannot be told is said and skipped: the next round asks again."""

    left: deque[Call]
    whole: bool = True
    polite: Politeness = field(default_factory=lambda: Politeness(_RATE_PAUSE))

    def begin(self) -> Iterable[Step]:
        return (self._go_on(),)

    def answered(self, call: Call, answer: Answer) -> Iterable[Step]:
        envelope = _envelope(answer.body)
        said = f"{call.route} was answered with {answer.status}"
        if answer.status == _UNAUTHORIZED or (envelope and envelope.code == TOKEN_EXPIRED):
            return (End(Unauthorized(said)),)
        if answer.status == TOO_MANY:
            return self.polite.about(call, answer) or ()
        if envelope is None:
            return self._skipped(f"{said}, and no JSON")
        # Success is the code's to tell, not the status's alone.
        if answer.status not in range(200, 300) or envelope.code != 0:
            return self._skipped(f"{said}, code {envelope.code}: {envelope.msg}")
        return (Keep(answer.body), *self._further(call, envelope), self._go_on())

    def failed(self, call: Call, error: Disconnected) -> Iterable[Step]:
        return self._skipped(f"{call.route}: {error}")

    def _skipped(self, why: str) -> Iterable[Step]:
        self.whole = False
        return (Report(why), self._go_on())

    def _further(self, call: Call, envelope: _Envelope) -> Iterable[Step]:
        """Put the next page of a list first; say where there are too many."""
        page = _page(envelope)
        if page is None or not page.items or page.page * page.size >= page.total:
            return ()
        if page.page != int(call.query.get("page", "1")):
            return ()  # It does not listen to us, and would tell the same for ever.
        if page.page >= _MOST_PAGES:
            self.whole = False
            return (Report(f"{call.route}: more than {_MOST_PAGES} pages"),)
        query = {"page": str(page.page + 1), "size": str(page.size)}
        self.left.appendleft(Call(call.route, call.path, query))
        return ()

    def _go_on(self) -> Step:
        return Next(self.left.popleft()) if self.left else Done(self.whole)


def _envelope(body: bytes) -> _Envelope | None:
    try:
        return _ENVELOPE.decode(body)
    except (ValueError, RecursionError):
        return None


def _page(envelope: _Envelope) -> _Page | None:
    try:
        return _PAGE.decode(envelope.data)
    except (ValueError, RecursionError):
        return None


def _reading(account: Account, _known: Known) -> _Snapshot:
    return _Snapshot(deque(_calls(account)))


REST: Final = Rest(
    reading=_reading,
    request=_request,
    every=60.0,
    rate=Rate(20, 0.1),  # A path of ours is asked once a round, where 100 a minute are allowed.
    holds=10.0,
    hydrates=True,
)

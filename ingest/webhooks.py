"""The one HTTP door: ``POST /webhooks/<provider>/<account>``, answered once the bytes are safe.

Nobody is let in who cannot prove who they are, and nobody can hold more than a small share
of the program: connections, their age, bodies and appends under way are all bounded.
https://docs.aiohttp.org/en/stable/web_lowlevel.html
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from secrets import token_hex
from time import monotonic, time_ns
from typing import Protocol

import structlog
from aiohttp import ClientError, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from ingest.delivery import Delivery, Ring, Verdict, Webhook
from ingest.listening import listen
from ingest.metrics import DeliveryMetrics
from ingest.raw_log import Ticket
from schemas.records import Kind, Raw, Via

_log = structlog.get_logger()

ROUTE = "webhook"
"""Of every delivery on raw."""
MAX_BODY = 256 * 2**10
MAX_CONNECTIONS = 256
"""One more, and the oldest that is not being answered is closed."""
_AT_ONCE = 64
"""Deliveries that wait for raw; more are asked to come later."""
_READ_WITHIN = 5.0
"""Seconds for a whole request, from connection or from the answer before it."""
_KEPT_WITHIN = 7.0
"""Seconds for raw; with ``_READ_WITHIN`` below 15, the one patience that a provider publishes.

https://assetpay.gg/docs/guides/callbacks
"""
_LATER = "5"
"""Seconds until a provider may come again."""
_SAY_AGAIN = 60.0

Outcome = str
"""A word of ``metrics.OUTCOMES``."""


class Log(Protocol):
    """Where deliveries are kept."""

    async def append(self, raw: Raw) -> Ticket: ...


@dataclass(slots=True, kw_only=True)
class Entrance:
    """One account's deliveries."""

    provider: str
    account: str
    environment: str
    webhook: Webhook
    ring: Callable[[], Ring]
    """The keys as they are now."""
    metrics: DeliveryMetrics
    is_whole: Callable[[], bool] = lambda: True
    """Whether the keys are all there: what none of them signed is then nobody's."""
    heard: Callable[[bytes], None] = lambda _body: None
    """Told the body of what was kept: it may be a reference to confirm."""
    _connection: str = field(default_factory=lambda: token_hex(6), init=False)
    _sequence: Iterator[int] = field(default_factory=count, init=False)
    _quiet_until: float = field(default=0.0, init=False)

    def raw(self, delivery: Delivery) -> Raw:
        signature = {
            name: delivery.headers[name]
            for name in self.webhook.signature
            if name in delivery.headers
        }
        return Raw(
            provider=self.provider,
            account=self.account,
            environment=self.environment,
            via=Via.WEBHOOK,
            route=ROUTE,
            kind=Kind.FRAME,
            connection=self._connection,
            sequence=next(self._sequence),
            received_at=delivery.received_at,
            signature=signature,
            value=delivery.body,
        )

    def told(self, outcome: Outcome, seconds: float) -> None:
        self.metrics.outcomes[outcome].inc()
        self.metrics.seconds.observe(seconds)
        if outcome in _WORTH_A_LINE and monotonic() > self._quiet_until:
            self._quiet_until = monotonic() + _SAY_AGAIN
            place = f"{self.provider}/{self.account}"
            _log.warning("deliveries are turned away", account=place, outcome=outcome)


_WORTH_A_LINE = {"forged", "unavailable", "too_large"}
"""Once a minute and account: our keys may be wrong, and nobody else would tell."""


class Door:
    """The server, and what it lets in."""

    def __init__(self, entrances: Iterable[Entrance], strangers: Callable[[], None]) -> None:
        self._entrances = {(each.provider, each.account): each for each in entrances}
        self._strangers = strangers
        """Told of requests that name no account of ours."""
        self._log: Log | None = None
        self._waiting: set[asyncio.Task[None]] = set()

    def admit(self, log: Log) -> None:
        """Keep deliveries from now on; before, they are asked to come later."""
        self._log = log

    def shut(self) -> None:
        """Keep nothing from now on: whoever comes is asked to come later."""
        self._log = None

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        began = monotonic()
        entrance = self._entrance(request.path)
        if entrance is None:
            self._strangers()
            return _answer(404)
        outcome = await self._outcome(request, entrance)
        entrance.told(outcome, monotonic() - began)
        return _ANSWERS[outcome]()

    def _entrance(self, path: str) -> Entrance | None:
        match path.split("/"):
            case ["", "webhooks", provider, account]:
                return self._entrances.get((provider, account))
        return None

    async def _outcome(self, request: web.BaseRequest, entrance: Entrance) -> Outcome:
        if request.method != hdrs.METH_POST:
            return "wrong_method"
        try:
            async with asyncio.timeout(_READ_WITHIN):
                body = await _body(request)
        except TimeoutError:
            return "too_slow"
        except (ClientError, ConnectionError):
            return "cut_off"
        if body is None:
            return "too_large"
        delivery = Delivery(
            headers={name.lower(): value for name, value in request.headers.items()},
            token=request.query.get("token", ""),
            body=body,
            received_at=time_ns() // 1000,
        )
        return await self._kept(entrance, delivery)

    async def _kept(self, entrance: Entrance, delivery: Delivery) -> Outcome:
        match entrance.webhook.judge(delivery, entrance.ring()):
            case Verdict.FORGED:
                return "forged" if entrance.is_whole() else "unavailable"
            case Verdict.PROBE:
                return "probed"
            case verdict:
                kept = await self._safe(entrance.raw(delivery))
                if not kept:
                    return "unavailable"
                entrance.heard(delivery.body)
                return "questioned" if verdict is Verdict.QUESTION else "kept"

    async def _safe(self, raw: Raw) -> bool:
        """Append, and return whether it is known to be safe.

        What is not known in time goes on by itself: it may be kept and told again, which
        the processors see through.
        """
        if self._log is None or len(self._waiting) >= _AT_ONCE:
            return False
        waiting = asyncio.create_task(_appended(self._log, raw))
        self._waiting.add(waiting)
        waiting.add_done_callback(self._settled)
        done, _ = await asyncio.wait({waiting}, timeout=_KEPT_WITHIN)
        return waiting in done and not waiting.cancelled() and waiting.exception() is None

    def _settled(self, waiting: asyncio.Task[None]) -> None:
        self._waiting.discard(waiting)
        if not waiting.cancelled():
            waiting.exception()  # The raw log says it, and ends the process.


async def _appended(log: Log, raw: Raw) -> None:
    await asyncio.shield(await log.append(raw))


async def _body(request: web.BaseRequest) -> bytes | None:
    """Return the bytes as they were sent, None where there are too many."""
    if (request.content_length or 0) > MAX_BODY:
        return None
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _answer(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, headers=headers)


def _parting(status: int) -> web.Response:
    """Answer somebody whose bytes we will not read to their end."""
    response = _answer(status)
    response.force_close()
    return response


_LATER_PLEASE = partial(_answer, 503, {hdrs.RETRY_AFTER: _LATER})
_ANSWERS: Mapping[Outcome, Callable[[], web.Response]] = {
    "kept": partial(_answer, 200),
    "probed": partial(_answer, 200),
    "forged": partial(_answer, 401),
    "wrong_method": partial(_answer, 405, {hdrs.ALLOW: hdrs.METH_POST}),
    "too_slow": partial(_parting, 408),
    "cut_off": partial(_parting, 400),
    "too_large": partial(_parting, 413),
    "questioned": _LATER_PLEASE,
    "unavailable": _LATER_PLEASE,
}


# ---- connections ---------------------------------------------------------------------


class _Guests(web.Server):
    """aiohttp's server, with a limit for connections; that for their age is its own."""

    def __init__(self, door: Door) -> None:
        super().__init__(
            door.answer,
            access_log=None,
            logger=_server_log,
            auto_decompress=False,  # The signature is over what was sent.
            keepalive_timeout=_READ_WITHIN,
            lingering_time=1.0,
            read_bufsize=2**16,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        guests = self.connections
        if len(guests) > MAX_CONNECTIONS:
            guests[0].force_close()


def _is_ours(record: logging.LogRecord) -> bool:
    """Leave out what is no HTTP at all: anybody can send it, as often as they like."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_server_log = logging.getLogger("penstock.webhooks")
_server_log.addFilter(_is_ours)


async def serve(door: Door, host: str, port: int) -> tuple[web.ServerRunner, str]:
    """Listen, and return what to clean up and the address that was bound."""
    runner = web.ServerRunner(_Guests(door), shutdown_timeout=_KEPT_WITHIN)
    return runner, await listen(runner, host, port, "ingest.webhooks.address")

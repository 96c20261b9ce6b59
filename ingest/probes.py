"""What the outside may ask the program: its metrics, whether it lives, whether it is ready."""

from collections.abc import Mapping
from time import monotonic

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingest.listening import listen
from ingest.metrics import Metrics

STUCK_AFTER = 60.0
"""Seconds without an acknowledged record, or a dial that was due."""


class Progress:
    """By when each feed must have moved on. Being process number one is not being alive."""

    def __init__(self) -> None:
        self._expected_by: dict[str, float] = {}
        self._ready: dict[str, bool] = {}
        self._stopped: set[str] = set()

    def expect(self, feed: str, within: float = 0.0) -> None:
        """Say that a feed moved, and that its next move may take so many seconds."""
        if feed not in self._stopped:
            self._expected_by[feed] = monotonic() + within + STUCK_AFTER

    def expect_nothing(self, feed: str) -> None:
        """Say that a feed was stopped for good: starting again would not help it."""
        self._stopped.add(feed)
        self._expected_by.pop(feed, None)
        self._ready.pop(feed, None)

    def ready(self, feed: str, *, ready: bool) -> None:
        if feed not in self._stopped:
            self._ready[feed] = ready

    def stuck(self) -> list[str]:
        now = monotonic()
        return [feed for feed, by in self._expected_by.items() if now > by]

    def waiting(self) -> list[str]:
        return [feed for feed, ready in self._ready.items() if not ready]


def application(metrics: Metrics, progress: Progress) -> web.Application:
    """Return the routes ``/metrics``, ``/health/live`` and ``/health/ready``."""

    async def tell(_request: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"content-type": CONTENT_TYPE_LATEST})

    async def live(_request: web.Request) -> web.Response:
        return _verdict({"stuck": progress.stuck()})

    async def ready(_request: web.Request) -> web.Response:
        return _verdict({"not connected": progress.waiting()})

    app = web.Application()
    app.router.add_get("/metrics", tell)
    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    return app


def _verdict(complaints: Mapping[str, list[str]]) -> web.Response:
    status = 503 if any(complaints.values()) else 200
    return web.json_response(dict(complaints), status=status)


async def serve(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, str]:
    """Listen, and return what to clean up and the address that was bound."""
    runner = web.AppRunner(app, access_log=None)
    return runner, await listen(runner, host, port, "ingest.http")

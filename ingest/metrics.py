"""What ingest counts, declared once. Label sets are closed: providers, accounts, our own words."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.records import Kind

_PREFIX = "penstock_ingest"
_FEED = ("provider", "account")
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)


@dataclass(frozen=True, slots=True)
class FeedMetrics:
    """The series of one account's feed."""

    records: dict[Kind, Counter]
    bytes: Counter
    connected: Gauge
    connected_since: Gauge
    refused: Gauge
    reports: Counter
    reconnects: dict[str, Counter]
    answers: Callable[[str, str], Counter]
    """Of a call's name, and of ``answer_of`` its status or ``none``."""
    answer_seconds: Histogram
    rounds: dict[str, Counter]
    waited: Counter
    spool_bytes: Gauge
    spool_age: Gauge
    spool_cut: Counter
    full: Gauge


@dataclass(frozen=True, slots=True)
class DeliveryMetrics:
    """The series of one account's webhooks."""

    outcomes: dict[str, Counter]
    seconds: Histogram


OUTCOMES = (
    *("kept", "questioned", "probed", "forged", "unavailable"),
    *("wrong_method", "too_large", "too_slow", "cut_off", "not_found"),
)
"""What became of a delivery. ``not_found`` is of nobody, all others of an account."""
_NOBODY = "none"

ROUNDS = ("whole", "partial", "failed")
CONSEQUENCES = (
    *("at_once", "back_off", "after", "unauthorized", "unwelcome", "unresumable", "refused"),
)


class Metrics:
    """Every series of the program."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._records = Counter(
            f"{_PREFIX}_frames",
            "Records that raw acknowledged, by kind: frames, and marks of ours",
            (*_FEED, "kind"),
            registry=registry,
        )
        self._bytes = Counter(
            f"{_PREFIX}_bytes", "Bytes that raw acknowledged", _FEED, registry=registry
        )
        self._connected = Gauge(
            f"{_PREFIX}_connected", "1 while everything is subscribed", _FEED, registry=registry
        )
        self._since = Gauge(
            f"{_PREFIX}_connected_since_seconds",
            "Unix time of the subscription, 0 if there is none",
            _FEED,
            registry=registry,
        )
        self._refused = Gauge(
            f"{_PREFIX}_refused", "1 once the feed was stopped for good", _FEED, registry=registry
        )
        self._reports = Counter(
            f"{_PREFIX}_reports", "Errors that a provider told in-band", _FEED, registry=registry
        )
        self._reconnects = Counter(
            f"{_PREFIX}_reconnects",
            "Connections that ended, by what followed",
            (*_FEED, "consequence"),
            registry=registry,
        )
        self._answers = Counter(
            f"{_PREFIX}_rest_answers",
            "Requests by the name of the call and the class of the answer",
            (*_FEED, "route", "answer"),
            registry=registry,
        )
        self._answer_seconds = Histogram(
            f"{_PREFIX}_rest_answer_seconds",
            "From a request to its whole answer",
            _FEED,
            buckets=_SECONDS,
            registry=registry,
        )
        self._rounds = Counter(
            f"{_PREFIX}_rest_rounds",
            "Rounds of REST by how they ended: all kept, not all, or with an error",
            (*_FEED, "outcome"),
            registry=registry,
        )
        self._waited = Counter(
            f"{_PREFIX}_rest_waited_seconds",
            "Time that requests waited, for our own rate or the provider's",
            _FEED,
            registry=registry,
        )
        self._spool_bytes = Gauge(
            f"{_PREFIX}_spool_bytes",
            "Bytes on disk that raw has not acknowledged; 0 while Kafka is well",
            _FEED,
            registry=registry,
        )
        self._spool_age = Gauge(
            f"{_PREFIX}_spool_age_seconds",
            "Since the oldest record on disk was received",
            _FEED,
            registry=registry,
        )
        self._spool_cut = Counter(
            f"{_PREFIX}_spool_cut_bytes",
            "Bytes on disk that an earlier process had not written whole",
            _FEED,
            registry=registry,
        )
        self._full = Gauge(
            f"{_PREFIX}_spool_full",
            "1 while reading stands still because neither Kafka nor the disk takes anything",
            _FEED,
            registry=registry,
        )
        self.in_flight = Gauge(
            f"{_PREFIX}_in_flight_bytes",
            "Bytes on their way that raw has not acknowledged",
            registry=registry,
        )
        self.append_seconds = Histogram(
            f"{_PREFIX}_append_seconds",
            "From the first record of a batch to its acknowledgement",
            buckets=_SECONDS,
            registry=registry,
        )

        self._deliveries = Counter(
            f"{_PREFIX}_deliveries",
            "Requests at the webhook door, by what became of them",
            (*_FEED, "outcome"),
            registry=registry,
        )
        self._delivery_seconds = Histogram(
            f"{_PREFIX}_delivery_seconds",
            "From a request's head to our answer",
            ("provider",),
            buckets=_SECONDS,
            registry=registry,
        )

    def of(self, provider: str, account: str) -> FeedMetrics:
        """Return the series of one feed, all of them at 0 from the start."""
        feed = (provider, account)
        return FeedMetrics(
            records={kind: self._records.labels(*feed, kind) for kind in Kind},
            bytes=self._bytes.labels(*feed),
            connected=self._connected.labels(*feed),
            connected_since=self._since.labels(*feed),
            refused=self._refused.labels(*feed),
            reports=self._reports.labels(*feed),
            reconnects={
                consequence: self._reconnects.labels(*feed, consequence)
                for consequence in CONSEQUENCES
            },
            answers=partial(self._answers.labels, *feed),
            answer_seconds=self._answer_seconds.labels(*feed),
            rounds={outcome: self._rounds.labels(*feed, outcome) for outcome in ROUNDS},
            waited=self._waited.labels(*feed),
            spool_bytes=self._spool_bytes.labels(*feed),
            spool_age=self._spool_age.labels(*feed),
            spool_cut=self._spool_cut.labels(*feed),
            full=self._full.labels(*feed),
        )

    def deliveries(self, provider: str, account: str) -> DeliveryMetrics:
        """Return the series of one account's webhooks, all of them at 0 from the start."""
        return DeliveryMetrics(
            outcomes={
                outcome: self._deliveries.labels(provider, account, outcome)
                for outcome in OUTCOMES
                if outcome != "not_found"
            },
            seconds=self._delivery_seconds.labels(provider),
        )

    def stranger(self) -> None:
        """Count a request that names no account of ours."""
        self._deliveries.labels(_NOBODY, _NOBODY, "not_found").inc()


def answer_of(status: int) -> str:
    """Return the class of an HTTP status, ``2xx`` to ``5xx``; of the rate limit, its number."""
    return "429" if status == HTTPStatus.TOO_MANY_REQUESTS else f"{min(status // 100, 5)}xx"

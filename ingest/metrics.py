"""What ingest counts, declared once. Label sets are closed: providers, accounts, our own words."""

from dataclasses import dataclass

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
        self.in_flight = Gauge(
            f"{_PREFIX}_in_flight_bytes",
            "Bytes on their way that raw has not acknowledged",
            registry=registry,
        )
        self.append_seconds = Histogram(
            f"{_PREFIX}_append_seconds",
            "From append to acknowledgement",
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
        )

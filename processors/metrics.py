"""What the processors count, declared once. Labels have closed sets of values."""

from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from processors.batch import Batch
from schemas.records import Status

_UNKNOWN = f".{Status.UNKNOWN}"
_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)

EVENTS = Counter("penstock_events", "Events written.", ["provider", "change"])
DUPLICATES = Counter("penstock_duplicates", "Facts told again.", ["provider", "via"])
UNJUDGED = Counter("penstock_unjudged", "Told again under another recipe.", ["provider"])
REJECTED = Counter("penstock_rejected", "Parts rejected.", ["provider", "reason"])
UNKNOWN = Counter(
    "penstock_unknown_statuses",
    "Events told as unknown: the provider has a word that no page lists.",
    ["provider", "payload"],
)
DRIFT = Counter(
    "penstock_unknown_fields",
    "Parts with fields that no page lists, in the one of 16 frames that is looked at.",
    ["provider", "kind"],
)
WITNESSES = Counter("penstock_witnesses", "Further paths of facts.", ["provider", "via"])
FIRST = Counter(
    "penstock_first_paths",
    "Facts that came by several paths, by the one that brought them first.",
    ["provider", "via"],
)
BEHIND = Histogram(
    "penstock_behind_first_path_seconds",
    "How long after a fact was told another path brought it; 0 if it was received before.",
    ["provider", "via"],
    buckets=(*_SECONDS, 900, 3_600, 14_400, 86_400),
)
HOLES = Counter("penstock_holes", "Holes written to coverage.", ["provider", "cause"])


class Latency(Collector):
    """A histogram by provider, for many values at once: ``Histogram`` locks twice for each."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_SECONDS) + 1))
        self._sums: dict[str, float] = defaultdict(float)
        registry.register(self)

    def observe(self, told: Iterable[tuple[str, float]]) -> None:
        """Take in providers and seconds."""
        for provider, seconds in told:
            self._counts[provider][bisect_left(_SECONDS, seconds)] += 1
            self._sums[provider] += seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "penstock_received_to_visible_seconds",
            "From received_at to the commit that made the event visible.",
            labels=["provider"],
        )
        bounds = [*map(floatToGoString, _SECONDS), "+Inf"]
        for provider, counts in self._counts.items():
            buckets = [*zip(bounds, accumulate(counts), strict=True)]
            family.add_metric([provider], buckets, self._sums[provider])
        yield family


LATENCY = Latency()
COMMIT = Histogram("penstock_transaction_seconds", "One whole transaction.", buckets=_SECONDS)
TASKS = Gauge("penstock_tasks", "Partitions that this worker owns and has restored.")
REMEMBERED = Gauge("penstock_remembered_facts", "About how many.", ["partition"])
DISAGREEMENTS = Counter(
    "penstock_position_disagreements",
    "Inputs whose committed offset was ahead of the position in state when a task took over.",
    ["topic"],
)


def committed(batch: Batch, seconds: float, visible_at: int) -> None:
    """Count a batch whose transaction is committed; ``visible_at`` in microseconds."""
    COMMIT.observe(seconds)
    _count_events(batch)
    _count(DUPLICATES, batch.duplicates)
    _count(UNJUDGED, [(provider,) for provider in batch.unjudged])
    _count(REJECTED, [(rejected.provider, rejected.reason) for rejected in batch.rejected])
    _count(WITNESSES, [(witness.provider, witness.via) for witness in batch.witnesses])
    LATENCY.observe((e.provider, (visible_at - e.received_at) / 1e6) for e, _ in batch.events)
    for further in batch.further:
        BEHIND.labels(further.provider, further.via).observe(max(further.behind, 0))
        if further.first:
            FIRST.labels(further.provider, further.first).inc()
    for hole in batch.coverage:
        if hole.kind == "hole":
            HOLES.labels(hole.provider, hole.cause).inc()
    _count(DRIFT, [(drift.provider, drift.kind) for drift in batch.drifts])


def _count_events(batch: Batch) -> None:
    told = Tally([(event.provider, event.change, event.type) for event, _ in batch.events])
    for (provider, change, name), number in told.items():
        EVENTS.labels(provider, change).inc(number)
        if name.endswith(_UNKNOWN):
            UNKNOWN.labels(provider, name.removesuffix(_UNKNOWN)).inc(number)


def _count(counter: Counter, seen: Iterable[tuple[str, ...]]) -> None:
    """Count each set of labels once: to find its child costs more than most of our work."""
    for labels, number in Tally(seen).items():
        counter.labels(*labels).inc(number)

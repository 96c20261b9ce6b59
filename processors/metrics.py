"""What the processors count, declared once. Labels have closed sets of values."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

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
LATENCY = Histogram(
    "penstock_received_to_visible_seconds",
    "From received_at to the commit that made the event visible.",
    ["provider"],
    buckets=_SECONDS,
)
COMMIT = Histogram("penstock_transaction_seconds", "One whole transaction.", buckets=_SECONDS)
TASKS = Gauge("penstock_tasks", "Partitions that this worker owns and has restored.")
REMEMBERED = Gauge("penstock_remembered_facts", "About how many.", ["partition"])
DISAGREEMENTS = Counter(
    "penstock_position_disagreements",
    "Inputs whose committed offset was not the position in state when a task took over.",
    ["topic"],
)


def committed(batch: Batch, seconds: float, visible_at: int) -> None:
    """Count a batch whose transaction is committed; ``visible_at`` in microseconds."""
    COMMIT.observe(seconds)
    _count_news(batch)
    _count(EVENTS, [(event.provider, event.change) for event, _ in batch.events])
    _count(DUPLICATES, batch.duplicates)
    _count(UNJUDGED, [(provider,) for provider in batch.unjudged])
    _count(REJECTED, [(rejected.provider, rejected.reason) for rejected in batch.rejected])
    _count(WITNESSES, [(witness.provider, witness.via) for witness in batch.witnesses])
    latency = {name: LATENCY.labels(name) for name in {e.provider for e, _ in batch.events}}
    for event, _ in batch.events:
        latency[event.provider].observe((visible_at - event.received_at) / 1e6)
    for further in batch.further:
        BEHIND.labels(further.provider, further.via).observe(max(further.behind, 0))
        if further.first:
            FIRST.labels(further.provider, further.first).inc()
    for hole in batch.coverage:
        if hole.kind == "hole":
            HOLES.labels(hole.provider, hole.cause).inc()


def _count_news(batch: Batch) -> None:
    """Count what providers said that no page of theirs lists."""
    for event, _ in batch.events:
        if event.type.endswith(_UNKNOWN):
            UNKNOWN.labels(event.provider, event.type.removesuffix(_UNKNOWN)).inc()
    for drift in batch.drifts:
        DRIFT.labels(drift.provider, drift.kind).inc()


def _count(counter: Counter, seen: Iterable[tuple[str, ...]]) -> None:
    """Count each set of labels once: to find its child costs more than most of our work."""
    for labels, number in Tally(seen).items():
        counter.labels(*labels).inc(number)

"""What the processors count is told as Prometheus tells it."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from processors.metrics import Latency

SECONDS = [0.0, 0.004, 0.005, 0.0051, 0.02, 59.9, 60.0, 300.0, 301.0, -1.0]


def test_latency_is_told_as_the_librarys_histogram_tells_it() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    latency = Latency(ours)
    bounds = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
    plain = Histogram(
        "penstock_received_to_visible_seconds",
        "From received_at to the commit that made the event visible.",
        ["provider"],
        buckets=bounds,
        registry=theirs,
    )
    for provider, some in (("pepay", SECONDS), ("paymium", SECONDS[:3]), ("pepay", SECONDS[3:])):
        latency.observe((provider, seconds) for seconds in some)
        for seconds in some:
            plain.labels(provider).observe(seconds)

    def told(registry: CollectorRegistry) -> list[str]:
        lines = generate_latest(registry).decode().splitlines()
        return [line for line in lines if "_created" not in line]

    assert told(ours) == told(theirs)

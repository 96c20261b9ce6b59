"""The programs' own figures, read from ``/metrics`` and kept over their restarts."""

from collections import defaultdict
from operator import add
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

_SECONDS: Final = 1.0


class Counts:
    """Counters of one program. A restart begins them anew at 0, and loses nothing here."""

    def __init__(self) -> None:
        self._before: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._now: dict[tuple[str, str], float] = {}

    def read(self, address: str) -> None:
        """Take the figures from a program at ``host:port``; the old ones stay if it is away."""
        try:
            answer = httpx.get(f"http://{address}/metrics", timeout=_SECONDS)
        except httpx.TransportError:
            return
        found = _by_provider(answer.text)
        for name, value in self._now.items():
            if found.get(name, 0) < value:
                self._before[name] += value
        self._now = found

    def of(self, series: str, provider: str) -> int:
        """Return a counter of one provider, summed over its other labels."""
        name = (series, provider)
        return int(self._before[name] + self._now.get(name, 0))

    def gauge(self, series: str, provider: str) -> float:
        """Return the largest of one provider's: it may have several accounts."""
        return self._now.get((series, provider), 0.0)


def _by_provider(text: str) -> dict[tuple[str, str], float]:
    figures: defaultdict[tuple[str, str], float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if "provider" in sample.labels and sample.labels.get("kind", "frame") == "frame":
                key = (sample.name, sample.labels["provider"])
                is_gauge = family.type == "gauge"
                figures[key] = (max if is_gauge else add)(figures[key], sample.value)
    return dict(figures)

"""What lies between the topics that must be and the topics that are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the cluster tells it."""

    partitions: int
    replication: int
    settings: Mapping[str, str]
    """All of them, also those that nobody set."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Work to do; nothing to do where all three are empty."""

    missing: tuple[Topic, ...]
    differing: Mapping[str, Mapping[str, str]]
    """Topic → the settings that must change, and to what."""
    refused: tuple[str, ...]
    """One line for each difference that cannot be mended in place."""
    lines: tuple[str, ...]
    """All of it, one line each."""


def plan(wanted: Iterable[Topic], found: Mapping[str, Found]) -> Plan:
    """Compare what must be with what is."""
    topics = tuple(wanted)
    missing = tuple(topic for topic in topics if topic.name not in found)
    there = [(topic, found[topic.name]) for topic in topics if topic.name in found]
    differing = {topic.name: differs for topic, has in there if (differs := _settings(topic, has))}
    refused = tuple(line for topic, has in there for line in _fixed_for_life(topic, has))
    return Plan(missing, differing, refused, tuple(_told(missing, differing, refused, found)))


def _settings(topic: Topic, found: Found) -> Mapping[str, str]:
    return {
        name: value for name, value in topic.settings.items() if found.settings.get(name) != value
    }


def _fixed_for_life(topic: Topic, found: Found) -> Iterator[str]:
    if found.partitions != topic.partitions:
        yield (
            f"{topic.name}: has {found.partitions} partitions, wanted {topic.partitions}: a "
            "partition count is fixed for life, since it decides where a key lives; say "
            f"--partitions {found.partitions}, or use another cluster"
        )
    if found.replication != topic.replication:
        yield (
            f"{topic.name}: has {found.replication} replicas, wanted {topic.replication}: say "
            f"--replication {found.replication}, or move them with kafka-reassign-partitions"
        )


def _told(
    missing: tuple[Topic, ...],
    differing: Mapping[str, Mapping[str, str]],
    refused: tuple[str, ...],
    found: Mapping[str, Found],
) -> Iterator[str]:
    for topic in missing:
        yield f"{topic.name}: missing"
    for name, settings in differing.items():
        for setting, value in settings.items():
            has = found[name].settings.get(setting, "unknown to the broker")
            yield f"{name}: {setting} is {has}, wanted {value}"
    yield from refused

"""Holes, what closes them, and what is left of a day."""

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from penstock.__main__ import app
from penstock.gaps import Day, days, holes
from penstock.stack import Stack
from schemas import topics
from schemas.codec import confluent, encode_coverage
from schemas.records import Coverage
from schemas.registry import Registry, schema_ids


def at(text: str) -> int:
    """Return microseconds of ``dd hh:mm`` in November 2026."""
    moment = datetime.strptime(f"2026-11-{text} +0000", "%Y-%m-%d %H:%M %z")
    return int(moment.timestamp()) * 1_000_000


NOW = at("10 12:00")


def hole(begin: str, end: str, **told: object) -> Coverage:
    return record("hole", begin, end, cause="silent", **told)


def recovery(begin: str, end: str, *, complete: bool = True, **told: object) -> Coverage:
    return record("recovery", begin, end, recovered_by="backfill", complete=complete, **told)


def record(kind: str, begin: str, end: str, **told: object) -> Coverage:
    return Coverage(
        **{  # type: ignore[arg-type]
            "kind": kind,
            "provider": "acme",
            "account": "main",
            "environment": "sandbox",
            "channel": "orders",
            "from_at": at(begin),
            "to_at": at(end),
            "cause": "",
            "complete": False,
            "topic": "raw.acme",
            "partition": 0,
            "offset": 1,
            "recorded_at": at(end),
            **told,
        }
    )


def only(*records: Coverage) -> Day:
    (day,) = days(holes(records), NOW)
    return day


def test_a_hole_that_nothing_read_back_is_missing() -> None:
    day = only(hole("01 06:00", "01 12:00"))
    assert day.missing == at("01 12:00") - at("01 06:00")
    assert day.completeness == 75.0
    assert day.timeline == "██████······████████████"


@pytest.mark.parametrize("told", [-1, 1], ids=["before", "after"])
def test_a_hole_that_a_backfill_closed_is_closed(told: int) -> None:
    records = [hole("01 06:00", "01 12:00"), recovery("01 05:59", "01 12:01")]
    day = only(*records[::told])
    assert (day.missing, day.completeness) == (0, 100.0)
    assert day.timeline == "██████▒▒▒▒▒▒████████████"
    assert day.holes[0].closed_by == ("backfill",)


def test_what_is_left_of_a_hole_stays_open() -> None:
    day = only(hole("01 06:00", "01 12:00"), recovery("01 07:00", "01 10:00"))
    assert day.missing == at("01 03:00") - at("01 00:00")
    assert day.timeline == "██████·▒▒▒··████████████"


@pytest.mark.parametrize(
    "other",
    [
        recovery("01 06:00", "01 12:00", complete=False),
        recovery("01 06:00", "01 12:00", channel="trades"),
        recovery("01 06:00", "01 12:00", account="other"),
        recovery("01 00:00", "01 06:00"),
    ],
)
def test_what_is_incomplete_or_of_another_channel_closes_nothing(other: Coverage) -> None:
    assert only(hole("01 06:00", "01 12:00"), other).completeness == 75.0


def test_what_two_channels_miss_at_once_counts_once() -> None:
    day = only(hole("01 06:00", "01 12:00"), hole("01 09:00", "01 15:00", channel="trades"))
    assert day.missing == at("01 09:00") - at("01 00:00")


def test_a_hole_over_midnight_is_of_both_days_and_today_is_not_over() -> None:
    found = days(holes([hole("09 23:00", "10 06:00")]), NOW)
    assert [(day.day.day, day.completeness) for day in found] == [
        (10, 50.0),
        (9, pytest.approx(100 * 23 / 24)),
    ]


def write(stack: Stack, records: Sequence[Coverage]) -> None:
    number = schema_ids(Registry(stack.registry_url))[topics.COVERAGE]
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    for one in records:
        producer.produce(topics.COVERAGE, confluent(number) + encode_coverage(one), "key")
    assert producer.flush(30) == 0


def test_the_command_lists_what_a_real_topic_holds(prepared_stack: Stack) -> None:
    account = uuid4().hex[:8]
    write(
        prepared_stack,
        [
            hole("01 06:00", "01 12:00", account=account),
            hole("02 06:00", "02 07:00", account=account),
            recovery("02 06:00", "02 07:00", account=account),
        ],
    )
    where = [
        *("--bootstrap-servers", prepared_stack.bootstrap_servers),
        *("--registry-url", prepared_stack.registry_url, "--account", account),
    ]
    answer = CliRunner().invoke(app, ["gaps", *where, "--json"])
    assert answer.exit_code == 1
    closed, left = (json.loads(line) for line in answer.output.splitlines())
    assert (closed["day"], closed["completeness"], closed["holes"][0]["closed_by"]) == (
        "2026-11-02",
        100.0,
        ["backfill"],
    )
    assert (left["day"], left["completeness"], left["holes"][0]["cause"]) == (
        "2026-11-01",
        75.0,
        "silent",
    )
    assert left["holes"][0]["left"] == [["2026-11-01T06:00:00.000Z", "2026-11-01T12:00:00.000Z"]]
    table = CliRunner().invoke(app, ["gaps", *where, "--since", "2026-11-02"])
    assert table.exit_code == 0, "what was read back is not missing"
    assert "closed by backfill" in table.output
    assert "100.00 %" in table.output
    assert CliRunner().invoke(app, ["gaps", *where, "--until", "2026-10-01"]).output == "no holes\n"

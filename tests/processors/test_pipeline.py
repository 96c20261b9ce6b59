"""Identity, conflict, change, staleness, witnesses: the rules, on an invented provider."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from processors.batch import Batch
from processors.errors import Malformed, Unverified
from processors.frame import Delivered, foreign
from processors.judging import HORIZON
from processors.mapper import Keys, Mapper, Part, Route, Statement, Wire, money
from processors.pipeline import WHOLE, Guard, process
from schemas.codec import raw_record
from schemas.records import (
    Authority,
    Event,
    Kind,
    Notice,
    OpenEntity,
    Position,
    Raw,
    Reason,
    Rejected,
    Status,
    Transfer,
    Via,
)
from schemas.redrive import again, redrive
from tests.processors.memory import Remembered

NOW = 1_700_000_000_000_000
KEYS = Keys(reference_id="r1", reference=b"reference")


class _Payment(Wire):
    id: str
    status: str
    amount: Decimal
    version: int | None = None
    at: int = NOW


_RANK = {"created": 0, "processing": 1, "completed": 2, "refunded": 3}


def _fact(wire: _Payment, part: Part, keys: Keys) -> Iterator[Statement]:
    if wire.id == "":
        raise Malformed("$.id: expected an id, found none")
    version = None if wire.version is None else (wire.version, 0)
    yield Statement(
        payload=Transfer(
            direction="in",
            method="bank",
            status=wire.status,
            provider_status=wire.status.upper(),
            gross=money(wire.amount, "eur", "$.amount"),
        ),
        action=wire.status,
        provider_type=part.kind,
        entity_kind="payment",
        entity_id=wire.id,
        identity=("payment", wire.id, wire.status, str(wire.version or "")),
        occurred_at=wire.at,
        status=Status(wire.status),
        version=version,
        rank=_RANK[wire.status],
        is_final=wire.status == "completed",
        stakes=(wire.status, wire.amount, "EUR"),
        recipe=2 if part.kind == "payment.v2" else 1,
    )


class _Weather(Wire):
    text: str


def _observation(wire: _Weather, part: Part, keys: Keys) -> Iterator[Statement]:
    yield Statement(
        payload=Notice(topic="weather", text=wire.text),
        action="observed",
        provider_type=part.kind,
        entity_kind="weather",
        entity_id="today",
    )


def _pairs(wire: list[_Payment], part: Part, keys: Keys) -> Iterator[Statement]:
    for payment in wire:
        yield from _fact(payment, part, keys)


def _open(raw: Raw, keys: Keys) -> Iterable[Part]:
    parts = msgspec.json.decode(raw.value, type=list[tuple[str, msgspec.Raw]])
    for number, (kind, body) in enumerate(parts):
        yield Part(
            kind,
            bytes(body),
            pointer=f"/{number}/1",
            authority=Authority.SIGNED if raw.route == "signed" else None,
        )


ACME = Mapper(
    provider="acme",
    version=1,
    open=_open,
    routes={
        "payment": Route(msgspec.json.Decoder(_Payment), _fact),
        "payment.v2": Route(msgspec.json.Decoder(_Payment), _fact),
        "payments": Route(msgspec.json.Decoder(list[_Payment]), _pairs),
        "weather": Route(msgspec.json.Decoder(_Weather), _observation),
    },
    silent=frozenset({"hello"}),
)


class Desk:
    """A task without Kafka: one frame, one transaction."""

    def __init__(self) -> None:
        self.state = Remembered()
        self.sequence = 0
        self.guard: Guard | None = None

    def tell(
        self,
        *parts: tuple[str, object],
        via: Via = Via.SOCKET,
        route: str = "payments",
        received_at: int = NOW,
        value: bytes | None = None,
        mapper: Mapper = ACME,
    ) -> Batch:
        self.sequence += 1
        raw = Raw(
            provider="acme",
            account="main",
            environment="sandbox",
            via=via,
            route=route,
            kind=Kind.FRAME,
            connection="c1",
            sequence=self.sequence,
            received_at=received_at,
            value=json.dumps(parts).encode() if value is None else value,
        )
        return self.commit(raw, mapper)

    def redrive(self, rejected: Rejected, mapper: Mapper) -> Batch:
        """Let a rejected part be judged again, as the task does."""
        record = redrive(rejected)
        told = again(record.headers)
        batch = Batch(self.state, NOW + 2)
        raw = raw_record(record.headers, record.value)
        process(raw, told.of, mapper, KEYS, batch, again=told)
        self.state.apply(batch)
        return batch

    def commit(self, raw: Raw, mapper: Mapper = ACME) -> Batch:
        batch = Batch(self.state, NOW + 1)
        process(raw, Position("raw.acme", 0, self.sequence), mapper, KEYS, batch, self.guard)
        self.state.apply(batch)
        return batch


def payment(status: str, amount: str = "30", **more: object) -> tuple[str, object]:
    return "payment", {"id": "p1", "status": status, "amount": amount, **more}


def test_a_new_fact_is_published_once_with_its_evidence() -> None:
    batch = Desk().tell(payment("created", version=1))
    ((event, encoded),) = batch.events
    assert event.id == "acme/main/payment/p1/created/1"
    assert event.type == "transfer.created"
    assert event.key == "acme/main/payment/p1"
    assert (event.entity_sequence, event.change, event.is_stale) == (1, "status", False)
    assert event.evidence.topic == "raw.acme"
    assert event.evidence.part == "/0/1"
    assert event.time_source == "provider"
    assert event.transfer is not None
    assert event.transfer.gross is not None
    assert event.transfer.gross.amount == Decimal(30)
    assert encoded
    assert batch.rejected == []


def test_the_same_fact_again_is_a_duplicate_even_with_other_zeros() -> None:
    desk = Desk()
    desk.tell(payment("created", "30", version=1))
    again = desk.tell(payment("created", "30.0", version=1))
    assert again.events == again.rejected == []
    assert again.duplicates == [("acme", "socket")]


def test_a_duplicate_within_one_transaction_is_seen_too() -> None:
    batch = Desk().tell(payment("created", version=1), payment("created", version=1))
    assert len(batch.events) == 1
    assert batch.duplicates == [("acme", "socket")]


def test_the_same_identity_with_other_stakes_is_a_conflict() -> None:
    desk = Desk()
    desk.tell(payment("created", "30", version=1))
    (rejected,) = desk.tell(payment("created", "31", version=1)).rejected
    assert rejected.reason is Reason.CONFLICT
    assert rejected.fact_id == "acme/main/payment/p1/created/1"
    assert (rejected.entity_kind, rejected.entity_id) == ("payment", "p1")
    assert "raw.acme offset 1" in rejected.message


def test_another_recipe_cannot_be_judged_and_counts_as_a_duplicate() -> None:
    desk = Desk()
    desk.tell(payment("created", "30", version=1))
    batch = desk.tell(
        ("payment.v2", {"id": "p1", "status": "created", "amount": "31", "version": 1})
    )
    assert batch.events == batch.rejected == []
    assert batch.unjudged == ["acme"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([("processing", "30", 1), ("completed", "30", 2)], ("status", False)),
        ([("completed", "30", 1), ("completed", "30", 2)], ("none", False)),
        ([("completed", "30", 1), ("completed", "31", 2)], ("stakes", False)),
        ([("completed", "30", 2), ("processing", "30", 1)], ("status", True)),
        ([("completed", "30", 2), ("refunded", "30", 3)], ("status", False)),
        ([("completed", "30", None), ("refunded", "30", None)], ("status", False)),
        ([("completed", "30", 5), ("processing", "30", None)], ("status", True)),
        (
            [("processing", "30", 1), ("completed", "30", 2), ("processing", "30", 3)],
            ("none", False),
        ),
        (
            [("completed", "30", 10), ("completed", "30", None), ("completed", "30", 9)],
            ("none", True),
        ),
    ],
)
def test_change_and_staleness_of_the_last_fact(
    told: list[tuple[str, str, int | None]], expected: tuple[str, bool]
) -> None:
    desk = Desk()
    for status, amount, version in told:
        batch = desk.tell(payment(status, amount, version=version))
    ((event, _),) = batch.events
    assert (event.change, event.is_stale) == expected
    assert event.entity_sequence == len(told)


def test_a_further_path_is_a_witness_the_first_time_only() -> None:
    desk = Desk()
    desk.tell(payment("completed", version=1))
    by_rest = desk.tell(payment("completed", version=1), via=Via.POLL)
    (witness,) = by_rest.witnesses
    assert (witness.id, witness.via, witness.authority) == (
        "acme/main/payment/p1/completed/1",
        "poll",
        "read_back",
    )
    assert desk.tell(payment("completed", version=1), via=Via.POLL).witnesses == []
    signed = desk.tell(payment("completed", version=1), route="signed")
    assert [witness.authority for witness in signed.witnesses] == ["signed"]


@pytest.mark.parametrize(
    ("told", "further"),
    [
        ([(Via.SOCKET, 0), (Via.POLL, 61.5)], [("socket", "poll", 61.5)]),
        ([(Via.POLL, 2), (Via.SOCKET, 0.5)], [("socket", "socket", -1.5)]),
        (
            [(Via.SOCKET, 0), (Via.WEBHOOK, 0.25), (Via.POLL, 9)],
            [("socket", "webhook", 0.25), (None, "poll", 9)],
        ),
        ([(Via.SOCKET, 0), (Via.SOCKET, 5)], []),
        ([(Via.SOCKET, 0), (Via.BACKFILL, 390 * 86_400)], [("socket", "backfill", 390 * 86_400)]),
    ],
)
def test_which_path_was_first_and_how_far_another_was_behind(
    told: list[tuple[Via, float]], further: list[tuple[str | None, str, float]]
) -> None:
    desk = Desk()
    found = []
    for via, seconds in told:
        at = NOW + round(seconds * 1_000_000)
        found += desk.tell(payment("completed", version=1), via=via, received_at=at).further
    assert [(one.first, one.via, one.behind) for one in found] == further


Told = tuple[str, int | None]


@pytest.mark.parametrize(
    ("told", "turns"),
    [
        ([("created", 1)], ["created"]),
        ([("created", 1), ("processing", 2)], ["created", "-"]),
        ([("created", 1), ("completed", 2)], ["created", "closed"]),
        ([("completed", 2)], ["-"]),
        ([("completed", 2), ("processing", 1)], ["-", "-"]),
        ([("completed", None), ("processing", None)], ["-", "-"]),
        ([("completed", 2), ("processing", 3)], ["-", "processing"]),
        (
            [("created", 1), ("completed", 2), ("processing", 3)],
            ["created", "closed", "processing"],
        ),
    ],
)
def test_an_entity_is_open_while_its_last_fact_is_not_final(
    told: list[Told], turns: list[str]
) -> None:
    desk = Desk()
    found = []
    for status, version in told:
        opened = desk.tell(payment(status, version=version)).opened
        assert opened.keys() <= {"acme/main/payment/p1"}
        found += [entity.status if entity else "closed" for entity in opened.values()] or ["-"]
    assert found == turns


def test_what_opens_and_closes_in_one_transaction_did_not_turn() -> None:
    several = [
        {"id": "p1", "status": "created", "amount": "1", "version": 1},
        {"id": "p1", "status": "completed", "amount": "1", "version": 2},
    ]
    assert Desk().tell(("payments", several)).opened == {}
    parts = payment("created", version=1), payment("completed", version=2)
    assert Desk().tell(*parts).opened == {}
    desk = Desk()
    desk.tell(payment("created", version=1))
    batch = desk.tell(payment("completed", version=2), payment("processing", version=3))
    assert batch.opened == {}, "it was open before, and is again"


def test_an_open_entity_says_since_when_and_by_which_status() -> None:
    batch = Desk().tell(payment("created", at=NOW - 5))
    assert batch.opened == {
        "acme/main/payment/p1": OpenEntity(
            provider="acme",
            account="main",
            entity_kind="payment",
            entity_id="p1",
            status="created",
            since=NOW - 5,
        )
    }


def test_an_observation_opens_nothing() -> None:
    assert Desk().tell(("weather", {"text": "rain"})).opened == {}


def test_a_part_is_rejected_whole_and_takes_no_neighbour_along() -> None:
    several = [
        {"id": "p2", "status": "created", "amount": "1"},
        {"id": "", "status": "created", "amount": "1"},
    ]
    batch = Desk().tell(("payments", several), payment("created"), ("hello", {}))
    assert [event.entity_id for event, _ in batch.events] == ["p1"]
    (rejected,) = batch.rejected
    assert (rejected.part, rejected.reason) == ("/0/1", Reason.MALFORMED)
    assert batch.facts.keys() == {*Desk().tell(payment("created")).facts}


def test_several_facts_of_one_entity_in_one_part_keep_their_order() -> None:
    several = [
        {"id": "p1", "status": "created", "amount": "1", "version": 1},
        {"id": "p1", "status": "completed", "amount": "1", "version": 2},
    ]
    batch = Desk().tell(("payments", several))
    assert [(e.entity_sequence, e.change) for e, _ in batch.events] == [
        (1, "status"),
        (2, "status"),
    ]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (("surprise", {}), Reason.UNKNOWN_KIND),
        (("payment", {"id": 1}), Reason.MALFORMED),
        (payment("created", "-1"), Reason.INVALID_VALUE),
        (payment("created", "NaN"), Reason.INVALID_VALUE),
        (payment("created", "1e999999"), Reason.INVALID_VALUE),
        (payment("created", "123456789012345678901"), Reason.INVALID_VALUE),
        (payment("created", at=-1), Reason.INVALID_VALUE),
        (payment("created", at=NOW - HORIZON - 1), Reason.BEYOND_HORIZON),
    ],
)
def test_what_cannot_be_told_is_rejected_with_its_reason(
    part: tuple[str, object], reason: Reason
) -> None:
    batch = Desk().tell(part)
    assert [rejected.reason for rejected in batch.rejected] == [reason]
    assert batch.events == []


def test_a_replay_years_later_is_judged_by_its_own_clock() -> None:
    batch = Desk().tell(payment("created", at=NOW - HORIZON), received_at=NOW)
    assert len(batch.events) == 1


def test_an_event_larger_than_the_broker_takes_is_rejected() -> None:
    long = "x" * 2**20
    batch = Desk().tell(("payment", {"id": long, "status": "created", "amount": "1"}))
    assert [rejected.reason for rejected in batch.rejected] == [Reason.TOO_LARGE]
    assert batch.facts == {}


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"[" * 100_000, b"{", b"null"])
def test_a_frame_that_cannot_be_opened_is_one_rejected_part(value: bytes) -> None:
    (rejected,) = Desk().tell(value=value).rejected
    assert (rejected.reason, rejected.part) == (Reason.MALFORMED, "")
    assert rejected.value == value[: 2**20]


def test_an_observation_is_named_by_where_it_was_heard() -> None:
    desk = Desk()
    desk.tell()
    ((event, _),) = desk.tell(("weather", {"text": "rain"})).events
    assert event.id == "acme/main/c1/2/0"
    assert (event.is_fact, event.entity_sequence, event.change) == (False, 0, "none")
    assert event.time_source == "received"
    assert event.occurred_at == NOW


def test_a_polled_observation_is_told_only_when_it_differs() -> None:
    desk = Desk()
    rain = ("weather", {"text": "rain"})
    told = [
        len(desk.tell(rain, via=Via.POLL).events),
        len(desk.tell(rain, via=Via.POLL).events),
        len(desk.tell(("weather", {"text": "sun"}), via=Via.POLL).events),
        len(desk.tell(rain, via=Via.SOCKET).events),
        len(desk.tell(rain, via=Via.SOCKET).events),
    ]
    assert told == [1, 0, 1, 1, 1]


def test_a_record_that_ingest_did_not_write_is_rejected_with_its_position() -> None:
    delivered = Delivered((("x", b"1"),), b"?", Position("raw.acme", 3, 9))
    rejected = foreign(delivered, ACME, ValueError("none"), NOW)
    assert (rejected.reason, rejected.partition, rejected.offset) == (Reason.MALFORMED, 3, 9)


class Condemned:
    """Some parts killed their task before."""

    def __init__(self, *parts: int) -> None:
        self.parts = parts
        self.entered: list[int] = []

    def is_condemned(self, position: Position, part: int) -> bool:
        return part in self.parts

    def enter(self, position: Position, part: int) -> None:
        self.entered.append(part)


def test_a_part_that_killed_its_task_is_rejected_and_takes_no_neighbour_along() -> None:
    desk = Desk()
    desk.guard = guard = Condemned(0)
    batch = desk.tell(payment("created"), ("hello", {}), payment("completed"))
    assert [(rejected.reason, rejected.part) for rejected in batch.rejected] == [
        (Reason.CRASHED, "/0/1")
    ]
    assert [event.type for event, _ in batch.events] == ["transfer.completed"]
    assert guard.entered == [WHOLE, 1, 2]


def test_a_frame_that_died_before_its_parts_is_rejected_unopened() -> None:
    desk = Desk()
    desk.guard = Condemned(WHOLE)
    (rejected,) = desk.tell(payment("created")).rejected
    assert (rejected.reason, rejected.part) == (Reason.CRASHED, "")


# ---- redrive --------------------------------------------------------------------------

BETTER = replace(
    ACME,
    version=2,
    routes={
        **ACME.routes,
        "payment.new": Route(msgspec.json.Decoder(_Payment), _fact),
        "weather.new": Route(msgspec.json.Decoder(_Weather), _observation),
    },
)


def test_a_mapper_that_is_mended_tells_what_the_right_one_would_have_told() -> None:
    """The promise: the same ids and payloads, each once, with the original's evidence."""
    frame = [
        payment("created", version=1),
        ("payment.new", {"id": "p2", "status": "completed", "amount": "7"}),
        ("weather.new", {"text": "rain"}),
        ("weather", {"text": "sun"}),
    ]
    right, late = Desk(), Desk()
    right_events = [event for event, _ in right.tell(*frame, mapper=BETTER).events]
    first = late.tell(*frame)
    assert [rejected.part for rejected in first.rejected] == ["/1/1", "/2/1"]
    redriven = [late.redrive(rejected, BETTER) for rejected in first.rejected]
    late_events = [event for batch in (first, *redriven) for event, _ in batch.events]
    assert {told(event) for event in late_events} == {told(event) for event in right_events}
    assert len(late_events) == len(right_events)
    assert all(batch.duplicates == [] for batch in redriven), "neighbours are let alone"
    assert {event.evidence.offset for event in late_events} == {1}
    assert {event.received_at for event in late_events} == {NOW}
    repeated = [late.redrive(rejected, BETTER).events for rejected in first.rejected]
    assert repeated == [[], []], "a redrive that is repeated tells nothing twice"


def told(event: Event) -> tuple[str, bytes]:
    payload = event.transfer or event.notice
    return event.id, msgspec.json.encode(payload)


def test_a_frame_that_opens_at_last_is_told_whole() -> None:
    def sealed(raw: Raw, keys: Keys) -> Iterable[Part]:
        raise Unverified("token: expected one of 0 keys to have signed it, none has")

    desk = Desk()
    (rejected,) = desk.tell(payment("created"), mapper=replace(ACME, open=sealed)).rejected
    again_rejected = desk.redrive(rejected, replace(ACME, open=sealed)).rejected
    assert [(one.attempt, one.offset) for one in again_rejected] == [(2, 1)]
    assert len(desk.redrive(rejected, ACME).events) == 1


def test_marks_and_late_frames_do_not_move_coverage() -> None:
    desk = Desk()
    (rejected,) = desk.tell(("surprise", {})).rejected
    batch = desk.redrive(rejected, ACME)
    assert (batch.channels, batch.coverage) == ({}, [])


def test_polled_readings_that_repeat_are_told_once_when_they_are_judged_late_too() -> None:
    desk = Desk()
    polled = [
        desk.tell(("weather.new", {"text": text}), via=Via.POLL).rejected
        for text in ("rain", "rain", "sun", "sun", "rain")
    ]
    late = [desk.redrive(rejected, BETTER).events for (rejected,) in polled]
    assert [len(events) for events in late] == [1, 0, 1, 0, 1]


def test_a_mark_that_cannot_be_read_is_rejected_and_stops_nobody() -> None:
    raw = Raw(
        provider="acme",
        account="main",
        environment="sandbox",
        via=Via.SOCKET,
        route="orders",
        kind=Kind.RECOVERED,
        connection="c1",
        sequence=1,
        received_at=NOW,
        value=b"{}",
    )
    (rejected,) = Desk().commit(raw).rejected
    assert rejected.reason is Reason.MALFORMED

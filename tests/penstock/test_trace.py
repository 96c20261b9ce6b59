"""An event held against bytes: the right ones, others, and none."""

from dataclasses import replace

import msgspec

from penstock.trace import Held, Nothing, hold
from processors.batch import Batch
from processors.mapper import Keys
from processors.mappers import MAPPERS
from processors.pipeline import process
from schemas.records import Event, Kind, Position, Raw, Via
from tests.end_to_end.raw_writer import invoice

PEPAY = MAPPERS["pepay"]
KEYS = Keys(reference_id="r1", reference=b"test")
RAW = Raw(
    provider="pepay",
    account="shop",
    environment="sandbox",
    via=Via.SOCKET,
    route="commerce",
    kind=Kind.FRAME,
    connection="c",
    sequence=1,
    received_at=1_763_700_001_000_000,
    value=invoice(1),
)


def told(raw: Raw) -> Event:
    batch = Batch(Nothing(), raw.received_at)
    process(raw, Position("raw.pepay", 0, 7), PEPAY, KEYS, batch)
    ((event, _),) = batch.events
    return event


EVENT = told(RAW)


def verdicts(held: Held) -> tuple[bool | None, bool | None, bool | None]:
    return held.sha256.holds, held.signature.holds, held.told_again.holds


def test_what_a_frame_told_holds_against_it() -> None:
    held = hold(EVENT, RAW, PEPAY, KEYS)
    assert verdicts(held) == (True, None, True), "nothing is signed on this socket"
    assert not held.is_false


def test_another_frame_in_its_place_is_found_out() -> None:
    other = msgspec.structs.replace(RAW, value=invoice(1) + b" ")
    held = hold(EVENT, other, PEPAY, KEYS)
    assert verdicts(held) == (False, None, True)
    assert held.is_false


def test_what_raw_forgot_cannot_be_checked() -> None:
    held = hold(EVENT, None, PEPAY, KEYS)
    assert verdicts(held) == (None, None, None)
    assert not held.is_false


def test_without_keys_the_bytes_are_checked_all_the_same() -> None:
    held = hold(EVENT, RAW, PEPAY, "cannot read penstock.toml")
    assert verdicts(held) == (True, None, None)
    assert "cannot read penstock.toml" in held.told_again.said


def test_a_mapper_that_reads_otherwise_now_is_named_with_what_it_reads() -> None:
    assert EVENT.invoice is not None
    before = msgspec.structs.replace(EVENT.invoice, order_id="o-1", status="pending")
    held = hold(msgspec.structs.replace(EVENT, invoice=before), RAW, PEPAY, KEYS)
    assert held.told_again.said == f"{PEPAY.name} reads another status, order_id"
    assert not held.is_false, "the evidence is what it was"


def test_a_mapper_that_lost_the_kind_says_so() -> None:
    held = hold(EVENT, RAW, replace(PEPAY, routes={}), KEYS)
    assert held.told_again.holds is False
    assert held.told_again.said.startswith("today it would not be told: ")

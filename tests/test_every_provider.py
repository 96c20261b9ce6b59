"""What every provider owes us. A new provider gets these tests for free.

``frames/<provider>/socket.jsonl`` holds what came by the socket, ``rest.jsonl`` what was
polled, ``webhook.jsonl`` what was delivered, ``<path>.expected`` one reviewed outcome for
each. To see what a change of a mapper would tell, run ``python
tests/test_every_provider.py`` and review the difference line by line.
"""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from hmac import digest
from io import BytesIO
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from fastavro import parse_schema, schemaless_reader
from fastavro.types import Schema

from ingest.feeds import FEEDS
from processors.batch import Batch
from processors.mapper import Keys, Mapper
from processors.mappers import MAPPERS
from processors.pipeline import process
from schemas.codec import raw_record, schema_text
from schemas.records import Authority, Event, Fee, Kind, Money, Position, Raw, Rejected, Via
from schemas.redrive import Again, again, redrive
from tests.processors.memory import Remembered
from twins import TWINS

FRAMES = Path(__file__).parent / "frames"
VIA = {"socket": Via.SOCKET, "rest": Via.POLL, "webhook": Via.WEBHOOK}
UNSIGNED = FRAMES / "paymium" / "webhook.jsonl"
"""Tells nothing, on purpose: ``test_event_types.py`` holds it to that."""
RECORDINGS = sorted(
    path for stem in VIA for path in FRAMES.glob(f"*/{stem}.jsonl") if path != UNSIGNED
)
by_recording = pytest.mark.parametrize(
    "path", RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}"
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEYS = Keys(
    verification={"current": b"twin-access-token", "previous": b"twin-access-token-previous"},
    reference_id="r1",
    reference=b"a key of tests, of 32 bytes, this",
)
SECRETS = {
    "assetpay": {"current": b"twin-assetpay-secret", "published": b"current-secret"},
    "pepay": {"current": b"whsec_twin_current"},
}


def keys_of(provider: str) -> Keys:
    return replace(KEYS, verification=SECRETS.get(provider, KEYS.verification))


PLANTED = ("Planted-Person", "sk_live_planted")
"""A name, and a secret."""

pytestmark = pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")

Line = Mapping[str, Any]
Tree = Any
"""JSON of any shape."""


# ---- reading a recording ----------------------------------------------------------------


@cache
def lines(path: Path) -> tuple[Line, ...]:
    return tuple(map(json.loads, path.read_text("utf-8").splitlines()))


def frame_of(line: Line) -> bytes:
    return b64decode(line["frame_b64"]) if "frame_b64" in line else line["frame"].encode()


def raw(path: Path, number: int, frame: bytes | None = None) -> Raw:
    """One line of a recording as ingest would have kept it, or another frame in its place."""
    line = lines(path)[number]
    signature = line.get("signature", {})
    if frame is not None and signature:
        signature = SIGN[path.parent.name](signature, frame)
    received_at = datetime.fromisoformat(line["received_at"]) - EPOCH
    return Raw(
        provider=path.parent.name,
        account="main",
        environment=line.get("environment", "sandbox"),
        via=VIA[path.stem],
        route=line.get("route", path.stem),
        kind=Kind.FRAME,
        connection="recorded",
        sequence=number,
        received_at=received_at // timedelta(microseconds=1),
        signature=signature,
        value=frame_of(line) if frame is None else frame,
    )


Signature = Mapping[str, str]


def signed_by_pepay(signature: Signature, body: bytes) -> Signature:
    """Sign altered bytes as the provider would, so that they are read at all."""
    text = signature["x-pepay-timestamp"].encode() + b"." + body
    mac = digest(SECRETS["pepay"]["current"], text, "sha256").hex()
    return {**signature, "x-pepay-signature": mac}


def signed_by_assetpay(signature: Signature, body: bytes) -> Signature:
    time = "2026-03-11T10:00:03.000Z"
    text = f"altered.{time}.".encode() + body
    mac = digest(SECRETS["assetpay"]["current"], text, "sha256").hex()
    return {"x-assetpay-signature": f"t={time},id=altered,s={mac}"}


SIGN = {"assetpay": signed_by_assetpay, "pepay": signed_by_pepay}


def play(batch: Batch, record: Raw) -> Batch:
    """Process one record on top of a batch, and return what it alone added."""
    alone = Batch(batch, published_at=record.received_at)
    position = Position(f"raw.{record.provider}", 0, record.sequence)
    process(record, position, MAPPERS[record.provider], keys_of(record.provider), alone)
    batch.facts |= alone.facts
    batch.entities |= alone.entities
    return alone


def played(path: Path) -> Iterator[Batch]:
    remembered = Batch(Remembered(), published_at=0)
    for number in range(len(lines(path))):
        yield play(remembered, raw(path, number))


# ---- saying what came of it -------------------------------------------------------------


def shown(value: object) -> str:
    match value:
        case Money(amount, currency, exact):
            return f"{amount} {currency}" + (f" (exactly {exact})" if exact else "")
        case Fee(name, money):
            return f"{name} {shown(money)}"
        case tuple():
            return "[" + ", ".join(map(shown, value)) + "]"
        case str() if value.startswith("r1:"):
            return f"{value[:9]}…"
        case int() if not isinstance(value, bool):
            return f"{EPOCH + timedelta(microseconds=value):%Y-%m-%dT%H:%M:%SZ}"
    return str(value)


def payload_of(event: Event) -> msgspec.Struct:
    (payload,) = (
        value
        for name in event.__struct_fields__
        if name != "evidence" and isinstance(value := getattr(event, name), msgspec.Struct)
    )
    return payload


def told(event: Event) -> str:
    payload = payload_of(event)
    fields = {name: getattr(payload, name) for name in payload.__struct_fields__}
    said = " ".join(f"{name}={shown(value)}" for name, value in fields.items() if value)
    occurred = EPOCH + timedelta(microseconds=event.occurred_at)
    return (
        f"{event.type} {event.id} [{event.provider_type}]"
        f" about {event.entity_kind} {event.entity_id} of {event.group or 'no group'}"
        f" at {occurred.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"
        f" {event.authority}/{event.evidence.verified}: {said}"
    )


def outcomes(batch: Batch, alone: Batch | None = None) -> list[str]:
    """The door by which each thing left that the frame says; ``alone`` is the frame by itself."""
    told_now = {event.id for event, _ in batch.events}
    out = [f"+ {told(event)} ({place(event)})" for event, _ in batch.events]
    again = [event for event, _ in alone.events if event.id not in told_now] if alone else []
    stakes = ", stakes not comparable" if batch.unjudged else ""
    out += [f"= told before{stakes}"] * len(batch.duplicates) if alone is None else []
    out += [f"= told before{stakes}: {told(event)}" for event in again[: len(batch.duplicates)]]
    out += [f"! {rejected.reason}: {rejected.message}" for rejected in batch.rejected]
    return out or ["- nothing to tell"]


def place(event: Event) -> str:
    stale = ", stale" if event.is_stale else ""
    return f"#{event.entity_sequence}, change {event.change}{stale}"


def reviewed(path: Path) -> str:
    """One line for each frame, and one for each thing that came of it."""
    out = ""
    for number, batch in enumerate(played(path)):
        alone = play(Batch(Remembered(), 0), raw(path, number))
        said = "".join(f"    {outcome}\n" for outcome in outcomes(batch, alone))
        out += f"{lines(path)[number]['note']}\n{said}"
    return out


# ---- what every provider owes us --------------------------------------------------------


def by_late_mapper(path: Path, wrong: Mapper) -> list[Event]:
    """What is told if a mapper is wrong first, and all that it rejected is redriven at last."""
    right, memory = MAPPERS[path.parent.name], Batch(Remembered(), published_at=0)
    events: list[Event] = []
    rejected: list[Rejected] = []

    def take(record: Raw, position: Position, mapper: Mapper, told: Again | None = None) -> None:
        alone = Batch(memory, published_at=record.received_at)
        process(record, position, mapper, keys_of(right.provider), alone, again=told)
        memory.facts |= alone.facts
        memory.entities |= alone.entities
        events.extend(event for event, _ in alone.events)
        if told is None:
            rejected.extend(alone.rejected)

    for number in range(len(lines(path))):
        take(raw(path, number), Position(f"raw.{right.provider}", 0, number), wrong)
    for one in rejected:
        record = redrive(one)
        about = again(record.headers)
        take(raw_record(record.headers, record.value), about.of, right, about)
    return events


def meaning(event: Event) -> tuple[str, bytes]:
    return event.id, msgspec.json.encode(payload_of(event))


@by_recording
def test_what_a_mapper_could_not_read_at_first_is_told_in_the_end_and_once(path: Path) -> None:
    right = MAPPERS[path.parent.name]
    timely = [event for batch in played(path) for event, _ in batch.events]
    late = by_late_mapper(path, replace(right, routes={}, silent=frozenset()))
    assert sorted(map(meaning, late)) == sorted(map(meaning, timely))
    facts = sorted(event.id for event in timely if event.is_fact)
    for kind in right.routes:
        routes = {name: route for name, route in right.routes.items() if name != kind}
        ids = [e.id for e in by_late_mapper(path, replace(right, routes=routes)) if e.is_fact]
        assert sorted(ids) == facts, f"{kind} was read late"


def test_feeds_mappers_twins_and_recordings_name_the_same_providers() -> None:
    recorded = {path.parent.name for path in RECORDINGS}
    assert FEEDS.keys() == MAPPERS.keys() == TWINS.keys() == recorded


@by_recording
def test_recorded_frames_map_as_reviewed(path: Path) -> None:
    expected = path.with_suffix(".expected").read_text("utf-8")
    assert reviewed(path).splitlines() == expected.splitlines()


DOORS = {
    "event": "+=-",
    "new-form": "+=",
    "old-form": "+=-",
    "duplicate": "=",
    "conflict": "!",
    "jwt": "+=!",
    "malformed": "!",
    "damaged part": "+=!",
    "unverified": "!",
    "unknown": "+!",
    "error": "-",
}
"""What a tag of a note allows; ``frames/<provider>/SOURCE.md`` has the meaning of each."""


@by_recording
def test_no_frame_leaves_by_a_door_that_its_note_forbids(path: Path) -> None:
    for line, batch in zip(lines(path), played(path), strict=True):
        tag, _, _ = line["note"].partition(":")
        doors = {outcome[0] for outcome in outcomes(batch)}
        assert doors <= set(DOORS[tag]), line["note"]


@pytest.mark.parametrize("provider", MAPPERS)
def test_every_route_and_silent_kind_was_seen_on_the_wire(provider: str) -> None:
    mapper = MAPPERS[provider]
    seen = {
        part.kind
        for path in RECORDINGS
        if path.parent.name == provider
        for number, batch in enumerate(played(path))
        if not batch.rejected
        for part in mapper.open(raw(path, number), keys_of(provider))
    }
    assert seen == mapper.routes.keys() | mapper.silent


@by_recording
def test_a_recording_played_twice_publishes_once(path: Path) -> None:
    remembered = Batch(Remembered(), published_at=0)
    first = [play(remembered, raw(path, number)) for number in range(len(lines(path)))]
    again = [play(remembered, raw(path, number)) for number in range(len(lines(path)))]
    ids = [event.id for batch in first for event, _ in batch.events]
    assert len(ids) == len(set(ids)) > 0
    assert not [event.id for batch in again for event, _ in batch.events]


@pytest.mark.parametrize("provider", ["assetpay", "transak"])
def test_a_fact_told_by_socket_and_webhook_is_told_once_and_witnessed(provider: str) -> None:
    remembered = Batch(Remembered(), published_at=0)
    told = set()
    for number in range(len(lines(FRAMES / provider / "socket.jsonl"))):
        batch = play(remembered, raw(FRAMES / provider / "socket.jsonl", number))
        told |= {event.id for event, _ in batch.events}
    recording = FRAMES / provider / "webhook.jsonl"
    delivered = [
        play(remembered, raw(recording, number)) for number in range(len(lines(recording)))
    ]
    witnesses = [witness for batch in delivered for witness in batch.witnesses]
    again = {witness.id for witness in witnesses} & told
    assert again
    assert again.isdisjoint(event.id for batch in delivered for event, _ in batch.events)
    assert {(w.via, w.authority) for w in witnesses} == {(Via.WEBHOOK, Authority.SIGNED)}


# ---- Avro -------------------------------------------------------------------------------


@cache
def event_schema() -> Schema:
    return parse_schema(json.loads(schema_text("event")))


def plain(value: object) -> object:
    """A record in the words of an independent Avro reader."""
    match value:
        case msgspec.Struct():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case tuple():
            return [plain(item) for item in value]
    return value


def as_told(value: object) -> object:
    match value:
        case dict():
            return {name: as_told(item) for name, item in value.items()}
        case list():
            return [as_told(item) for item in value]
        case datetime():
            return (value - EPOCH) // timedelta(microseconds=1)
    return value


@by_recording
def test_facts_survive_avro_both_ways(path: Path) -> None:
    events = [pair for batch in played(path) for pair in batch.events]
    assert events
    for event, encoded in events:
        read = schemaless_reader(BytesIO(encoded), event_schema(), None)
        assert as_told(read) == plain(event)


def test_the_rate_of_19_decimals_in_transaks_own_sample_reaches_avro() -> None:
    """conversionPrice 0.0006130127560164107: more digits than a decimal of scale 18 holds."""
    path = FRAMES / "transak" / "socket.jsonl"
    (_, encoded), *_ = next(played(path)).events
    read = schemaless_reader(BytesIO(encoded), event_schema(), None)
    assert isinstance(read, dict)
    assert read["conversion"]["rate"] == "0.0006130127560164107"
    assert read["conversion"]["fiat"]["amount"] == Decimal(30)
    assert read["conversion"]["crypto"]["amount"] == Decimal("0.01759347")


# ---- persons ----------------------------------------------------------------------------

PUBLISHED = {
    "assetpay": {
        *("id", "type", "status", "externalId", "error", "revertedBy"),
        *("name", "marketHashName", "assetId", "itemId", "source"),
        *("chain", "address", "txnHash", "token", "txHash"),
    },
    "pepay": {
        *("id", "type", "status", "substatus", "retailer", "token"),
        *("invoice_id", "commerce_order_id", "orderId", "invoiceId"),
        *("payer_wallet_address", "payer_wallet_network", "payment_network", "transaction_hash"),
        *("wallet_address", "wallet_network", "walletAddress", "walletNetwork"),
    },
    "paymium": {
        *("uuid", "type", "state", "direction", "currency", "updated_at", "created_at"),
        *("traded_btc", "traded_currency", "event", "category", "severity", "en"),
        *("name", "address", "tx_hash", "payment_address", "quote_currency"),
    },
    "satoriex": {
        *("type", "status", "id", "side", "currency", "network", "tx_hash"),
        *("market_id", "outcome_id", "winning_outcome_id", "order_id", "trade_id"),
        *("deposit_id", "withdrawal_id", "referral_id", "proposal_id", "dispute_id"),
        *("comment_id", "marketId", "outcomeId", "tradeId"),
    },
    "transak": {
        *("event", "eventID", "id", "_id", "status"),
        *("fiatCurrency", "cryptoCurrency", "cryptocurrency"),
        *("network", "walletAddress", "transactionHash", "paymentOptionId", "partnerOrderId"),
    },
}
"""Text that the contract carries in the clear. A name found elsewhere was leaked."""


@by_recording
def test_no_person_and_no_secret_reaches_another_topic(path: Path) -> None:
    published = PUBLISHED[path.parent.name]
    found = 0
    for number, batch in enumerate(played(path)):
        if not batch.events:
            continue
        document, sealed = opened(raw(path, number).value)
        for inside, key in places(document):
            if isinstance(inside[key], str) and key not in published:
                kept, inside[key] = inside[key], " ".join(PLANTED)
                record = raw(path, number, sealed(document))
                inside[key] = kept
                batches = list(told_twice(record))
                found += len(batches[0].events)
                assert not [word for word in PLANTED for one in batches if word in topics(one)], key
    assert found


def told_twice(record: Raw) -> Iterator[Batch]:
    """Process a record, and then as another path would have brought it."""
    remembered = Batch(Remembered(), 0)
    yield play(remembered, record)
    yield play(remembered, msgspec.structs.replace(record, via=Via.BACKFILL))


def topics(batch: Batch) -> str:
    """Return what a batch writes, on every topic but rejected, and what it remembers."""
    events = [encoded for _, encoded in batch.events]
    written = (events, batch.witnesses, batch.coverage, batch.opened)
    return repr((written, batch.facts, batch.entities, batch.channels))


# ---- a frame as a tree -----------------------------------------------------------------

SOCKETIO = re.compile(rb"4\d[^\[]*")
"""What stands before the JSON of a Socket.IO packet."""


def opened(frame: bytes) -> tuple[Tree, Callable[[Tree], bytes]]:
    """A frame as one tree without inner texts, and what makes a frame of it again."""
    if head := SOCKETIO.match(frame):
        return json.loads(frame[head.end() :]), lambda tree: head[0] + json.dumps(tree).encode()
    document = json.loads(frame)
    content = document.get("data") if isinstance(document, dict) else None
    if not isinstance(content, str):
        return document, lambda tree: json.dumps(tree).encode()
    if content.startswith("{"):
        document["data"] = json.loads(content)
        return document, lambda tree: _texted(tree, json.dumps(tree["data"]))
    token = content.strip('"')
    document["data"] = jwt.decode(token, options={"verify_signature": False})
    return document, lambda tree: _texted(tree, signed(tree["data"]))


def _texted(tree: Tree, text: str) -> bytes:
    return json.dumps({**tree, "data": text}).encode()


def signed(claims: Tree) -> str:
    key = KEYS.verification["current"]
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm="HS256")


def places(tree: Tree) -> Iterator[tuple[Tree, str | int]]:
    """Every (container, key) of a tree."""
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from places(tree[key])


if __name__ == "__main__":
    for recording in RECORDINGS:
        recording.with_suffix(".expected").write_text(reviewed(recording), "utf-8")

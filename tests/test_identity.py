"""Each row of ``docs/identity.md``: what is the same fact, what is another, what contradicts.

A case names a recorded frame and says what to alter in it, by JSON pointer. A row without
its case fails, and so does a case without its row.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from processors.batch import Batch
from schemas.records import Change, Event, Raw, Reason
from tests.processors.memory import Remembered
from tests.test_every_provider import FRAMES, lines, opened, play, raw

Alteration = Mapping[str, Any]
"""JSON pointer into the frame, without its inner texts → what stands there instead."""
Row = tuple[str, str, str]
"""Provider, kind of entity, and type: each the first that the row names."""
NOTHING_ELSE = None
"""Of a conflict: nobody posts on it. Of a re-read: the fact is told once and never again."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a row that tells facts promises, shown on one recorded frame."""

    path: str
    note: str
    same: Alteration
    """Something else changed, or was told otherwise: the same fact."""
    another: Alteration
    conflict: Alteration | None
    reread: Alteration | None
    """Another fact that a ledger posts nothing on."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a row of observations promises."""

    path: str
    note: str
    other: Alteration
    only_if_new: bool = False


FACTS: Mapping[Row, Fact] = {
    ("assetpay", "trade", "transfer.created"): Fact(
        "socket",
        "event: trade, CS2 deposit, completed",
        same={"/1/trade/status": "COMPLETED"},
        another={"/1/trade/status": "reverted"},
        conflict={"/1/trade/totalPrice": 99},
        reread={"/1/trade/updatedAt": "2026-03-11T10:00:03.000Z"},
    ),
    ("assetpay", "funding", "transfer.created"): Fact(
        "socket",
        "event: deposit, COMPLETED with an overpayment",
        same={"/1/funding/status": "completed", "/1/funding/creditedUsd": "1.00"},
        another={"/1/funding/status": "REFUNDED"},
        conflict={"/1/funding/amounts/usd": "101"},
        reread={"/1/funding/txnHash": "0xother"},
    ),
    ("assetpay", "crypto", "transfer.created"): Fact(
        "webhook",
        "event: user's crypto deposit, integer cents",
        same={"/deposit/chain": "TRON"},
        another={"/deposit/status": "refunded"},
        conflict={"/deposit/amount": "26.00", "/deposit/amountCents": 2600},
        reread={"/deposit/updatedAt": "2026-03-04T10:07:00.000Z"},
    ),
    ("paymium", "order", "order.created"): Fact(
        "socket",
        "event: an order for euros, active before any fill",
        same={"/1/orders/0/comment": "to Bob"},
        another={"/1/orders/0/traded_btc": "0.1"},
        conflict={"/1/orders/0/currency_amount": "101"},
        reread={"/1/orders/0/updated_at": "2015-11-02T12:10:03.000Z"},
    ),
    ("paymium", "order", "transfer.created"): Fact(
        "socket",
        "event: a wire transfer out, amount in the currency",
        same={"/1/orders/0/currency_amount": "-1500"},
        another={"/1/orders/0/state": "executed"},
        conflict={"/1/orders/0/currency_amount": "-1501"},
        reread={"/1/orders/0/updated_at": "2015-11-02T12:10:03.000Z"},
    ),
    ("paymium", "account_operation", "posting.booked"): Fact(
        "socket",
        "event: a bitcoin deposit with its posting, address and transaction",
        same={"/1/orders/0/updated_at": "2015-11-02T12:10:03.000Z"},
        another={"/1/orders/0/account_operations/0/uuid": "another"},
        conflict={"/1/orders/0/account_operations/0/amount": "0.6"},
        reread=NOTHING_ELSE,
    ),
    ("paymium", "payment", "invoice.created"): Fact(
        "socket",
        "old-form: payment, paid",
        same={"/1/payload/amount": "25"},
        another={"/1/payload/state": "expired"},
        conflict={"/1/payload/amount": "26"},
        reread={"/1/payload/state": "btc_forwarded"},
    ),
    ("paymium", "market", "market_trade.executed"): Fact(
        "rest",
        "event: trades have the uuid that the socket lacks",
        same={"/0/price": "275"},
        another={"/0/uuid": "another", "/0/price": "276"},
        conflict={"/0/price": "276"},
        reread={"/0/uuid": "another"},
    ),
    ("pepay", "invoice", "invoice.created"): Fact(
        "socket",
        "event: invoice.updated, paid",
        same={"/data/object/metadata": {"order": 7}},
        another={"/id": "evt_1734780200000-2", "/data/object/status": "expired"},
        conflict={"/data/object/amount_paid": 1, "/data/object/amount_paid_decimal": "0.001"},
        reread={"/id": "evt_1734780200000-2"},
    ),
    ("pepay", "invoice_payment", "payment.pending"): Fact(
        "socket",
        "event: invoice_payment.updated; status and transaction_hash inferred",
        same={"/data/object/amount_usd": "49.00"},
        another={"/id": "evt_1700000004000-113", "/data/object/status": "failed"},
        conflict={"/data/object/amount_usd": 50},
        reread={"/id": "evt_1700000004000-113"},
    ),
    ("pepay", "commerce_order", "purchase.processing"): Fact(
        "socket",
        "event: commerce.order.created",
        same={"/data/object/total": 1},
        another={"/id": "evt_1734780101000-2", "/data/object/status": "failed"},
        conflict={"/data/object/status": "failed"},
        reread={"/id": "evt_1734780101000-2", "/data/object/substatus": "AWAITING_TRACKING"},
    ),
    ("satoriex", "order", "order.pending"): Fact(
        "socket",
        "event: order (market: order state change), flat form; only type is documented",
        same={"/user_id": "u_1"},
        another={"/filled_quantity": 10, "/status": "partial"},
        conflict={"/price": 4300},
        reread={"/updated_at": "2026-05-01T00:00:01Z"},
    ),
    ("satoriex", "fill", "order.filled"): Fact(
        "socket",
        "event: order_filled with its trade, in milliseconds",
        same={"/timestamp": "2026-05-01T00:00:02Z"},
        another={"/trade_id": "trd_10", "/quantity": 60},
        conflict={"/price": 4300},
        reread={"/trade_id": "trd_10"},
    ),
    ("satoriex", "market", "market_trade.executed"): Fact(
        "socket",
        "event: trade (market: fill), flat form; only type is documented",
        same={"/price": "4200"},
        another={"/trade_id": "another", "/price": 4300},
        conflict={"/price": 4300},
        reread={"/trade_id": "another"},
    ),
    ("satoriex", "settlement", "settlement.completed"): Fact(
        "socket",
        "event: settlement (market: resolved and paid out), flat form; only type is documented",
        same={"/settled_at": "2026-05-02T00:00:01Z"},
        another={"/winning_outcome_id": "out_2"},
        conflict={"/payout": "5"},
        reread=NOTHING_ELSE,
    ),
    ("satoriex", "deposit", "transfer.completed"): Fact(
        "socket",
        "event: deposit_confirmed (user), flat form; only type is documented",
        same={"/tx_hash": "0xother"},
        another={"/deposit_id": "d_other"},
        conflict={"/amount": "51.00"},
        reread=NOTHING_ELSE,
    ),
    ("satoriex", "proposal", "notice.<type>"): Fact(
        "socket",
        "event: proposal_approved (user), flat form; only type is documented",
        same={"/reason": "because"},
        another={"/proposal_id": "p_other"},
        conflict=NOTHING_ELSE,
        reread=NOTHING_ELSE,
    ),
    ("transak", "order", "conversion.created"): Fact(
        "socket",
        "event: ORDER_COMPLETED / COMPLETED, with transaction hash",
        same={"/data/ipAddress": "192.0.2.1", "/data/fiatAmount": "30.0"},
        another={"/data/status": "REFUNDED"},
        conflict={"/data/fiatAmount": 31},
        reread={"/data/updatedAt": "2025-04-04T13:15:10.000Z"},
    ),
}

READINGS: Mapping[Row, Reading] = {
    ("assetpay", "listing", "listing.upsert"): Reading(
        "socket", "event: market upsert, full listing", {"/1/item/offer/price": 11}
    ),
    ("paymium", "balance", "balance.updated"): Reading(
        "socket", "event: user balances, one key", {"/1/balance_eur": "1.00"}
    ),
    ("paymium", "market", "book.updated"): Reading(
        "socket", "event: asks, one level set (absolute amount)", {"/1/asks/0/amount": "1"}
    ),
    ("paymium", "pair", "quote.updated"): Reading(
        "socket",
        "event: prices (2 of 33 pairs; the real frame is about 8.9 KB, every 10 s)",
        {"/1/prices/btceur/price": "1"},
        only_if_new=True,
    ),
    ("paymium", "announcement", "notice.published"): Reading(
        "socket",
        "event: announcement, every 10 s; an array of notices in several languages,"
        " only severity and display_type are known names",
        {"/1/0/severity": "warning"},
        only_if_new=True,
    ),
    ("paymium", "user", "notice.published"): Reading(
        "socket", "old-form: user state", {"/1/payload/state": "pending"}
    ),
    ("satoriex", "wallet", "balance.changed"): Reading(
        "socket",
        "event: wallet_changed (user: USDC balance), flat form; only type is documented",
        {"/balance": "1.00"},
    ),
    ("satoriex", "quote", "quote.changed"): Reading(
        "socket",
        "event: price_update (marketdata: mid and best bid/ask), flat form;"
        " only type is documented",
        {"/mid": 4201},
    ),
    ("satoriex", "book", "book.changed"): Reading(
        "socket", "event: book snapshot; the type name is not documented", {"/seq": 99}
    ),
    ("transak", "customer", "notice.kyc_submitted"): Reading(
        "webhook",
        "event: KYC_SUBMITTED of a whitelabel partner's customer; field names inferred",
        {"/data/partnerCustomerId": "cust-2"},
        only_if_new=True,
    ),
}

# The provider reference's tokens are short.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
by_fact = pytest.mark.parametrize("row", FACTS, ids=" ".join)
by_reading = pytest.mark.parametrize("row", READINGS, ids=" ".join)


# ---- the page ---------------------------------------------------------------------------


def rows(*, facts: bool) -> set[Row]:
    """The page's rows that tell facts, or the others that tell anything."""
    page = (Path(__file__).parent.parent / "docs" / "identity.md").read_text("utf-8")
    found = set()
    for section in page.split("\n## ")[2:]:
        provider = section.partition("\n")[0].lower()
        for line in section.splitlines():
            types, is_fact, _, entity, *_ = [*line.strip("|").split("|"), "", "", "", ""]
            kinds, words = re.findall("`([^`]+)`", entity), re.findall("`([^`]+)`", types)
            tells_facts = is_fact.strip() in {"yes", "with an id of its own"}
            if line.startswith("| `") and tells_facts is facts:
                found.add((provider, kinds[0], words[0]))
    return found


def test_every_row_of_the_page_has_its_case_and_every_case_its_row() -> None:
    assert FACTS.keys() == rows(facts=True)
    assert READINGS.keys() == rows(facts=False)


# ---- deliveries -------------------------------------------------------------------------


def delivered(row: Row, case: Fact | Reading, altered: Alteration, number: int = 0) -> Raw:
    """The recorded frame, altered, as one connection or another brought it."""
    path = FRAMES / row[0] / f"{case.path}.jsonl"
    (at,) = (n for n, line in enumerate(lines(path)) if line["note"] == case.note)
    tree, sealed = opened(raw(path, at).value)
    for pointer, value in altered.items():
        *way, last = pointer.split("/")[1:]
        inside = tree
        for step in way:
            inside = inside[int(step) if isinstance(inside, list) else step]
        inside[int(last) if isinstance(inside, list) else last] = value
    record = raw(path, at, sealed(tree))
    return msgspec.structs.replace(record, connection=f"connection {number}")


def about(batch: Batch, row: Row) -> list[Event]:
    return [event for event, _ in batch.events if event.entity_kind == row[1]]


def after_the_first(row: Row, case: Fact, altered: Alteration) -> tuple[Event, Batch]:
    """The fact of the recorded frame, and what an altered delivery tells after it."""
    memory = Batch(Remembered(), 0)
    (first,) = about(play(memory, delivered(row, case, {})), row)
    return first, play(memory, delivered(row, case, altered, 1))


@by_fact
def test_the_same_fact_told_again_is_told_once(row: Row) -> None:
    case = FACTS[row]
    for altered in ({}, case.same):
        first, again = after_the_first(row, case, altered)
        assert first.is_fact
        assert about(again, row) == []
        assert again.rejected == []
        assert again.duplicates


@by_fact
def test_another_fact_has_an_id_of_its_own(row: Row) -> None:
    first, later = after_the_first(row, FACTS[row], FACTS[row].another)
    (event,) = about(later, row)
    assert event.id != first.id
    assert event.change in {Change.STATUS, Change.STAKES}


@by_fact
def test_the_same_fact_with_other_stakes_is_a_conflict(row: Row) -> None:
    case = FACTS[row]
    if case.conflict is NOTHING_ELSE:
        assert row == ("satoriex", "proposal", "notice.<type>"), "it alone has no stakes"
        return
    _, later = after_the_first(row, case, case.conflict)
    assert about(later, row) == []
    assert [rejected.reason for rejected in later.rejected] == [Reason.CONFLICT]


@by_fact
def test_a_re_read_that_changes_nothing_to_post_says_so(row: Row) -> None:
    case = FACTS[row]
    first, later = after_the_first(row, case, case.same if case.reread is None else case.reread)
    told = about(later, row)
    if case.reread is NOTHING_ELSE:
        assert told == []
        return
    (event,) = told
    assert (event.entity_id, event.change) == (first.entity_id, Change.NONE)
    assert (event.id, event.entity_sequence) != (first.id, first.entity_sequence)


@by_reading
def test_a_reading_is_told_once_for_each_time_it_came_or_differed(row: Row) -> None:
    case, memory = READINGS[row], Batch(Remembered(), 0)
    first = about(play(memory, delivered(row, case, {})), row)
    assert first
    assert not any(event.is_fact for event in first)
    assert about(play(memory, delivered(row, case, {})), row) == [], "the same frame, replayed"
    repeated = about(play(memory, delivered(row, case, {}, 1)), row)
    assert len(repeated) == (0 if case.only_if_new else len(first))
    assert about(play(memory, delivered(row, case, case.other, 2)), row)

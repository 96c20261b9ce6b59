"""What happens at SatoriEx: orders, fills and funds of one user, and words, from a seed.

The types are those of https://satoriex.io/en/docs/trading/websocket, the number forms those of
https://satoriex.io/en/docs/api. All other names of fields are the guesses of everybody.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any

from twins.books import Fact
from twins.chance import falls
from twins.notation import iso

CURRENCY_OF = {
    "amount": "currency",
    "price": "price_unit",
    "quantity": "unit",
    "filled_quantity": "unit",
}
TIMES = ("updated_at", "timestamp", "settled_at", "created_at")
UNITS = {"currency": "USDC", "price_unit": "basis points", "unit": "shares"}
MARKETS = ("mkt_1", "mkt_2", "mkt_3")
CONCURRENT = 60  # deals under way at once
LISTED = 50  # rows of a list that REST remembers
BEYOND_DOUBLES = 2**53 + 1

USER = "user"

# A plot is the order of steps; the numbers are relative frequencies.
TRADING: Mapping[str, int] = {
    "open trade partial fill trade filled fill": 6,
    "open trade filled fill": 6,
    "open cancelled": 3,
    "open trade partial fill cancelled": 2,
    "trade": 5,
    "deposit": 2,
    "requested approved submitted confirmed": 2,
    "requested submitted approved confirmed": 1,
    "requested rejected": 1,
    "requested approved submitted failed": 1,
    "settlement resolved": 1,
}
TALKING: Mapping[str, int] = {
    "comment": 2,
    "mention": 1,
    "proposal_approved": 1,
    "proposal_rejected": 1,
    "dispute_filed": 1,
    "referral_bonus": 1,
}

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Aside:
    """An observation that goes with a fact: a channel, a type and a body."""

    channel: str
    type: str
    body: Body


@dataclass(frozen=True, slots=True)
class Happening:
    """A fact, and what changes with it."""

    fact: Fact
    asides: tuple[Aside, ...] = ()


@dataclass(slots=True)
class Deal:
    """An order, a withdrawal, or a word, on its way."""

    steps: list[str]
    number: int
    market: str
    body: Body = field(default_factory=dict)
    fill: Body = field(default_factory=dict)


class Exchange:
    """An endless stream of facts, and what REST shows; the same seed tells the same story."""

    def __init__(self, dice: Random, *, ids: bool, big: float) -> None:
        self.orders: dict[str, Body] = {}
        self.trades: dict[str, deque[Body]] = {m: deque(maxlen=LISTED) for m in MARKETS}
        self.transactions: dict[str, Body] = {}
        self.held: dict[tuple[str, str], int] = {}
        self.cents = 1_000_000
        self._dice, self._ids, self._big = dice, ids, big
        self._plots = TRADING if not ids else {**TRADING, **TALKING}
        self._under_way: list[Deal] = []
        self._ms = self._number = 0

    def next(self, now: int) -> Happening:
        """Return what happens at `now`, unix milliseconds."""
        deal = self._choose()
        happening = self.step(deal, now)
        if not deal.steps:
            self._under_way.remove(deal)
        return happening

    def step(self, deal: Deal, now: int) -> Happening:
        """Return the next step of a deal."""
        self._ms = max(now, self._ms + 1)
        return STEPS[deal.steps.pop(0)](self, deal)

    def deal(self, plot: str) -> Deal:
        self._number += 1
        return Deal(plot.split(), self._number, self._dice.choice(MARKETS))

    @property
    def now(self) -> str:
        return iso(self._ms)

    def price(self) -> int:
        return self._dice.randint(1, 9999)

    def quantity(self) -> int:
        if falls(self._dice, self._big):
            return BEYOND_DOUBLES + self._dice.randrange(1000)
        return self._dice.choice((1, 10, 100, self._dice.randint(2, 100_000)))

    def part_of(self, quantity: int) -> int:
        return self._dice.randint(1, max(1, quantity - 1))

    def amount(self) -> str:
        cents = self._dice.randint(1, 10_000_000)
        return f"{cents // 100}.{cents % 100:02d}"

    def side(self) -> int:
        return self._dice.choice((1, 2))

    def new_id(self, kind: str) -> str:
        return f"{kind}_{self._dice.getrandbits(40):010x}"

    @property
    def has_ids(self) -> bool:
        return self._ids

    @property
    def balance(self) -> Body:
        return {"balance": f"{self.cents // 100}.{self.cents % 100:02d}", "currency": "USDC"}

    def _choose(self) -> Deal:
        if not self._under_way or (len(self._under_way) < CONCURRENT and falls(self._dice, 0.3)):
            (plot,) = self._dice.choices(tuple(self._plots), tuple(self._plots.values()))
            self._under_way.append(self.deal(plot))
            return self._under_way[-1]
        return self._dice.choice(self._under_way)


def _fact(  # noqa: PLR0913 - a fact has as many sides
    kind: str, key: tuple[str, ...], body: Body, *, channel: str, entity: str, status: str = ""
) -> Fact:
    words = {word: str(body[word]) for word in CURRENCY_OF if body.get(word) is not None}
    words["at"] = next(body[name] for name in TIMES if name in body)
    return Fact(
        key=key,
        type=kind,
        status=status,
        entity=entity,
        money=words | UNITS,
        about={"channel": channel},
        body=json.dumps(body, separators=(",", ":")),
    )


# ---- orders -------------------------------------------------------------------------


def begin(it: Exchange, deal: Deal, status: str, **asked: Any) -> None:  # noqa: ANN401 - fields
    """Give a deal its order; POST brings the fields that were asked for."""
    deal.body = {
        "market_id": deal.market,
        "order_id": it.new_id("ord"),
        "outcome_id": "out_1",
        "status": status,
        "side": it.side(),
        "price": it.price(),
        "quantity": it.quantity(),
        "filled_quantity": 0,
        "created_at": it.now,
        "updated_at": it.now,
        **asked,
    }
    it.orders[deal.body["order_id"]] = deal.body
    while len(it.orders) > 2 * CONCURRENT + LISTED:
        del it.orders[next(iter(it.orders))]


def _order_fact(deal: Deal, kind: str, names: tuple[str, ...]) -> Fact:
    order = deal.body
    words = (order["order_id"], order["status"], str(order["filled_quantity"]), order["updated_at"])
    return _fact(
        kind,
        ("order", *words),
        {name: order[name] for name in names},
        channel=f"market:{deal.market}",
        entity=order["order_id"],
        status=order["status"],
    )


UPDATED = ("market_id", "order_id", "status", "filled_quantity", "updated_at")


def _moved(it: Exchange, deal: Deal, status: str, filled: int) -> None:
    # A new one: what REST shows from now on must not change what was told before.
    deal.body = {**deal.body, "status": status, "filled_quantity": filled, "updated_at": it.now}
    it.orders[deal.body["order_id"]] = deal.body


def _pending(it: Exchange, deal: Deal) -> Happening:
    begin(it, deal, "pending", **deal.body)
    return Happening(_order_fact(deal, "order", tuple(deal.body)))


def _open(it: Exchange, deal: Deal) -> Happening:
    if "order_id" in deal.body:
        _moved(it, deal, "open", 0)
    else:
        begin(it, deal, "open")
    return Happening(_order_fact(deal, "order", tuple(deal.body)))


def _partial(it: Exchange, deal: Deal) -> Happening:
    _moved(it, deal, "partial", it.part_of(deal.body["quantity"]))
    return Happening(_order_fact(deal, "order_update", UPDATED))


def _filled(it: Exchange, deal: Deal) -> Happening:
    _moved(it, deal, "filled", deal.body["quantity"])
    return Happening(_order_fact(deal, "order_update", UPDATED))


def _cancelled(it: Exchange, deal: Deal) -> Happening:
    _moved(it, deal, "cancelled", deal.body["filled_quantity"])
    return Happening(_order_fact(deal, "order", tuple(deal.body)))


def _trade(it: Exchange, deal: Deal) -> Happening:
    body: Body = {
        "market_id": deal.market,
        "outcome_id": "out_1",
        "trade_id": it.new_id("trd"),
        "side": deal.body.get("side") or it.side(),
        "price": deal.body.get("price") or it.price(),
        "quantity": it.part_of(deal.body["quantity"]) if deal.body else it.quantity(),
        "created_at": it.now,
    }
    if deal.body:
        body["order_id"] = deal.body["order_id"]
    if not it.has_ids:
        del body["trade_id"]
    it.trades[deal.market].append(body)
    deal.fill = body
    channel = f"market:{deal.market}"
    identity = body.get("trade_id") or _content(body)
    fact = _fact("trade", ("trade", identity), body, channel=channel, entity=deal.market)
    return Happening(fact, _prices(it, deal.market, body["price"]))


def _content(body: Body) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


def _prices(it: Exchange, market: str, price: int) -> tuple[Aside, ...]:
    channel = f"marketdata:{market}"
    bid, ask = max(price - 10, 0), min(price + 10, 10_000)
    update = {"market_id": market, "mid": price, "best_bid": bid, "best_ask": ask}
    book = {"market_id": market, "outcome_id": "out_1", "bids": [[bid, it.quantity()]], "asks": []}
    return Aside(channel, "price_update", update), Aside(channel, "orderbook_delta", book)


def _fill(it: Exchange, deal: Deal) -> Happening:
    order, trade = deal.body, deal.fill
    body = {name: order[name] for name in ("order_id", "market_id", "side", "status")}
    body |= {name: trade[name] for name in ("quantity", "price", "trade_id") if name in trade}
    body["timestamp"] = it.now
    place = (deal.market, "out_1")
    it.held[place] = it.held.get(place, 0) + trade["quantity"]
    it.cents = max(0, it.cents - trade["quantity"] * trade["price"] // 100)
    identity = (trade["trade_id"],) if it.has_ids else (str(trade["quantity"]), it.now)
    key = ("fill", order["order_id"], *identity)
    fact = _fact("order_filled", key, body, channel=USER, entity=order["order_id"])
    fact.status = order["status"]
    return Happening(fact, (Aside(USER, "wallet_changed", it.balance),))


# ---- funds --------------------------------------------------------------------------


def _deposit(it: Exchange, deal: Deal) -> Happening:
    deposit_id = it.new_id("dep")
    body = {"deposit_id": deposit_id, "amount": it.amount(), "currency": "USDC"}
    body |= {"tx_hash": f"0x{deal.number:064x}", "network": "polygon", "timestamp": it.now}
    _list(it, deposit_id, "deposit", "confirmed", body)
    key = ("deposit_confirmed", deposit_id)
    fact = _fact("deposit_confirmed", key, body, channel=USER, entity=deposit_id)
    kyc = Aside(USER, "kyc_approved", {"tier": 1})
    return Happening(fact, (Aside(USER, "wallet_changed", it.balance), kyc))


def _withdrawal(status: str) -> Callable[[Exchange, Deal], Happening]:
    def withdrawal(it: Exchange, deal: Deal) -> Happening:
        if not deal.body:
            deal.body = {"withdrawal_id": it.new_id("wdr"), "amount": it.amount()}
        own_id = deal.body["withdrawal_id"]
        body = {**deal.body, "status": status, "timestamp": it.now}
        if status == "confirmed":
            body["tx_hash"] = f"0x{deal.number:064x}"
        _list(it, own_id, "withdrawal", status, body)
        kind = f"withdraw_{status}"
        fact = _fact(kind, (kind, own_id), body, channel=USER, entity=own_id, status=status)
        return Happening(fact, (Aside(USER, "wallet_changed", it.balance),))

    return withdrawal


def _list(it: Exchange, own_id: str, kind: str, status: str, body: Body) -> None:
    row = {"id": own_id, "type": kind, "status": status, "amount": body["amount"]}
    row |= {"currency": "USDC", "updated_at": body["timestamp"]}
    it.transactions.pop(own_id, None)
    it.transactions[own_id] = row
    while len(it.transactions) > LISTED:
        del it.transactions[next(iter(it.transactions))]


def _referral(it: Exchange, _: Deal) -> Happening:
    own_id = it.new_id("ref")
    body = {"amount": it.amount(), "currency": "USDC", "referral_id": own_id, "timestamp": it.now}
    key = ("referral_bonus", own_id)
    return Happening(_fact("referral_bonus", key, body, channel=USER, entity=own_id))


# ---- outcomes and words -------------------------------------------------------------


def _settlement(it: Exchange, deal: Deal) -> Happening:
    """Settle one of a market's many outcomes: a daily question has a new one every day."""
    deal.body = {"outcome": it.new_id("out")}
    body = {"market_id": deal.market, "winning_outcome_id": deal.body["outcome"]}
    body["settled_at"] = it.now
    key = ("settlement", deal.market, deal.body["outcome"])
    channel = f"market:{deal.market}"
    return Happening(_fact("settlement", key, body, channel=channel, entity=deal.market))


def _resolved(it: Exchange, deal: Deal) -> Happening:
    body = {"market_id": deal.market, "outcome_id": deal.body["outcome"], "timestamp": it.now}
    key = ("market_resolved", deal.market, deal.body["outcome"])
    return Happening(_fact("market_resolved", key, body, channel=USER, entity=deal.market))


# Type → the name of its own id, and whether it is told on the market's channel.
WORDS: Mapping[str, tuple[str, bool]] = {
    "comment": ("comment_id", True),
    "mention": ("comment_id", False),
    "proposal_approved": ("proposal_id", False),
    "proposal_rejected": ("proposal_id", False),
    "dispute_filed": ("dispute_id", False),
}


def _word(kind: str) -> Callable[[Exchange, Deal], Happening]:
    name, is_public = WORDS[kind]

    def word(it: Exchange, deal: Deal) -> Happening:
        own_id = it.new_id(kind[:3])
        body = {"market_id": deal.market, name: own_id, "created_at": it.now}
        if kind == "comment":
            body |= {"user_id": it.new_id("usr"), "body": "gm"}
        channel = f"market:{deal.market}" if is_public else USER
        return Happening(_fact(kind, (kind, own_id), body, channel=channel, entity=own_id))

    return word


STEPS: Mapping[str, Callable[[Exchange, Deal], Happening]] = {
    "pending": _pending,
    "open": _open,
    "trade": _trade,
    "partial": _partial,
    "filled": _filled,
    "fill": _fill,
    "cancelled": _cancelled,
    "deposit": _deposit,
    "settlement": _settlement,
    "resolved": _resolved,
    "referral_bonus": _referral,
    **{kind: _word(kind) for kind in WORDS},
    **{
        status: _withdrawal(status)
        for status in ("requested", "approved", "submitted", "rejected", "confirmed", "failed")
    },
}

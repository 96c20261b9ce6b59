"""What happens at AssetPay: endless trades and fundings with every status, from a seed.

https://assetpay.gg/docs/guides/trade-lifecycle
https://github.com/assetpaygg/assetpay-sdk/blob/main/src/types/api.ts
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from twins.books import Fact
from twins.chance import falls, uuid
from twins.notation import iso, plain

_TRADE_MONEY = ("totalPrice", "preCredit", "pendingCredit")
_FUNDING_MONEY = ("creditedUsd", "overpaymentUsd")
CURRENCY_OF = dict.fromkeys(("amounts.usd", *_TRADE_MONEY, *_FUNDING_MONEY), "currency")
_ASKED_FOR = ("type", "source", "game", "externalId")
CONCURRENT = 60  # trades and fundings under way at once
CS2, RUST = "730", "252490"
OWN = ("0", "1")  # beginnings of the ids of trades that the merchant makes for itself
OLDER = 0.05  # share of trades told as the older generation spells them

# The statuses that each goes through; the numbers are relative frequencies.
TRADES: Mapping[tuple[str, str, str], int] = {
    ("deposit", CS2, "initiated active hold completed"): 8,
    ("deposit", CS2, "initiated active hold completed reverted"): 2,
    ("deposit", CS2, "initiated active hold reverted"): 1,
    ("deposit", RUST, "initiated active completed"): 4,
    ("deposit", CS2, "initiated active declined"): 1,
    ("deposit", RUST, "initiated failed"): 1,
    ("deposit", CS2, "initiated active canceled"): 1,
    ("withdraw", CS2, "initiated pending active completed"): 6,
    ("withdraw", RUST, "initiated pending active completed reverted"): 1,
    ("withdraw", CS2, "initiated failed"): 1,
    ("withdraw", CS2, "initiated pending active declined"): 1,
    ("withdraw", RUST, "initiated pending canceled"): 1,
}
# A plus: the same status again, now with the hash of its transaction.
FUNDINGS: Mapping[tuple[str, str], int] = {
    ("deposit", "INITIATED PENDING PENDING+ COMPLETED"): 5,
    ("deposit", "INITIATED PENDING+ COMPLETED REFUNDED"): 1,
    ("deposit", "INITIATED EXPIRED"): 1,
    ("deposit", "INITIATED PENDING+ FAILED"): 1,
    ("withdrawal", "INITIATED PENDING_ADMIN APPROVED COMPLETED+"): 3,
    ("withdrawal", "INITIATED PENDING_ADMIN REJECTED"): 1,
    ("withdrawal", "INITIATED CANCELLED"): 1,
}
ERRORS = {
    "failed": ("PRICE_CHANGED", "PURCHASE_FAILED", "APPROVAL_TIMEOUT"),
    "declined": ("OFFER_NOT_ACCEPTED",),
}
ASSETS = (("USDT", "ETH", 6), ("USDC", "SOL", 6), ("BTC", "BTC", 8))
SKINS = ("AK-47 | Redline (Field-Tested)", "AWP | Asiimov (Battle-Scarred)", "★ Karambit | Fade")

_json = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class Story:
    """One trade or funding; `content` is what the provider shows of it now."""

    event: str
    content: dict[str, Any]
    statuses: list[str]
    is_older: bool = False
    updated: int = 0  # ms


class Lifecycles:
    """An endless stream of facts; the same seed tells the same story."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._under_way: list[Story] = []

    def next(self, now: int) -> Fact:
        """Return what happens at `now`, unix milliseconds."""
        story = self._choose()
        status = story.statuses.pop(0)
        if not story.statuses:
            self._under_way.remove(story)
        story.updated = max(now, story.updated + 1)
        if story.event == "trade":
            self._move_trade(story, status)
        else:
            self._move_funding(story, status)
        return _told(story)

    def _choose(self) -> Story:
        if not self._under_way or (len(self._under_way) < CONCURRENT and falls(self._dice, 0.3)):
            begins = _trade if falls(self._dice, 0.75) else _funding
            self._under_way.append(begins(self._dice))
            return self._under_way[-1]
        return self._dice.choice(self._under_way)

    def _move_trade(self, story: Story, status: str) -> None:
        content = story.content
        content["status"] = status.upper() if story.is_older else status
        content.setdefault("createdAt", iso(story.updated))
        content["updatedAt"] = iso(story.updated)
        match status:
            case "active":
                content["offerID"] = str(self._dice.randrange(10**10))
                content["activeAt"] = content["updatedAt"]
            case "hold" if falls(self._dice, 0.5):
                _split(content, self._dice)
            case "completed" if content.get("isInstant"):
                content["pendingCredit"] = Decimal(0)
            case "reverted":
                content["revertedBy"] = self._dice.choice(("supplier", "user"))
        if status in ERRORS:
            content["error"] = self._dice.choice(ERRORS[status])

    def _move_funding(self, story: Story, status: str) -> None:
        content = story.content
        content["status"] = status.removesuffix("+")
        content["createdAt"] = content["createdAt"] or iso(story.updated)
        if status.endswith("+"):
            content["txnHash"] = f"0x{self._dice.getrandbits(256):064x}"
        if content["status"] == "COMPLETED":
            content["completedAt"] = iso(story.updated)
            content["creditedUsd"] = content["amounts"]["usd"]
            if falls(self._dice, 0.2):
                content["overpaymentUsd"] = str(Decimal(self._dice.randint(1, 999)).scaleb(-2))


def _split(content: dict[str, Any], dice: Random) -> None:
    """Credit a part of a held deposit at once."""
    now = (content["totalPrice"] * dice.randint(50, 90) / 100).quantize(Decimal("0.01"))
    content["isInstant"] = True
    content["preCredit"] = plain(now)
    content["pendingCredit"] = plain(content["totalPrice"] - now)


def _told(story: Story) -> Fact:
    content = story.content
    if story.event == "trade":
        key = ("trade", content["id"], content["status"], content["updatedAt"])
        money = {word: str(content[word]) for word in _TRADE_MONEY if word in content}
    else:
        key = ("funding", content["id"], content["status"], content["txnHash"] or "")
        money = {word: content[word] for word in _FUNDING_MONEY if content[word] is not None}
        money["amounts.usd"] = content["amounts"]["usd"]
    return Fact(
        key=key,
        type=story.event,
        status=content["status"],
        entity=content["id"],
        money={**money, "currency": "USD"},
        about=_about(story),
        body=_json.encode(content).decode(),
    )


def _about(story: Story) -> dict[str, str]:
    """Return what REST finds it by; the ledger tells its times too, which the socket does not."""
    content = story.content
    told = {word: content[word] for word in _ASKED_FOR if word in content}
    return {**told, "created": content["createdAt"], "updated": iso(story.updated)}


def _trade(dice: Random) -> Story:
    (plot,) = dice.choices(tuple(TRADES), tuple(TRADES.values()))
    kind, game, statuses = plot
    is_older = falls(dice, OLDER)
    items = [item(dice, game) for _ in range(dice.randint(1, 3))]
    total = sum((each["offer"]["price"] for each in items), Decimal(0))
    trade_id = uuid(dice)
    content = {
        "id": trade_id,
        "type": kind.upper() if is_older else kind,
        "source": "self" if trade_id.startswith(OWN) else "client",
        "externalId": f"{kind}-{dice.randrange(10**9)}",
        "externalClientUserId": f"user-{dice.randrange(10**6)}",
        "merchantId": uuid(dice),
        "clientUserId": uuid(dice),
        "clientTradeUrl": f"https://steamcommunity.com/tradeoffer/new/?token={dice.randrange(10**8)}",
        "clientSteamID": f"7656119{dice.randrange(10**10):010d}",
        "game": game,
        "items": items,
        "totalPrice": _noisy(dice, total) if falls(dice, 0.1) else plain(total),
    }
    return Story("trade", content, statuses.split(), is_older)


def item(dice: Random, game: str) -> dict[str, Any]:
    """Return an item as it stands in a trade and in a listing."""
    name = dice.choice(SKINS)
    price = plain(Decimal(dice.randint(1, 500_000)).scaleb(-2))
    return {
        "id": f"{dice.getrandbits(48):012x}",
        "appid": int(game),
        "name": name,
        "marketHashName": name,
        "tradable": True,
        "assetId": str(dice.randrange(10**11)),
        "marketPrice": price,
        "offer": {"price": price, "accepted": True},
    }


def _noisy(dice: Random, total: Decimal) -> Decimal:
    """Return a sum as a double prints it at worst: 17 significant digits."""
    noise = Decimal(dice.randint(1, 9)).scaleb(total.adjusted() - 16)
    return total + noise


def _funding(dice: Random) -> Story:
    (plot,) = dice.choices(tuple(FUNDINGS), tuple(FUNDINGS.values()))
    event, statuses = plot
    symbol, chain, decimals = dice.choice(ASSETS)
    usd = Decimal(dice.randint(100, 10_000_000)).scaleb(-2)
    content = {
        "id": f"f_{dice.getrandbits(40):010x}",
        "merchantId": uuid(dice) if falls(dice, 0.9) else None,
        "status": "",
        "amounts": {"usd": str(usd), "token": str(usd.quantize(Decimal(1).scaleb(-decimals)))},
        "asset": {"token": symbol, "chain": chain, "exchangeRateUsdPerToken": "1.0"},
        "address": f"0x{dice.getrandbits(160):040x}",
        "txnHash": None,
        "creditedUsd": "0",
        "overpaymentUsd": None,
        "createdAt": "",
        "completedAt": None,
    }
    return Story(event, content, statuses.split())

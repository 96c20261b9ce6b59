"""SatoriEx, what an account has: money in and out, its wallet, and its positions.

https://satoriex.io/en/docs/trading/websocket
https://satoriex.io/en/docs/api

No list says how a row is told: it is read as the message of the socket about the same transfer.
What has no id of its own is an observation.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from processors.mapper import Keys, Part, Statement
from processors.mappers.satoriex import values, wire
from schemas.records import Balance, Status, Transfer


class _Motion(NamedTuple):
    entity_kind: str
    direction: str
    method: str
    status: Status
    rank: int


# The page lists submitted before approved; no order is promised, and none enforced.
MOTIONS: Final[Mapping[str, _Motion]] = {
    "deposit_confirmed": _Motion("deposit", "in", "crypto", Status.COMPLETED, 3),
    "withdraw_requested": _Motion("withdrawal", "out", "crypto", Status.CREATED, 0),
    "withdraw_approved": _Motion("withdrawal", "out", "crypto", Status.PROCESSING, 1),
    "withdraw_submitted": _Motion("withdrawal", "out", "crypto", Status.PENDING, 2),
    "withdraw_rejected": _Motion("withdrawal", "out", "crypto", Status.DECLINED, 3),
    "withdraw_confirmed": _Motion("withdrawal", "out", "crypto", Status.COMPLETED, 3),
    "withdraw_failed": _Motion("withdrawal", "out", "crypto", Status.FAILED, 3),
    "referral_bonus": _Motion("referral", "in", "internal", Status.COMPLETED, 3),
}

# A guess: rows of transactions are not documented at all.
_VERBS: Final = {"deposit": "deposit", "withdraw": "withdraw", "withdrawal": "withdraw"}
_OF_VERB: Final = {"deposit": ("deposit", "in"), "withdraw": ("withdrawal", "out")}


def tell_transfer(transfer: wire.Transfer, part: Part, keys: Keys) -> Iterator[Statement]:
    """Tell money that comes in or goes out, as a message of the socket says it."""
    yield _moved(part.kind, MOTIONS[part.kind], transfer, part, keys)


def tell_transaction(row: wire.Transfer, part: Part, keys: Keys) -> Iterator[Statement]:
    """Tell a row as the message of the socket that would have told it."""
    word = values.demanded(row.type, "$.type")
    verb = _VERBS.get(word)
    kind = word if verb is None else f"{verb}_{values.demanded(row.status, '$.status')}"
    motion = MOTIONS.get(kind)
    if motion is None:
        entity_kind, direction = _OF_VERB.get(verb or "", ("transaction", ""))
        motion = _Motion(entity_kind, direction, "", Status.UNKNOWN, 0)
    yield _moved(kind, motion, row, part, keys)


def _moved(kind: str, motion: _Motion, told: wire.Transfer, part: Part, keys: Keys) -> Statement:
    own_id = told.deposit_id or told.withdrawal_id or told.referral_id or told.id
    moved_at = values.moment(told.updated_at, told.timestamp, told.ts, told.created_at)
    return Statement(
        payload=Transfer(
            direction=motion.direction,
            method=motion.method,
            status=motion.status,
            # By every path the message's word: a row says half of it.
            provider_status=kind,
            gross=values.unsized(told.amount, told.currency, "$.amount", keys),
            network=told.network,
            tx_hash=told.tx_hash,
        ),
        action=motion.status,
        provider_type=part.context.type,
        entity_kind="user" if own_id is None else motion.entity_kind,
        entity_id=own_id or part.context.account,
        identity=None if own_id is None else (kind, own_id),
        occurred_at=moved_at,
        status=motion.status,
        version=values.version(moved_at),
        rank=motion.rank,
        is_final=motion.rank >= values.FINAL,
        stakes=(motion.status, (told.currency or values.USDC).upper(), told.amount),
    )


def tell_wallet(wallet: wire.Wallet, part: Part, keys: Keys) -> Iterator[Statement]:
    """Tell what an account holds of a currency: an observation."""
    currency = (wallet.currency or values.USDC).upper()
    yield Statement(
        payload=Balance(
            currency=currency,
            available=values.unsized(wallet.balance, currency, "$.balance", keys),
            locked=values.unsized(wallet.locked, currency, "$.locked", keys),
        ),
        action="changed",
        provider_type=part.context.type,
        entity_kind="wallet",
        entity_id=currency,
    )


def tell_position(position: wire.Position, part: Part, _: Keys) -> Iterator[Statement]:
    """Tell the shares of an outcome that an account holds: an observation."""
    yield Statement(
        payload=Balance(
            currency=values.SHARES,
            available=values.shares(position.quantity, "$.quantity", -values.MOST_SHARES),
        ),
        action="changed",
        provider_type=part.context.type,
        entity_kind="position",
        entity_id=values.outcome_of(position.market_id, position.outcome_id),
    )

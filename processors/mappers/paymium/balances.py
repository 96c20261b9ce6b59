"""Paymium's balances: one that changed, one in the older form, and all that a user has.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal

import msgspec

from processors.errors import Malformed
from processors.mapper import Keys, Part, Route, Statement, Wire, Word, money
from schemas.records import Balance, Money


def _keyed_balance(amount: Decimal, part: Part, _: Keys) -> Iterator[Statement]:
    currency = _currency(part)
    told = money(amount, currency, "$")
    yield _stated(_one_side(told, currency, is_locked=part.kind == "locked_"), part)


def _currency(part: Part) -> str:
    currency: str = part.context.name
    if not currency:
        raise Malformed("$: expected a currency after the underscore, found none")
    return currency.upper()


class _OlderBalance(Wire, frozen=True):
    balance: Decimal
    currency: Word
    trading: Literal["true", "false"] | bool
    """Whether it is the locked balance that changed."""


def _older_balance(told: _OlderBalance, part: Part, _: Keys) -> Iterator[Statement]:
    amount = money(told.balance, told.currency, "$.balance")
    is_locked = told.trading in {True, "true"}
    yield _stated(_one_side(amount, told.currency.upper(), is_locked=is_locked), part)


def _one_side(amount: Money | None, currency: str, *, is_locked: bool) -> Balance:
    return Balance(
        currency=currency,
        available=None if is_locked else amount,
        locked=amount if is_locked else None,
    )


class _Balances(Wire, frozen=True):
    available: Decimal
    locked: Decimal | None = None


def _read_balances(told: _Balances, part: Part, _: Keys) -> Iterator[Statement]:
    currency = _currency(part)
    balance = Balance(
        currency=currency,
        available=money(told.available, currency, "$.available"),
        locked=money(told.locked, currency, "$.locked"),
    )
    yield _stated(balance, part, only_if_new=True)  # Asked for every minute.


def _stated(balance: Balance, part: Part, *, only_if_new: bool = False) -> Statement:
    return Statement(
        payload=balance,
        action="updated",
        provider_type=part.context.word,
        entity_kind="balance",
        entity_id=balance.currency,
        only_if_new=only_if_new,
    )


KEYED: Final = Route(msgspec.json.Decoder(Decimal), _keyed_balance)
OLDER: Final = Route(msgspec.json.Decoder(_OlderBalance), _older_balance)
ASKED_FOR: Final = Route(msgspec.json.Decoder(_Balances), _read_balances)

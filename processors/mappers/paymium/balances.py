"""Paymium's balances: one that changed, one in the older form, and all that a user has.

https://github.com/Paymium/api-documentation
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal

import msgspec

from processors.errors import Malformed
from processors.mapper import Keys, Part, Route, Statement, Wire, Word, money
from processors.mappers.paymium.frames import Told
from schemas.records import Balance, Money


def _keyed_balance(amount: Decimal, part: Part, _: Keys) -> Iterator[Statement]:
    currency = part.context.name
    if not currency:
        raise Malformed("$: expected a currency after the underscore, found none")
    told = money(amount, currency, "$")
    yield _balance(told, currency, part.context, is_locked=part.kind == "locked_")


class _OlderBalance(Wire, frozen=True):
    balance: Decimal
    currency: Word
    trading: Literal["true", "false"] | bool
    """Whether it is the locked balance that changed."""


def _older_balance(told: _OlderBalance, part: Part, _: Keys) -> Iterator[Statement]:
    amount = money(told.balance, told.currency, "$.balance")
    is_locked = told.trading in {True, "true"}
    yield _balance(amount, told.currency, part.context, is_locked=is_locked)


def _balance(amount: Money | None, currency: str, told: Told, *, is_locked: bool) -> Statement:
    currency = currency.upper()
    return Statement(
        payload=Balance(
            currency=currency,
            available=None if is_locked else amount,
            locked=amount if is_locked else None,
        ),
        action="updated",
        provider_type=told.word,
        entity_kind="balance",
        entity_id=currency,
    )


class _Balances(Wire, frozen=True):
    available: Decimal
    locked: Decimal | None = None


def _read_balances(told: _Balances, part: Part, _: Keys) -> Iterator[Statement]:
    currency = part.context.name.upper()
    if not currency:
        raise Malformed("$: expected a currency after the underscore, found none")
    yield Statement(
        payload=Balance(
            currency=currency,
            available=money(told.available, currency, "$.available"),
            locked=money(told.locked, currency, "$.locked"),
        ),
        action="updated",
        provider_type=part.context.word,
        entity_kind="balance",
        entity_id=currency,
        only_if_new=True,  # Asked for every minute.
    )


KEYED: Final = Route(msgspec.json.Decoder(Decimal), _keyed_balance)
OLDER: Final = Route(msgspec.json.Decoder(_OlderBalance), _older_balance)
ASKED_FOR: Final = Route(msgspec.json.Decoder(_Balances), _read_balances)

"""The example ledger's balances against those that the books add up to."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from penstock.checkout import ROOT
from penstock.errors import OperatorError
from penstock.readings.telling import Expected

LEDGER: Final = ROOT / "docs" / "consumers" / "ledger.py"
_SECONDS: Final = 300.0
_EXACT: Final = Context(prec=100)
_PLACES: Final = Decimal("1e-18")

Balances = Mapping[tuple[str, str, str, str], Decimal]
"""Provider, account, line of the ledger, currency → sum."""


def posted_by_books(facts: Iterable[Expected]) -> Balances:
    """Add up the facts of the books: of each entity and status, the newest one."""
    newest: dict[tuple[str, str], Expected] = {}
    for fact in facts:
        place = fact.entity, fact.status
        if fact.posted and (place not in newest or newest[place].order_key < fact.order_key):
            newest[place] = fact
    sums: defaultdict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
    for fact in newest.values():
        provider, account, *_ = fact.event_id.split("/")
        for line, (amount, currency) in fact.posted.items():
            key = provider, account, line, currency
            sums[key] = _EXACT.add(sums[key], amount.quantize(_PLACES, ROUND_HALF_EVEN, _EXACT))
    return sums


def posted_by_ledger(bootstrap_servers: str, registry_url: str) -> Balances:
    """Run the example as another team would, and read what it prints."""
    command = [sys.executable, str(LEDGER), "--bootstrap-servers", bootstrap_servers]
    command += ["--registry-url", registry_url]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if told.returncode:
        raise OperatorError(f"{LEDGER.name} failed: {told.stderr.strip().splitlines()[-1]}")
    balances: dict[tuple[str, str, str, str], Decimal] = {}
    for printed in told.stdout.splitlines():
        provider, account, line, currency, amount = printed.split()
        balances[provider, account, line, currency] = Decimal(amount)
    return balances


def differing(expected: Balances, found: Balances) -> list[str]:
    """Return a line for every balance that is not the same."""
    return [
        f"{' '.join(key)}: expected {expected.get(key, 0)}, found {found.get(key, 0)}"
        for key in sorted({*expected, *found})
        if expected.get(key, 0) != found.get(key, 0)
    ]

"""The demo with everything that can go wrong at once: what can be had is there, once."""

import re
from pathlib import Path

import pytest

from tests.end_to_end.test_demo import demo, left_running
from twins import TWINS

LAST = re.compile(
    r"RECONCILED told=(\d+) published=(\d+) lost=0 twice=0 money=equal "
    r"duplicates=(\d+) damaged=(\d+) rejected=(\d+) missed=(\d+)"
)
PATHS = re.compile(
    r"(\w+) +socket +(\d+)  webhook +(\d+)  poll +(\d+)  backfill +(\d+)  "
    r"witnesses +(\d+)  holes +(\d+)  missed +(\d+)"
)
DELIVERED = {"assetpay", "pepay", "transak"}
REPLAYED = "pepay"
"""Its list tells every change."""


@pytest.mark.timeout(400)
def test_disconnects_killed_ingest_and_an_outage_lose_nothing_that_is_told_again(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "demo"
    options = ("--seconds", "20", "--rate", "15", "--disconnects", "--kill-ingest", "--outage", "5")
    ended = demo(directory, *options, within=380)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    *_, last = said = ended.stdout.splitlines()
    line = LAST.fullmatch(last)
    assert line, ended.stdout
    told, published, _, damaged, rejected, missed = map(int, line.groups())
    assert told == published + missed
    assert damaged == rejected > 0
    paths = {found[1]: found for found in map(PATHS.fullmatch, said) if found}
    assert paths.keys() == TWINS.keys()
    for provider, found in paths.items():
        _, webhook, poll, backfill, witnesses, holes, lacking = map(int, found.groups()[1:])
        assert holes > 0, f"{provider} was never interrupted"
        assert poll + backfill > 0 or webhook > 0, f"{provider}: nothing was read back"
        assert witnesses > 0
        assert lacking == 0 or provider != REPLAYED
    assert all(int(paths[provider][3]) > 0 for provider in DELIVERED)
    assert sum(int(found[8]) for found in paths.values()) == missed
    assert left_running(directory) == []

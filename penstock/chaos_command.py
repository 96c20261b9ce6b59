"""``penstock chaos``: everything at once, while it is killed, frozen and starved."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from ingest.feeds import FEEDS
from penstock import chaos
from penstock.checkout import ROOT

_DIRECTORY: Final = ROOT / ".penstock" / "chaos"


def command(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long acts go on.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed plans the same acts.")] = 1,
    rate: Annotated[
        float, typer.Option(min=1, max=5000, help="Facts a second and provider.")
    ] = 500,
    accounts: Annotated[int, typer.Option(min=1, max=12, help="Of each provider.")] = 2,
    directory: Annotated[
        Path, typer.Option(help="Logs, settings, books and Kafka's data; emptied first.")
    ] = _DIRECTORY,
) -> None:
    """Kill, freeze and starve a whole Penstock, and hold what came of it against the books.

    The last line says whether every fact is on `events` once, in order, and whether a
    ledger's balances are those of the books; exit code 1 if not.
    """
    console = Console()
    wish = chaos.Wish(
        directory=directory,
        providers=tuple(FEEDS),
        minutes=minutes,
        seed=seed,
        rate=rate,
        accounts=accounts,
    )
    try:
        verdict = chaos.run(wish, console)
    except KeyboardInterrupt:
        console.print("stopped: nothing is left running")
        raise typer.Exit(1) from None
    for line in (*verdict.acts(), str(verdict.reconciliation), *verdict.complaints()):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(str(verdict), highlight=False, soft_wrap=True)
    raise typer.Exit(0 if verdict.holds else 1)

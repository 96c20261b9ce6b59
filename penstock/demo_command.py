"""``penstock demo``: everything at once, with stand-ins for the providers."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from ingest.feeds import FEEDS
from penstock import demo
from penstock.checkout import ROOT
from penstock.demo_wish import Wish

_DIRECTORY: Final = ROOT / ".penstock" / "demo"


def command(  # noqa: PLR0913, PLR0917 - one for each option
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End after so many, and reconcile.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, max=2000, help="Facts a second and provider.")] = 60,
    kill_processor: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--kill-processor", help="kill -9 the processor half-way.")
    ] = False,
    kill_ingest: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--kill-ingest", help="kill -9 each provider's ingest, one by one.")
    ] = False,
    disconnects: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--disconnects", help="Providers cut their connections at random.")
    ] = False,
    outage: Annotated[
        float, typer.Option(min=0, max=600, help="The broker is killed, and away for so long.")
    ] = 0,
    directory: Annotated[
        Path, typer.Option(help="Logs, settings, books and Kafka's data; emptied first.")
    ] = _DIRECTORY,
) -> None:
    """Run Kafka, registry, twins, ingest and processor, and watch events arrive.

    Without --seconds it goes on until Ctrl-C. With it, the last line says whether all
    that the twins told is on `events`, once; exit code 1 if not. What nobody heard and
    the provider tells again counts as well; only what it never tells again may be missed,
    and has to lie in a hole on `coverage`.

    Example: penstock demo --seconds 60 --disconnects --kill-ingest --outage 15
    """
    console = Console()
    wish = Wish(
        directory=directory,
        providers=tuple(FEEDS),
        seconds=seconds,
        rate=rate,
        kill_processor=kill_processor,
        kill_ingest=kill_ingest,
        disconnects=disconnects,
        outage=outage,
    )
    try:
        reconciliation = demo.run(wish, console)
    except KeyboardInterrupt:
        console.print("stopped: nothing is left running")
        return
    for line in reconciliation.paths():
        console.print(line, highlight=False, soft_wrap=True)
    for complaint in reconciliation.complaints():
        console.print(complaint, highlight=False)
    console.print(str(reconciliation), highlight=False, soft_wrap=True)
    raise typer.Exit(0 if reconciliation.holds else 1)

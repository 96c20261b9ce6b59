"""``penstock demo``: everything at once, with stand-ins for the providers."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from ingest.feeds import FEEDS
from penstock import demo
from penstock.checkout import ROOT

_DIRECTORY: Final = ROOT / ".penstock" / "demo"


def command(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End after so many, and reconcile.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, max=2000, help="Facts a second and provider.")] = 60,
    kill_processor: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--kill-processor", help="kill -9 the processor half-way.")
    ] = False,
    directory: Annotated[
        Path, typer.Option(help="Logs, settings, books and Kafka's data; emptied first.")
    ] = _DIRECTORY,
) -> None:
    """Run Kafka, registry, twins, ingest and processor, and watch events arrive.

    Without --seconds it goes on until Ctrl-C. With it, the last line says whether all
    that the twins told is on `events`, once; exit code 1 if not.
    """
    console = Console()
    wish = demo.Wish(
        directory=directory,
        providers=tuple(FEEDS),
        seconds=seconds,
        kill_processor=kill_processor,
        rate=rate,
    )
    try:
        reconciliation = demo.run(wish, console)
    except KeyboardInterrupt:
        console.print("stopped: nothing is left running")
        return
    for complaint in reconciliation.complaints():
        console.print(complaint, highlight=False)
    console.print(str(reconciliation), highlight=False, soft_wrap=True)
    raise typer.Exit(0 if reconciliation.holds else 1)

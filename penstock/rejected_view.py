"""What ``penstock rejected`` prints."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer

from penstock.printing import printable, quiet, table
from penstock.redriving import Outcome
from penstock.rejections import Plan, Rejection, counts
from schemas import topics
from schemas.redrive import MAX_ATTEMPTS
from schemas.times import millis_text

_COLUMNS: Final = ("at", "rejected", "reason", "account", "try", "message")


def listed(found: Sequence[Rejection], rows: int) -> None:
    """Print how many there are of each reason and provider, and the newest ``rows``."""
    if not found:
        typer.echo("nothing is rejected")
        return
    console = quiet()
    console.print(table(("reason", "provider", "parts", "asked again"), counts(found)))
    newest = found[::-1][:rows]
    if newest:
        console.print()
        console.print(table(_COLUMNS, map(_row, newest)))
    if len(found) > len(newest):
        console.print(f"and {len(found) - len(newest)} older: --rows, filters, or --json for all")


def _row(one: Rejection) -> tuple[object, ...]:
    tried = f"{one.attempt}, asked again" if one.asked_at else one.attempt
    message = f"{one.part}: {one.message}" if one.part else one.message
    when = millis_text(one.rejected_at)
    return one.at, when, one.reason, f"{one.provider}/{one.account}", tried, message


def whole(told: Mapping[str, Any], there: int, size: int) -> None:
    """Print one record, its bytes last."""
    for name, value in told.items():
        if name == "headers":
            typer.echo("headers:")
            for header, text in value.items():
                typer.echo(f"  {printable(header)}: {printable(text)}")
        elif name != "value":
            typer.echo(f"{name}: {printable(str(value))}")
    typer.echo(f"\n{told['value']}")
    if there < size:
        typer.echo(f"… the first {there} of {size} bytes: raw no longer has the frame", err=True)


def planned(todo: Plan) -> None:
    """Print what will be done, and what will not and why."""
    console = quiet()
    if todo.chosen:
        rows = ((reason, provider, n) for reason, provider, n, _ in counts(todo.chosen))
        console.print(table(("reason", "provider", "parts to redrive"), rows))
    else:
        console.print("nothing to redrive")
    for parts, why in (
        (len(todo.worn_out), f"judged {MAX_ATTEMPTS} times, they stay rejected"),
        (len(todo.asked), "asked for before, --anew does it again"),
        (todo.beyond, "beyond --limit"),
    ):
        if parts:
            console.print(f"{parts} left: {why}")


def done(outcome: Outcome) -> None:
    """Print what was done."""
    typer.echo(
        f"{outcome.written} parts are on {topics.REDRIVE}; {topics.AUDIT} has run {outcome.run}"
    )
    for one in outcome.gone:
        typer.echo(f"{one.at}: left: {one.of.topic} no longer has its {one.size} bytes")


def told(todo: Plan, outcome: Outcome | None) -> Mapping[str, Any]:
    """Return the same for JSON."""
    return {
        "run": outcome and outcome.run,
        "chosen": len(todo.chosen),
        "written": outcome.written if outcome else 0,
        "gone": [one.at for one in outcome.gone] if outcome else [],
        "worn_out": len(todo.worn_out),
        "asked_before": len(todo.asked),
        "beyond_limit": todo.beyond,
    }

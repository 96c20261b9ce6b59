"""The operator's command: ``penstock --help``."""

import errno
import sys
from typing import Final

import typer

from ingest.feeds import FEEDS
from penstock import (
    certify_command,
    chaos_command,
    demo_command,
    gaps_command,
    rejected_command,
    schemas_command,
    stack_command,
    tail_command,
    topics_command,
    trace_command,
)
from penstock.errors import OperatorError
from schemas.registry import RegistryError

_OPERATORS_MATTER: Final = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
}

app: Final = typer.Typer(
    name="penstock",
    help="Run, verify and ask a Penstock.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(stack_command.app, name="stack")
app.add_typer(topics_command.app, name="topics")
app.add_typer(schemas_command.app, name="schemas")
app.add_typer(rejected_command.app, name="rejected")
app.command("gaps", epilog="Example: penstock gaps --stack default --since 2026-11-01 --open")(
    gaps_command.command
)
app.command("trace", epilog="Example: penstock trace <id on events> --since 2d --json")(
    trace_command.command
)
app.command("tail", epilog="Example: penstock tail events --type invoice --last 50 --json")(
    tail_command.command
)
app.command("demo", epilog="Example: penstock demo --seconds 20")(demo_command.command)
app.command("certify", epilog=f"Example: penstock certify {next(iter(FEEDS))} --json")(
    certify_command.command
)
app.command("chaos", epilog="Example: penstock chaos --minutes 2 --seed 7")(chaos_command.command)


def main() -> None:
    """Run the command; what an operator can mend is one line, and exit code 1."""
    try:
        app()
    except (OperatorError, RegistryError) as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in _OPERATORS_MATTER:
            raise
        place = error.filename or "the disk"
        _fail(f"{place}: {error.strerror}: make room for it or give access to it")


def _fail(line: str) -> None:
    sys.stderr.write(f"penstock: {' '.join(line.split())}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()

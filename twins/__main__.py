"""`python -m twins NAME`: one twin as a process, introduced by one JSON line on stdout."""

import argparse
import asyncio
import errno
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from twins import TWINS
from twins.faults import Faults

EXAMPLE = """example:
  python -m twins NAME --rate 50 --seed 1 --books books.jsonl
  curl -X POST <control_url>/twin/drop
  curl -X POST <control_url>/twin/restart -d '{"seconds": 2}'
"""


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean stop, 2 if it could not start."""
    asked = _parser().parse_args()
    try:
        asyncio.run(_run(asked))
    except OSError as error:
        print(f"penstock-twin: {asked.name}: {_said(error, asked)}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _said(error: OSError, asked: argparse.Namespace) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {asked.port} of 127.0.0.1 is taken, choose another with --port"
    return f"cannot write the books to {asked.books}: {error.strerror}"


async def _run(asked: argparse.Namespace) -> None:
    faults = Faults(
        duplicate=asked.duplicate,
        reorder=asked.reorder,
        damage=asked.damage,
        forged=asked.forged,
        old=asked.old,
        public=asked.public,
    )
    twin = TWINS[asked.name](
        seed=asked.seed,
        rate=asked.rate,
        facts=asked.facts,
        start_when_connected=asked.start_when_connected,
        faults=faults,
        books=asked.books,
        port=asked.port,
        account=asked.account,
        compress=asked.compress,
        webhooks=asked.webhooks,
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, twin.over.set)
    async with twin:
        print(json.dumps(twin.introduction()), flush=True)  # noqa: T201 - it is the output
        await twin.over.wait()
    if twin.failure:
        raise twin.failure


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m twins",
        description="A stand-in of a provider on 127.0.0.1.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", choices=TWINS)
    add("--port", type=_number(int, 0, 65535), default=0, help="0 for any free one")
    add("--account", default="main", help="name of the account in the books")
    add("--seed", type=int, default=1, help="the same seed tells the same story")
    add("--rate", type=_number(float, 0, 100_000), default=50.0, help="facts a second")
    add("--facts", type=_number(int, 1, 10**9), help="stop telling after so many")
    add("--books", type=Path, help="JSON lines file, appended to")
    add(
        "--start-when-connected",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="tell nothing before somebody listens",
    )
    add("--compress", action="store_true", help="take permessage-deflate where it is offered")
    share = _number(float, 0, 1)
    add("--duplicate", type=share, default=0.07, help="share of facts told again")
    add("--reorder", type=share, default=0.02, help="share of facts told late")
    add("--damage", type=share, default=0.02, help="share followed by a damaged frame")
    add("--webhooks", metavar="URL", help="deliver there too, if the provider has webhooks")
    add("--forged", type=share, default=0.0, help="share delivered with a forged signature too")
    add("--old", type=share, default=0.0, help="share delivered with an old signature too")
    add("--public", type=share, default=1.0, help="share also told on unsigned channels")
    return parser


def _number(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())

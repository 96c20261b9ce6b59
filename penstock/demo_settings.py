"""The settings file of a demo: what its twins said of themselves, written down."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ingest.feeds import FEEDS, PUBLIC, WEBHOOKS

Introduction = Mapping[str, str]
"""What a twin prints first: its addresses, and what a client needs."""

_OPTIONS: Final = "options"
"""As they stand between the braces of a TOML table."""
_WEBHOOK: Final = "webhook"
"""So too: what an account's deliveries need besides a key."""
_KEYS: Final = ("access_token", "webhook_key")
"""By these names a twin tells what it signs with; the second is for deliveries alone."""

_HEAD: Final = """\
# Written by `penstock demo`; the secrets are those of stand-ins.

[kafka]
bootstrap_servers = "{bootstrap_servers}"

[registry]
url = "{registry_url}"

[keys]
seal = "file:{seal}"

[ingest]
http = "127.0.0.1:0"

[processors]
references = {{ id = "demo", key = "env:PENSTOCK_REFERENCE_KEY" }}
state_directory = "{state_directory}"
"""

SEAL: Final = "5e" * 32
"""What tokens on `keys` are sealed with: one cluster knows one key."""

_DOOR: Final = """
[ingest.webhooks]
address = "127.0.0.1:0"
"""

_ACCOUNT: Final = """
[[accounts]]
provider = "{name}"
name = "{account}"
environment = "sandbox"
url = "{url}"
credentials = {{ {credentials} }}
"""


def write_settings(  # noqa: PLR0913 - each has one meaning
    path: Path,
    bootstrap_servers: str,
    registry_url: str,
    introductions: Iterable[Introduction],
    state_directory: str = "state",
    *,
    webhooks: bool = False,
) -> Path:
    """Write a settings file, and the files of its secrets beside it; return its path.

    A provider with public data gets the account ``public`` beside the told ones. With
    ``webhooks`` deliveries of all that send any are taken, on any free port.
    """
    told_once: dict[str, Introduction] = {}
    text = [
        _HEAD.format(
            bootstrap_servers=bootstrap_servers,
            registry_url=registry_url,
            state_directory=state_directory,
            seal=secret_file(path.parent, "seal", SEAL),
        )
    ]
    if webhooks:
        text.append(_DOOR)
    for told in introductions:
        text += _account(path.parent, told, webhooks=webhooks)
        told_once.setdefault(told["name"], told)
    for name, told in told_once.items():
        if FEEDS[name].public:
            text.append(_ACCOUNT.format(**{**told, "account": PUBLIC, "credentials": ""}))
    path.write_text("".join(text))
    return path


def takes_webhooks(told: Introduction) -> bool:
    """Return whether a twin delivers by webhook what only a key of its own can have sent."""
    return told["name"] in WEBHOOKS and _KEYS[1] in told


def _account(directory: Path, told: Introduction, *, webhooks: bool) -> Iterator[str]:
    owner = f"{told['name']}-{told['account']}"
    feed = FEEDS[told["name"]]
    # What is optional and read back with: other optional ones ask for options as well.
    wanted = feed.credentials | (feed.rest.needs if feed.rest else frozenset())
    credentials = ", ".join(
        f'{name} = "file:{secret_file(directory, f"{owner}-{name}", told[name])}"'
        for name in sorted(wanted)
    )
    yield _ACCOUNT.format(**{**told, "credentials": credentials})
    if options := told.get(_OPTIONS):
        yield f"options = {{ {options} }}\n"
    is_open = webhooks and takes_webhooks(told)
    if is_open:
        yield f"webhook = {{ {told.get(_WEBHOOK, '')} }}\n"
    if key := next((told[name] for name in _KEYS[: 1 + is_open] if name in told), None):
        yield f'keys = {{ k1 = "file:{secret_file(directory, f"{owner}-key", key)}" }}\n'


def secret_file(directory: Path, name: str, value: str) -> Path:
    """Write a secret where only its owner may read it; return the file."""
    path = directory / "secrets" / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(value)
    return path.resolve()

"""The settings file of a demo: what its twins said of themselves, written down."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ingest.feeds import FEEDS, PUBLIC

Introduction = Mapping[str, str]
"""What a twin prints first: its addresses, and what a client needs."""

_OPTIONS: Final = "options"
"""As they stand between the braces of a TOML table."""
_VERIFICATION_KEY: Final = "access_token"

_HEAD: Final = """\
# Written by `penstock demo`; the secrets are those of stand-ins.

[kafka]
bootstrap_servers = "{bootstrap_servers}"

[registry]
url = "{registry_url}"

[ingest]
http = "127.0.0.1:0"

[processors]
references = {{ id = "demo", key = "env:PENSTOCK_REFERENCE_KEY" }}
state_directory = "{state_directory}"
"""

_ACCOUNT: Final = """
[[accounts]]
provider = "{name}"
name = "{account}"
environment = "sandbox"
url = "{url}"
credentials = {{ {credentials} }}
"""


def write_settings(
    path: Path,
    bootstrap_servers: str,
    registry_url: str,
    introductions: Iterable[Introduction],
    state_directory: str = "state",
) -> Path:
    """Write a settings file, and the files of its secrets beside it; return its path.

    A provider with public data gets the account ``public`` beside the told ones.
    """
    told_once: dict[str, Introduction] = {}
    text = [
        _HEAD.format(
            bootstrap_servers=bootstrap_servers,
            registry_url=registry_url,
            state_directory=state_directory,
        )
    ]
    for told in introductions:
        text += _account(path.parent, told)
        told_once.setdefault(told["name"], told)
    for name, told in told_once.items():
        if FEEDS[name].public:
            text.append(_ACCOUNT.format(**{**told, "account": PUBLIC, "credentials": ""}))
    path.write_text("".join(text))
    return path


def _account(directory: Path, told: Introduction) -> Iterator[str]:
    owner = f"{told['name']}-{told['account']}"
    credentials = ", ".join(
        f'{wanted} = "file:{secret_file(directory, f"{owner}-{wanted}", told[wanted])}"'
        for wanted in sorted(FEEDS[told["name"]].credentials)
    )
    yield _ACCOUNT.format(**{**told, "credentials": credentials})
    if options := told.get(_OPTIONS):
        yield f"options = {{ {options} }}\n"
    if token := told.get(_VERIFICATION_KEY):
        yield f'keys = {{ k1 = "file:{secret_file(directory, f"{owner}-token", token)}" }}\n'


def secret_file(directory: Path, name: str, value: str) -> Path:
    """Write a secret where only its owner may read it; return the file."""
    path = directory / "secrets" / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(value)
    return path.resolve()

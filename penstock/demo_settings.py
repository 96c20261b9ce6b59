"""The settings file of a demo: what its twins said of themselves, written down."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ingest.feeds import FEEDS, PUBLIC

Introduction = Mapping[str, str]
"""What a twin prints first: its addresses, and what a client needs."""

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
    directory: Path,
    bootstrap_servers: str,
    registry_url: str,
    introductions: Mapping[str, Introduction],
) -> Path:
    """Write ``penstock.toml`` and the files of its secrets; return the path of the first."""
    text = [_HEAD.format(bootstrap_servers=bootstrap_servers, registry_url=registry_url)]
    for name, told in introductions.items():
        credentials = ", ".join(
            f'{wanted} = "file:{_secret(directory, f"{name}-{wanted}", told[wanted])}"'
            for wanted in sorted(FEEDS[name].credentials)
        )
        text.append(_ACCOUNT.format(**{**told, "name": name, "credentials": credentials}))
        if token := told.get(_VERIFICATION_KEY):
            text.append(f'keys = {{ k1 = "file:{_secret(directory, f"{name}-token", token)}" }}\n')
        if FEEDS[name].public:
            public = {**told, "name": name, "account": PUBLIC, "credentials": ""}
            text.append(_ACCOUNT.format(**public))
    path = directory / "penstock.toml"
    path.write_text("".join(text))
    return path


def _secret(directory: Path, name: str, value: str) -> Path:
    path = directory / "secrets" / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(value)
    return path.resolve()

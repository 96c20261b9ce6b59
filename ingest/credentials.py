"""Secrets: where they are, reading them, minting them, and keeping them out of what we say."""

import os
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from urllib.parse import quote, urlsplit

import aiohttp

from ingest.errors import SettingsError
from ingest.feed import Answer, Disconnected, Mint

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_LONGEST_ANSWER = 64 * 2**10


def read(references: Mapping[str, str], owner: str) -> Mapping[str, str]:
    """Return credential's name → secret, read now: a file may have been replaced.

    ``references`` is name → ``env:NAME`` or ``file:/path``; ``owner`` names the account in
    the ``SettingsError`` that is raised where a secret is missing.
    """
    return {name: secret(at, f"{owner}, {name}") for name, at in references.items()}


def secret(reference: str, owner: str) -> str:
    """Return what ``env:NAME`` or ``file:/path`` holds, now. Raises ``SettingsError``."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        found, place = os.environ.get(place, ""), f"variable {place}"
    else:
        found = _content(place, owner)
    found = found.strip()
    if not found:
        raise SettingsError(f"{owner}: {place} is empty; put the secret there")
    if not found.isprintable():
        raise SettingsError(f"{owner}: {place} holds more than one line; leave only the secret")
    return found


def _content(place: str, owner: str) -> str:
    try:
        return Path(place).read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"{owner}: cannot read {place} ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{owner}: {place} is not UTF-8 text") from error


async def minted(mint: Mint) -> Mapping[str, str]:
    """Return the secrets that a provider mints for the next upgrade.

    Raises a ``FeedError``: what the feed reads from the answer, or ``Disconnected`` where
    there was none.
    """
    host = urlsplit(mint.url).netloc
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(
                mint.url, headers=mint.headers, data=mint.body, allow_redirects=False
            ) as response,
        ):
            body = await response.content.read(_LONGEST_ANSWER)
            retry_after = seconds(response.headers.get("Retry-After"))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Disconnected(f"no token from {host}: {type(error).__name__}") from error
    return mint.secrets(Answer(status=response.status, retry_after=retry_after, body=body))


def seconds(retry_after: str | None) -> float | None:
    """Return a ``Retry-After`` in seconds; it may be a number or a date.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time())
    except ValueError:
        return None


def struck(text: str, secrets: Mapping[str, str]) -> str:
    """Return a text of the provider's without our secrets: it may quote what we sent."""
    for secret in secrets.values():
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, "***")
    return text

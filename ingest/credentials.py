"""Secrets: where they are, reading them, minting them, and keeping them out of what we say."""

import asyncio
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from math import inf
from pathlib import Path
from random import SystemRandom
from time import monotonic, time
from typing import Protocol
from urllib.parse import quote, urlsplit

import structlog

from ingest import client
from ingest.backoff import Budget
from ingest.errors import SettingsError
from ingest.feed import (
    Account,
    Answer,
    Disconnected,
    FeedError,
    Login,
    Mint,
    Rate,
    Request,
    Tokens,
    Unauthorized,
)

_log = structlog.get_logger()
_random = SystemRandom().random
_LONGEST_ANSWER = 64 * 2**10
_READ_AGAIN = 1.0
"""Seconds: files are small, and forgeries may come a thousand times a second."""
_RENEW_FROM = 0.7
_RENEW_TO = 0.8
"""Parts of a token's life between which it is renewed, so that accounts do not come together."""


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


class KeyRing:
    """An account's verification keys by id, newest first, read again once they may have changed."""

    def __init__(self, references: Mapping[str, str], owner: str) -> None:
        """Read them now. Raises ``SettingsError``."""
        self._references, self._owner = references, owner
        self._keys = self._read()
        self._minted: Mapping[str, bytes] = {}
        self._read_at = monotonic()

    @property
    def has_minted(self) -> bool:
        """Return whether any token was let in that the provider minted."""
        return bool(self._minted)

    def add(self, key_id: str, token: str) -> None:
        """Let in what this token signs as well: the provider minted it for us."""
        self._minted = {key_id: token.encode(), **self._minted}

    def __call__(self) -> Mapping[str, bytes]:
        """Return the keys as they are now, or were when they could last be read."""
        now = monotonic()
        if now - self._read_at >= _READ_AGAIN:
            self._read_at = now
            try:
                self._keys = self._read()
            except SettingsError as error:
                # It was there when we started: somebody is replacing it.
                _log.warning("keys could not be read again", reason=str(error))
        return {**self._minted, **self._keys}

    def _read(self) -> Mapping[str, bytes]:
        return {name: key.encode() for name, key in read(self._references, self._owner).items()}


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
    request = Request(url=mint.url, method="POST", headers=mint.headers, body=mint.body)
    return mint.secrets(await _answered(request))


async def _answered(request: Request) -> Answer:
    async with client.session() as http:
        return await client.ask(http, request, _LONGEST_ANSWER)


def struck(text: str, secrets: Mapping[str, str]) -> str:
    """Return a text of the provider's without our secrets: it may quote what we sent."""
    for secret in secrets.values():
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, "***")
    return text


# ---- tokens that last ----------------------------------------------------------------


class Kept(Protocol):
    """Where tokens outlive the process that they were granted to."""

    async def recall(self) -> Tokens | None:
        """Return those of an earlier process that are still good."""
        ...

    async def keep(self, tokens: Tokens) -> None:
        """Return once they cannot be lost any more."""
        ...


class Session:
    """The only owner of one account's login and of the tokens that it bought.

    Socket and REST ask here, one at a time, so that a refresh token is used once. Tokens
    are renewed before they end; nobody logs in again while a refresh will do, and a login
    that was refused is not repeated with the same credentials.
    """

    def __init__(
        self, login: Login, budgets: MutableMapping[str, Budget], kept: Kept | None = None
    ) -> None:
        self._login = login
        self._budgets = budgets
        self._kept = kept
        self._recalled = False
        self._asking = asyncio.Lock()
        self._secrets: Mapping[str, str] = {}
        self._renew_at = self._ends_at = -inf
        self._refused: tuple[Mapping[str, str], str] | None = None
        """Credentials that buy nothing, and what was said of them."""

    @property
    def ends_at(self) -> float:
        """Return when the tokens at hand end, on the monotonic clock."""
        return self._ends_at

    async def authorized(self, account: Account, left: float = 0.0) -> Account:
        """Return the account with tokens that live for ``left`` seconds, or begin anew.

        Raises a ``FeedError``: ``Unauthorized`` where the credentials themselves were
        refused, ``Disconnected`` where nobody answered and the tokens at hand have ended.
        """
        async with self._asking:
            now = monotonic()
            if now >= self._renew_at or now + left > self._ends_at:
                await self._renew(account)
            return self._with_tokens(account)

    def distrust(self, refused: Mapping[str, str]) -> None:
        """Take tokens for ended that were just refused, unless they were renewed already."""
        if self._secrets.items() <= refused.items():
            self._renew_at = self._ends_at = -inf

    def _with_tokens(self, account: Account) -> Account:
        return replace(account, secrets={**account.secrets, **self._secrets})

    async def _renew(self, account: Account) -> None:
        if await self._recall():
            return
        if self._secrets and await self._refreshed(account):
            return
        await self._log_in(account)

    async def _recall(self) -> bool:
        """Go on with what an earlier process was granted; return whether there was any."""
        if self._kept is None or self._recalled:
            return False
        tokens = await self._kept.recall()
        self._recalled = True
        if tokens is not None:
            self._use(tokens)
        return tokens is not None

    async def _refreshed(self, account: Account) -> bool:
        """Use the refresh token; return whether there is a token to go on with."""
        try:
            request = self._login.refresh(self._with_tokens(account))
            await self._take(await self._ask("refresh", request, self._login.refresh_rate))
        except Disconnected as error:
            if monotonic() < self._ends_at:
                return True  # It still lives: somebody will ask again.
            raise Disconnected(f"no fresh token: {error}", error.pause) from error
        except FeedError as error:
            said = struck(str(error), self._with_tokens(account).secrets)
            _log.warning("a refresh was refused: logging in", account=_name(account), reason=said)
            self._secrets = {}
            return False
        return True

    async def _log_in(self, account: Account) -> None:
        if self._refused and self._refused[0] == account.secrets:
            raise Unauthorized(self._refused[1])
        try:
            request = self._login.log_in(account)
            await self._take(await self._ask("log_in", request, self._login.log_in_rate))
        except Unauthorized as error:
            self._refused = dict(account.secrets), str(error)
            raise

    async def _ask(self, what: str, request: Request, rate: Rate) -> Answer:
        place = f"{urlsplit(request.url).netloc} {what}"
        budget = self._budgets.setdefault(place, Budget(rate.burst, rate.every))
        await asyncio.sleep(budget.reserve(monotonic()))
        return await _answered(request)

    async def _take(self, answer: Answer) -> None:
        tokens = self._login.tokens(answer, time())
        if self._kept is not None:
            await self._kept.keep(tokens)
        self._use(tokens)

    def _use(self, tokens: Tokens) -> None:
        now, life = monotonic(), inf if tokens.life is None else tokens.life
        part = _RENEW_TO - (_RENEW_TO - _RENEW_FROM) * _random()
        self._renew_at, self._ends_at = now + part * life, now + life
        self._secrets = {**self._secrets, **tokens.secrets}


def _name(account: Account) -> str:
    return f"{account.provider}/{account.name}"

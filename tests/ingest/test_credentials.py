"""One owner of a login: who asks when, what a refusal leads to, and what is never shown."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import msgspec
import pytest
from aiohttp import web

from ingest import credentials
from ingest.backoff import Budget
from ingest.credentials import Session
from ingest.feed import (
    Account,
    Answer,
    Disconnected,
    Login,
    Rate,
    Refused,
    Request,
    Tokens,
    Unauthorized,
)


@dataclass
class Desk:
    """A provider's login, whose tokens live as long as it says."""

    url: str = ""
    life: float | None = 1000.0
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        what = request.path.strip("/")
        self.asked.append(f"{what} {await request.text()}")
        number = len(self.asked)
        body = {"access_token": f"access#{number}", "refresh_token": f"refresh#{number}"}
        return web.json_response(body, status=self.statuses.get(what, 200))

    @property
    def calls(self) -> list[str]:
        return [line.split()[0] for line in self.asked]

    def login(self) -> Login:
        return Login(
            log_in=lambda account: self._post("login", account.secrets["password"]),
            refresh=lambda account: self._post("refresh", account.secrets["refresh_token"]),
            tokens=self._tokens,
            log_in_rate=Rate(10, 60.0),
            refresh_rate=Rate(10, 60.0),
        )

    def _post(self, path: str, body: str) -> Request:
        return Request(url=f"{self.url}/{path}", method="POST", body=body.encode())

    def _tokens(self, answer: Answer, _now: float) -> Tokens:
        match answer.status:
            case 401:
                raise Unauthorized("no")
            case 400:
                raise Refused("bad")
            case 503:
                raise Disconnected("down")
        return Tokens(secrets=msgspec.json.decode(answer.body, type=dict), life=self.life)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    app = web.Application()
    app.router.add_post("/{what}", desk.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield desk
    await runner.cleanup()


ACCOUNT = Account(
    provider="p", name="main", environment="sandbox", url="ws://p", secrets={"password": "s3cr3t"}
)


@dataclass
class Clock:
    now: float = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(credentials, "monotonic", lambda: clock.now)
    monkeypatch.setattr(credentials, "_random", lambda: 0.0)
    return clock


async def test_one_login_serves_socket_and_rest(desk: Desk, clock: Clock) -> None:
    session = Session(desk.login(), {})
    both = await asyncio.gather(*(session.authorized(ACCOUNT) for _ in range(5)))
    assert {account.secrets["access_token"] for account in both} == {"access#1"}
    assert desk.asked == ["login s3cr3t"]
    assert both[0].secrets["password"] == "s3cr3t"


async def test_a_token_is_renewed_when_most_of_its_life_is_over(desk: Desk, clock: Clock) -> None:
    session = Session(desk.login(), {})
    await session.authorized(ACCOUNT)
    clock.now = 799.0
    await session.authorized(ACCOUNT)
    assert desk.calls == ["login"]
    clock.now = 800.0
    renewed = await session.authorized(ACCOUNT)
    assert desk.asked[1:] == ["refresh refresh#1"]
    assert renewed.secrets["access_token"] == "access#2"


async def test_a_dial_wants_a_token_that_lives_a_while(desk: Desk, clock: Clock) -> None:
    desk.life = 100.0
    session = Session(desk.login(), {})
    await session.authorized(ACCOUNT, 60.0)
    clock.now = 39.0
    await session.authorized(ACCOUNT, 60.0)
    assert desk.calls == ["login"]
    clock.now = 41.0
    await session.authorized(ACCOUNT)
    assert desk.calls == ["login"]
    await session.authorized(ACCOUNT, 60.0)
    assert desk.calls == ["login", "refresh"]


async def test_a_token_that_says_nothing_is_used_until_it_is_refused(
    desk: Desk, clock: Clock
) -> None:
    desk.life = None
    session = Session(desk.login(), {})
    first = await session.authorized(ACCOUNT)
    clock.now = 1e9
    assert await session.authorized(ACCOUNT) == first
    session.distrust(first.secrets)
    await session.authorized(ACCOUNT)
    assert desk.calls == ["login", "refresh"]


async def test_a_token_that_was_renewed_meanwhile_is_not_renewed_again(
    desk: Desk, clock: Clock
) -> None:
    session = Session(desk.login(), {})
    first = await session.authorized(ACCOUNT)
    session.distrust(first.secrets)
    second = await session.authorized(ACCOUNT)
    session.distrust(first.secrets)
    assert await session.authorized(ACCOUNT) == second
    assert desk.calls == ["login", "refresh"]


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refused_refresh_is_followed_by_one_login(
    desk: Desk, clock: Clock, status: int
) -> None:
    session = Session(desk.login(), {})
    await session.authorized(ACCOUNT)
    desk.statuses["refresh"] = status
    clock.now = 900.0
    again = await session.authorized(ACCOUNT)
    await session.authorized(ACCOUNT)
    assert again.secrets["access_token"] == "access#3"
    assert desk.calls == ["login", "refresh", "login"]


async def test_while_the_provider_is_down_a_living_token_goes_on(desk: Desk, clock: Clock) -> None:
    session = Session(desk.login(), {})
    first = await session.authorized(ACCOUNT)
    desk.statuses["refresh"] = 503
    clock.now = 900.0
    assert await session.authorized(ACCOUNT) == first
    clock.now = 1001.0
    with pytest.raises(Disconnected, match="no fresh token"):
        await session.authorized(ACCOUNT)
    desk.statuses.clear()
    assert (await session.authorized(ACCOUNT)).secrets["access_token"] == "access#4"
    assert desk.calls == ["login", "refresh", "refresh", "refresh"]


async def test_a_refused_login_is_asked_again_only_with_other_credentials(desk: Desk) -> None:
    session = Session(desk.login(), {})
    desk.statuses["login"] = 401
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await session.authorized(ACCOUNT)
    assert desk.calls == ["login"]
    desk.statuses.clear()
    await session.authorized(replace(ACCOUNT, secrets={"password": "other"}))
    assert desk.asked[1:] == ["login other"]


async def test_logins_stay_below_what_the_provider_allows_an_address(desk: Desk) -> None:
    login = replace(desk.login(), log_in_rate=Rate(2, 0.1))
    budgets: dict[str, Budget] = {}
    began = asyncio.get_running_loop().time()
    accounts = (Session(login, budgets).authorized(ACCOUNT) for _ in range(4))
    await asyncio.gather(*accounts)
    assert asyncio.get_running_loop().time() - began >= 0.2 - 0.01


async def test_nothing_that_holds_a_secret_shows_it(
    desk: Desk, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(desk.login(), {})
    account = await session.authorized(ACCOUNT)
    desk.statuses["refresh"] = 401
    session.distrust(account.secrets)
    again = await session.authorized(ACCOUNT)
    request = desk.login().log_in(ACCOUNT)
    tokens = Tokens(secrets={"access_token": "access#1"}, life=1.0)
    printed = capsys.readouterr()
    shown = f"{account} {again} {request} {tokens} {session} {printed.out} {printed.err}"
    assert "logging in" in printed.out
    for secret in ("s3cr3t", "access#", "refresh#"):
        assert secret not in shown


async def test_nobody_home_is_a_disconnect_that_names_no_url() -> None:
    desk = Desk(url="http://127.0.0.1:1/secret-path")
    with pytest.raises(Disconnected) as caught:
        await Session(desk.login(), {}).authorized(ACCOUNT)
    assert "secret-path" not in str(caught.value)


# ---- tokens that outlive the process ----------------------------------------------------


@dataclass
class Shelf:
    """Where tokens are kept, which can be told to take its time."""

    tokens: Tokens | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    recalls: int = 0

    async def recall(self) -> Tokens | None:
        self.recalls += 1
        return self.tokens

    async def keep(self, tokens: Tokens) -> None:
        self.asked.set()
        await self.open.wait()
        self.tokens = tokens


async def test_a_token_is_used_only_once_it_is_kept(desk: Desk, clock: Clock) -> None:
    shelf = Shelf()
    session = Session(desk.login(), {}, shelf)
    asking = asyncio.create_task(session.authorized(ACCOUNT))
    async with asyncio.timeout(5):
        await shelf.asked.wait()
        assert not asking.done()
        shelf.open.set()
        account = await asking
    assert shelf.tokens
    assert shelf.tokens.secrets.items() <= account.secrets.items()


async def test_the_next_process_goes_on_with_what_was_kept_and_asks_for_nothing(
    desk: Desk, clock: Clock
) -> None:
    kept = {"access_token": "kept", "refresh_token": "kept#r"}
    shelf = Shelf(Tokens(secrets=kept, life=100.0))
    shelf.open.set()
    session = Session(desk.login(), {}, shelf)
    assert (await session.authorized(ACCOUNT)).secrets["access_token"] == "kept"
    assert (desk.asked, shelf.recalls) == ([], 1)
    clock.now = 80.0
    assert (await session.authorized(ACCOUNT)).secrets["access_token"] == "access#1"
    assert desk.asked == ["refresh kept#r"]


async def test_a_kept_token_that_is_refused_is_replaced_and_not_recalled_again(
    desk: Desk, clock: Clock
) -> None:
    kept = {"access_token": "kept", "refresh_token": "kept#r"}
    shelf = Shelf(Tokens(secrets=kept, life=100.0))
    shelf.open.set()
    session = Session(desk.login(), {}, shelf)
    session.distrust((await session.authorized(ACCOUNT)).secrets)
    assert (await session.authorized(ACCOUNT)).secrets["access_token"] == "access#1"
    assert shelf.recalls == 1

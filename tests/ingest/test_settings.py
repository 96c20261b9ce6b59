"""Mistakes of the operator's: one line that says what and what to do, and an exit code."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ingest.errors import SettingsError
from ingest.settings import chosen, load

GOOD = """
[kafka]
bootstrap_servers = "127.0.0.1:1"
[registry]
url = "http://127.0.0.1:2"
[processors]
whatever = 1
[[accounts]]
provider = "pepay"
name = "main"
environment = "sandbox"
url = "ws://127.0.0.1:3/ws/commerce/events"
credentials = { api_key = "env:PEPAY_KEY" }
keys = { k1 = "file:/not/ours" }
[[accounts]]
provider = "transak"
name = "main"
environment = "production"
credentials = { api_key = "file:key" }
options = { public_channels = ["a"] }
"""

WITH_SECRET = GOOD.replace(
    '{ api_key = "file:key" }', '{ api_key = "file:key", api_secret = "file:key" }'
)
"""A Transak account whose token is refreshed."""

MARKET = """
[[accounts]]
provider = "paymium"
name = "public"
environment = "production"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "penstock.toml").write_text(GOOD)
    (tmp_path / "key").write_text("transak-key\n")
    return tmp_path


def run(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PEPAY_KEY": "s3cr3t",
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


DOOR = """
[ingest.webhooks]
address = "127.0.0.1:0"
"""


def with_webhook(options: str = "{}", account: str = "pepay") -> str:
    """Give an account deliveries, at a door that is there."""
    return GOOD.replace(f'"{account}"', f'"{account}"\nwebhook = {options}') + DOOR


WRONG_FILES = [
    (
        with_webhook().replace(DOOR, ""),
        "account pepay/main: webhook: nobody listens; set address in [ingest.webhooks]",
    ),
    (with_webhook().replace("127.0.0.1:0", "0"), "ingest.webhooks.address: String should match"),
    (
        with_webhook('{ tee = true, other = "s3cr3t" }'),
        "account pepay/main: webhook: expected no options, found other, tee",
    ),
    (
        with_webhook(account="transak"),
        "account transak/main: webhook: expected keys, by which deliveries are known, found none",
    ),
    (
        with_webhook()
        .replace('"pepay"', '"satoriex"')
        .replace("api_key =", 'password = "env:PEPAY_KEY", email =', 1),
        "account satoriex/main: webhook: this provider sends none; remove it",
    ),
    (
        with_webhook().replace('k1 = "file:/not/ours"', 'k1 = "s3cr3t"'),
        "accounts.0.keys.k1: expected env:NAME or file:/path, never the secret itself",
    ),
    (with_webhook(), "account pepay/main, keys, k1: cannot read /not/ours (No such file"),
    (
        with_webhook("{ tee = false }").replace('"pepay"', '"assetpay"'),
        "account assetpay/main: webhook: a 2xx to this provider approves withdrawals: let your own",
    ),
    ("", "penstock.toml: accounts: Field required"),
    ("[[accounts", "penstock.toml is not TOML: "),
    (GOOD.replace('"pepay"', '"papay"'), "accounts.0.provider: Value error, expected one of "),
    (GOOD.replace('name = "main"\n', "", 1), "accounts.0.name: Field required"),
    (GOOD.replace("credentials", "credentails", 1), "accounts.0.credentails: Extra inputs"),
    (GOOD + "[ingest]\nhtpp = 1", "ingest.htpp: Extra inputs are not permitted"),
    (GOOD + "[ingest]\nhttp = 1", "ingest.http: Input should be a valid string"),
    (
        GOOD.replace("env:PEPAY_KEY", "s3cr3t"),
        "accounts.0.credentials.api_key: expected env:NAME or file:/path, never the secret itself",
    ),
    (
        GOOD.replace("api_key = ", "apikey = ", 1),
        "account pepay/main: credentials: expected api_key, found apikey",
    ),
    (
        GOOD + MARKET.replace('"production"', '"sandbox"'),
        "account paymium/public: no address is published for sandbox; set url",
    ),
    (
        GOOD + MARKET + 'credentials = { channel_id = "env:CHANNEL" }',
        "account paymium/public: credentials: expected none, found channel_id",
    ),
    (
        GOOD + MARKET.replace('"public"', '"main"'),
        "account paymium/main: credentials: expected channel_id and perhaps api_key, api_secret",
    ),
    (GOOD.replace("ws://127", "http://127"), "accounts.0.url: Value error, expected ws://host"),
    (
        GOOD.replace("/events", "/events?token=s3cr3t"),
        "accounts.0.url: Value error, expected no query",
    ),
    (
        GOOD.replace('"transak"', '"pepay"'),
        "account pepay/main is there twice; name one differently",
    ),
    (
        GOOD.replace('["a"]', '["a b"]'),
        "account transak/main: options: channel 2 (API key, public_channels, partner_orders)",
    ),
    (
        GOOD.replace("env:PEPAY_KEY", "env:NOT_THERE"),
        "account pepay/main, api_key: variable NOT_THERE is empty; put the secret there",
    ),
    (
        GOOD.replace("file:key", "file:/not/there"),
        "account transak/main, api_key: cannot read /not/there (No such file or directory)",
    ),
    (
        WITH_SECRET,
        "account transak/main: its tokens are to be kept: expected [keys] seal, found none; add it",
    ),
    (
        WITH_SECRET + '[keys]\nseal = "s3cr3t"',
        "keys.seal: expected env:NAME or file:/path, never the secret itself",
    ),
    (
        WITH_SECRET + '[keys]\nseal = "env:PEPAY_KEY"',
        "keys.seal: expected 32 bytes in base64 or hex, found other text; make one: openssl rand",
    ),
    (WITH_SECRET + '[keys]\nseel = "env:PEPAY_KEY"', "keys.seel: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("content", "line"), WRONG_FILES, ids=[line for _, line in WRONG_FILES])
def test_a_wrong_file_is_one_line(directory: Path, content: str, line: str) -> None:
    (directory / "penstock.toml").write_text(content)
    end = run(directory)
    assert end.returncode == 2
    assert end.stdout == ""
    (said,) = end.stderr.splitlines()
    assert said.startswith("penstock-ingest: ")
    assert line in said
    assert "s3cr3t" not in said


def test_no_file_is_one_line(directory: Path) -> None:
    end = run(directory, PENSTOCK_SETTINGS="elsewhere.toml")
    assert (end.returncode, end.stderr) == (
        2,
        (
            "penstock-ingest: cannot read elsewhere.toml (No such file or directory)"
            "; name it by --settings\n"
        ),
    )


def test_a_secret_of_several_lines_is_one_line(directory: Path) -> None:
    (directory / "key").write_text("s3cr3t\nmore")
    end = run(directory, "--provider", "transak")
    assert (end.returncode, end.stderr) == (
        2,
        (
            "penstock-ingest: account transak/main, api_key: key holds more than one line"
            "; leave only the secret\n"
        ),
    )


def test_a_provider_without_an_account_is_one_line(directory: Path) -> None:
    (directory / "penstock.toml").write_text(
        GOOD.replace('"transak"', '"pepay"').replace('"main"', '"b"', 1)
    )
    end = run(directory, "--provider", "transak")
    assert (end.returncode, end.stderr) == (
        2,
        "penstock-ingest: no account of transak; add [[accounts]] or change --provider\n",
    )


def test_a_port_that_is_taken_is_one_line(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        http = f"127.0.0.1:{taken.getsockname()[1]}"
        (directory / "penstock.toml").write_text(f'{GOOD}[ingest]\nhttp = "{http}"')
        end = run(directory)
    assert end.returncode == 2
    assert end.stderr == (
        f"penstock-ingest: cannot listen on {http} (Address already in use)"
        "; change ingest.http or free the port\n"
    )


def test_a_port_of_webhooks_that_is_taken_is_one_line(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        content = with_webhook().replace("127.0.0.1:0", address).replace("/not/ours", "key")
        (directory / "penstock.toml").write_text(f'{content}[ingest]\nhttp = "127.0.0.1:0"')
        end = run(directory)
    assert end.returncode == 2
    assert end.stderr == (
        f"penstock-ingest: cannot listen on {address} (Address already in use)"
        "; change ingest.webhooks.address or free the port\n"
    )


def test_each_of_several_processes_on_one_host_may_have_a_door_of_its_own(directory: Path) -> None:
    (directory / "penstock.toml").write_text(with_webhook())
    for address in ("127.0.0.1:9467", "127.0.0.1:9468"):
        told = load(directory / "penstock.toml", webhooks=address).ingest.webhooks
        assert told
        assert told.address == address


def test_a_door_that_is_no_address_is_one_line(directory: Path) -> None:
    with pytest.raises(SettingsError, match=r"ingest\.webhooks\.address: "):
        load(directory / "penstock.toml", webhooks="9467")


def test_the_environment_wins_over_the_file(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("PENSTOCK_SETTINGS", str(directory / "penstock.toml"))
    assert load().kafka.bootstrap_servers == "kafka:9092"


def test_accounts_are_chosen_by_provider(directory: Path) -> None:
    settings = load(directory / "penstock.toml")
    assert [str(account) for account in chosen(settings, ["transak"])] == ["transak/main"]
    assert [str(account) for account in chosen(settings, [])] == ["pepay/main", "transak/main"]


def test_without_an_address_the_published_one_is_dialled(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory)
    (account,) = chosen(load(directory / "penstock.toml"), ["transak"])
    told = account.with_secrets()
    assert told.url == "wss://ws-ap2.pusher.com/app/1d9ffac87de599c61283"
    assert told.secrets == {"api_key": "transak-key"}
    assert "transak-key" not in repr(told) + repr(account)

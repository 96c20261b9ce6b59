"""An event traced back to its bytes, and topics watched, by the command itself."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from penstock.reconcile import read_events
from penstock.stack import Stack
from schemas import topics
from tests.end_to_end.raw_writer import RawWriter, invoice
from tests.end_to_end.test_redrive import ACCOUNTS, ORDERS, facts_of, tell_orders
from tests.end_to_end.test_workers import Worker, told, until

TOKEN = "the key that signs every order".ljust(64, ".")


def penstock(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command where ``penstock.toml`` is."""
    return subprocess.run(
        [sys.executable, "-m", "penstock", *words],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "REFERENCE": "test"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def rows(directory: Path, *words: str) -> list[dict[str, Any]]:
    ended = penstock(directory, *words, "--json", "--no-follow")
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.timeout(240)
async def test_an_event_is_traced_to_its_bytes_and_what_is_written_is_watched(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    for name in ("mistaken", "correct"):
        (tmp_path / name).write_text(TOKEN)
    accounts = ACCOUNTS.format(mistaken=tmp_path / "mistaken", correct=tmp_path / "correct")
    accounts = accounts.replace('"mistaken"', '"signed"').replace('"correct"', '"other"')
    tell_orders(prepared_stack, "signed", TOKEN)
    writer = RawWriter(prepared_stack, "traced")
    writer.write([*(invoice(n) for n in range(3)), invoice(1, "expired", change=1)])
    writer.write([b'{"torn": "\x1b[2J Ada Lovelace'])
    one = Worker(tmp_path, prepared_stack, "traced")
    with one.file.open("a") as file:
        file.write(accounts)
    one.file.rename(tmp_path / "penstock.toml")
    one.file = tmp_path / "penstock.toml"
    shop = writer.accounts[0]

    async def all_is_told() -> bool:
        return (
            len(told(prepared_stack, writer)) == 4 * len(writer.accounts)
            and len(facts_of(prepared_stack, "signed")) == ORDERS
        )

    await one.start()
    try:
        await until(all_is_told)
    finally:
        one.send(signal.SIGTERM)
        assert await one.ended() == 0

    trace_of_a_signed_event(tmp_path, prepared_stack)
    trace_of_an_entity(tmp_path, f"pepay/{shop}/evt_1763700000001-1")
    unknown = penstock(tmp_path, "trace", "pepay/nobody/evt_1")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("penstock: pepay/nobody/evt_1 is not on events")
    assert unknown.stderr.count("\n") == 1

    watch_what_was_written(tmp_path, shop)
    await watch_what_is_written(tmp_path, prepared_stack)


def trace_of_a_signed_event(directory: Path, stack: Stack) -> None:
    event_id = next(
        event["id"]
        for event in read_events(stack.connection, stack.registry_url)
        if event["account"] == "signed" and event["entity_id"] == "order-7"
    )
    (found,) = [json.loads(penstock(directory, "trace", event_id, "--json").stdout)]
    assert [found[name]["holds"] for name in ("sha256", "signature", "told_again")] == [True] * 3
    assert found["signature"]["said"] == "hs256:k1 made the signature"
    assert found["event"]["conversion"]["fiat"] == {"amount": "30", "currency": "EUR"}
    assert found["raw"]["sequence"] == 7
    assert found["bytes"] is None

    (directory / "mistaken").write_text("another key".ljust(64, "."))
    forged = penstock(directory, "trace", event_id)
    assert forged.returncode == 1, "the key of today did not make the signature"
    assert "✗ hs256:k1: token: expected one of 1 keys to have signed it" in forged.stdout
    text = (directory / "penstock.toml").read_text()
    (directory / "penstock.toml").write_text(text.replace("k1", "k2"))
    unknown = penstock(directory, "trace", event_id)
    assert unknown.returncode == 0, "what cannot be checked is not false"
    assert "· key k1 is neither in the settings nor on `keys`" in unknown.stdout
    assert "✓ the frame's SHA-256 is the evidence's" in unknown.stdout


def trace_of_an_entity(directory: Path, event_id: str) -> None:
    shown = penstock(directory, "trace", event_id, "--bytes", "--since", "1h").stdout
    assert "✓ pepay@" in shown
    assert '"status": "expired"' in shown
    assert "entity  invoice inv_1" in shown
    told_of_it = [line for line in shown.splitlines() if "invoice." in line and "change" in line]
    assert ["▶" in line for line in told_of_it] == [False, True]
    assert "invoice.paid" in told_of_it[0]
    assert "invoice.expired" in told_of_it[1]


def watch_what_was_written(directory: Path, shop: str) -> None:
    mine = ("--account", shop, "--from-beginning")
    events = rows(directory, "tail", "events", *mine)
    assert {one["account"] for one in events} == {shop}
    assert len(events) == 4
    late = rows(directory, "tail", "events", *mine, "--type", "invoice.expired")
    assert [one["entity_id"] for one in late] == ["inv_1"]
    assert len(rows(directory, "tail", "events", *mine, "--type", "invoice")) == 4
    assert len(rows(directory, "tail", "events", *mine, "--entity", "inv_1")) == 2
    raw = rows(directory, "tail", "raw", "--provider", "pepay", *mine)
    assert len(raw) == 5
    assert not any("value" in one for one in raw), "persons are shown when asked for alone"
    (rejected,) = rows(directory, "tail", "rejected", *mine)
    assert rejected["reason"] == "malformed"
    assert len(rows(directory, "tail", "raw", "--last", "3")) == 3
    lines = penstock(directory, "tail", "raw", *mine, "--bytes", "--no-follow").stdout
    assert "\\x1b[2J Ada Lovelace" in lines, "nobody commands our terminal"


async def watch_what_is_written(directory: Path, stack: Stack) -> None:
    """What comes is printed as it comes, until Ctrl-C."""
    watching = await asyncio.create_subprocess_exec(
        # Whoever runs us in the background has its children ignore SIGINT.
        *("env", "--default-signal=INT"),
        *(sys.executable, "-m", "penstock", "tail", "raw", "--last", "0"),
        *("--provider", "transak", "--account", "watched"),
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert watching.stdout is not None
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    first = asyncio.create_task(watching.stdout.readline())
    try:
        async with asyncio.timeout(60):
            while not first.done():  # It begins at the end, and says not when it is there.
                producer.produce(topics.raw("transak"), b"{}", headers=headers("watched"))
                producer.produce(topics.raw("transak"), b"{}", headers=headers("unwatched"))
                assert producer.flush(10) == 0
                await asyncio.wait([first], timeout=0.5)
            watching.send_signal(signal.SIGINT)
            rest, errors = await watching.communicate()
    finally:
        if watching.returncode is None:
            watching.kill()
    assert (watching.returncode, errors) == (0, b"")
    lines = [first.result(), *rest.splitlines()]
    assert all(b"transak/watched  socket orders frame test#1  2 bytes" in line for line in lines)


def headers(account: str) -> Sequence[tuple[str, str]]:
    told_by = {"provider": "transak", "account": account, "environment": "sandbox"}
    frame = {"via": "socket", "route": "orders", "kind": "frame", "connection": "test"}
    return list({**told_by, **frame, "sequence": "1", "received_at": "1763700000000000"}.items())

"""What was wrong is mended, rejected parts are redriven by the command: each fact is told, once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from time import time_ns
from typing import Any

from confluent_kafka import Producer

from penstock.reconcile import read_events
from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from schemas.avro_reader import Reader
from schemas.codec import raw_headers
from schemas.records import Kind, Raw, Rejected, Via
from schemas.redrive import Asked, decode_asked
from schemas.registry import Registry
from tests.end_to_end.raw_writer import RawWriter, invoice
from tests.end_to_end.test_keys import order
from tests.end_to_end.test_workers import Worker, read_all, told, until, worker

PROGRAM = """
from dataclasses import replace
from processors.__main__ import main
from processors.mappers import MAPPERS

# Stands for a mapper that does not know a kind yet.
pepay = MAPPERS["pepay"]
MAPPERS["pepay"] = replace(pepay, routes={})
main()
"""


class Operator:
    """Somebody with a shell, who redrives what accounts rejected."""

    def __init__(self, stack: Stack, accounts: Collection[str]) -> None:
        self._stack = stack
        self._accounts = [word for account in accounts for word in ("--account", account)]

    def redrives(self, *words: str) -> dict[str, Any]:
        """Return what the command did, as it says itself."""
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "penstock", "rejected", "redrive", "--json"),
                *("--bootstrap-servers", self._stack.bootstrap_servers),
                *("--registry-url", self._stack.registry_url, *self._accounts, *words),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        said: dict[str, Any] = json.loads(ended.stdout)
        return said

    def audited(self, run: str) -> list[Asked]:
        told = whole(self._stack.connection, topics.AUDIT)
        return [decode_asked(one.value() or b"") for one in told if one.key() == run.encode()]


def rejected_of(stack: Stack, accounts: Collection[str]) -> list[Rejected]:
    read = Reader(Rejected, Registry(stack.registry_url).text)
    wanted = {account.encode() for account in accounts}
    return [
        read(message.value() or b"")
        for message in whole(stack.connection, topics.REJECTED)
        if message.key() in wanted
    ]


def facts_of(stack: Stack, account: str) -> list[tuple[str, str]]:
    """Return id, without the account's name, and payload of all that an account told."""
    return sorted(
        (event["id"].replace(account, ""), repr(event["invoice"] or event["conversion"]))
        for event in read_events(stack.connection, stack.registry_url)
        if event["account"] == account
    )


async def test_what_a_mended_mapper_is_given_again_is_told_once(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    application = "redriven"
    writer = RawWriter(prepared_stack, application)
    writer.write(invoice(n) for n in range(20))
    wrong = Worker(tmp_path, prepared_stack, application)
    wrong.process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, "--settings", str(wrong.file)),
        env={"PATH": os.environ["PATH"], "REFERENCE": "test"},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await read_all(prepared_stack, application)
    finally:
        wrong.send(signal.SIGTERM)
        assert await wrong.ended() == 0
    assert told(prepared_stack, writer) == {}
    rejected = rejected_of(prepared_stack, writer.accounts)
    parts = 20 * len(writer.accounts)
    assert len(rejected) == parts
    assert {(one.reason, one.attempt) for one in rejected} == {("unknown_kind", 1)}
    right_from_the_start = RawWriter(prepared_stack, "right")
    right_from_the_start.write(invoice(n) for n in range(20))

    async def all_are_told() -> bool:
        return len(await asyncio.to_thread(told, prepared_stack, writer)) >= parts

    operator = Operator(prepared_stack, writer.accounts)
    assert operator.redrives("--dry-run")["written"] == 0
    first = operator.redrives("--yes", "--reason", "unknown_kind", "--by", "ada")
    assert (first["written"], first["asked_before"]) == (parts, 0)
    again = operator.redrives("--yes")
    assert (again["written"], again["asked_before"]) == (0, parts)
    assert operator.redrives("--yes", "--anew")["written"] == parts  # One who is not sure.

    (asked,) = operator.audited(first["run"])
    assert (asked.by, asked.filters["reason"], asked.chosen) == ("ada", "unknown_kind", parts)
    assert {part.of for part in asked.parts} == {
        (one.topic, one.partition, one.offset) for one in rejected
    }
    async with worker(tmp_path, prepared_stack, application) as mended:
        await until(all_are_told)
        writer.write([invoice(20)])  # What comes after is read after both.
        await read_all(prepared_stack, application)
        mended.send(signal.SIGTERM)
        assert await mended.ended() == 0
    counts = told(prepared_stack, writer)
    assert set(counts.values()) == {1}
    assert len(counts) == 21 * len(writer.accounts)
    assert len(rejected_of(prepared_stack, writer.accounts)) == parts, "nothing is rejected anew"
    like = facts_of(prepared_stack, right_from_the_start.accounts[0])
    assert len(like) == 20
    assert [one for one in facts_of(prepared_stack, writer.accounts[0]) if one in like] == like


ACCOUNTS = """
[[accounts]]
provider = "transak"
name = "mistaken"
environment = "sandbox"
keys = {{ k1 = "file:{mistaken}" }}
[[accounts]]
provider = "transak"
name = "correct"
environment = "sandbox"
keys = {{ k1 = "file:{correct}" }}
"""
ORDERS = 30


def tell_orders(stack: Stack, account: str, token: str) -> None:
    """Append frames to raw as ingest would, some of them twice, as sockets do."""
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    for sequence in range(ORDERS + 5):
        frame = order(sequence % ORDERS, token)
        raw = Raw(
            provider="transak",
            account=account,
            environment="sandbox",
            via=Via.SOCKET,
            route="orders",
            kind=Kind.FRAME,
            connection="test",
            sequence=sequence,
            received_at=time_ns() // 1000,
            value=frame,
        )
        producer.produce(
            topics.raw("transak"),
            frame,
            account,
            topics.partition_of(account, stack.partitions),
            headers=[*raw_headers(raw)],
        )
    assert producer.flush(30) == 0


async def test_what_the_wrong_key_could_not_verify_is_told_once_the_key_is_right(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    token = "the key that signs every order of both accounts".ljust(64, ".")
    keys = {"mistaken": tmp_path / "mistaken", "correct": tmp_path / "correct"}
    keys["mistaken"].write_text("another key, by an operator's mistake".ljust(64, "."))
    keys["correct"].write_text(token)
    for account in keys:
        tell_orders(prepared_stack, account, token)
    one = Worker(tmp_path, prepared_stack, "mistaken")
    with one.file.open("a") as file:
        file.write(ACCOUNTS.format(**keys))

    async def all_left_by_a_door() -> bool:
        rejected = rejected_of(prepared_stack, ["mistaken"])
        return len(rejected) == ORDERS + 5 and len(facts("correct")) == ORDERS

    async def both_told_the_same() -> bool:
        return len(facts("mistaken")) >= ORDERS

    def facts(account: str) -> list[tuple[str, str]]:
        return facts_of(prepared_stack, account)

    operator = Operator(prepared_stack, ["mistaken"])
    try:
        await one.start()
        await until(all_left_by_a_door)
        early = operator.redrives("--yes", "--limit", "3")  # Before anything was mended.
        assert (early["written"], early["beyond_limit"]) == (3, ORDERS + 2)

        async def they_are_rejected_again() -> bool:
            return len(rejected_of(prepared_stack, ["mistaken"])) == ORDERS + 8

        await until(they_are_rejected_again)
        one.send(signal.SIGTERM)
        assert await one.ended() == 0
        assert facts("mistaken") == []

        keys["mistaken"].write_text(token)
        await one.start()
        mended = operator.redrives("--yes", "--reason", "unverified")
        assert mended["written"] == ORDERS + 5, "each part once, by its last rejection"
        await until(both_told_the_same)
        assert operator.redrives("--yes")["asked_before"] == ORDERS + 5
        one.send(signal.SIGTERM)
        assert await one.ended() == 0
    finally:
        assert one.process is not None
        if one.process.returncode is None:
            one.process.kill()
            await one.process.wait()
    assert facts("mistaken") == facts("correct"), "the same ids and payloads, each once"
    assert len(rejected_of(prepared_stack, ["mistaken"])) == ORDERS + 8

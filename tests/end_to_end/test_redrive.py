"""A mapper is mended, its rejected parts are redriven: each fact is told, once."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from confluent_kafka import Producer

from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from schemas.avro_reader import Reader
from schemas.records import Rejected
from schemas.redrive import redrive
from schemas.registry import Registry
from tests.end_to_end.raw_writer import RawWriter, invoice
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


def rejected_of(stack: Stack, writer: RawWriter) -> list[Rejected]:
    read = Reader(Rejected, Registry(stack.registry_url).text)
    accounts = {account.encode() for account in writer.accounts}
    return [
        read(message.value() or b"")
        for message in whole(stack.connection, topics.REJECTED)
        if message.key() in accounts
    ]


def write(stack: Stack, rejected: list[Rejected]) -> None:
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    for one in rejected:
        record = redrive(one)
        producer.produce(
            topics.REDRIVE, record.value, record.key, record.partition, headers=record.headers
        )
    assert producer.flush(30) == 0


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
    rejected = rejected_of(prepared_stack, writer)
    assert len(rejected) == 20 * len(writer.accounts)
    assert {(one.reason, one.attempt) for one in rejected} == {("unknown_kind", 1)}
    expected = {
        f"pepay/{account}/evt_1763700000000-{n}" for account in writer.accounts for n in range(20)
    }

    async def all_are_told() -> bool:
        return set(await asyncio.to_thread(told, prepared_stack, writer)) >= expected

    write(prepared_stack, rejected)
    write(prepared_stack, rejected)  # An operator who is not sure, and asks again.
    async with worker(tmp_path, prepared_stack, application) as mended:
        await until(all_are_told)
        writer.write([invoice(20)])  # What comes after is read after both.
        await read_all(prepared_stack, application)
        mended.send(signal.SIGTERM)
        assert await mended.ended() == 0
    counts = told(prepared_stack, writer)
    assert set(counts.values()) == {1}
    assert len(counts) == 21 * len(writer.accounts)
    assert len(rejected_of(prepared_stack, writer)) == len(rejected), "nothing is rejected anew"

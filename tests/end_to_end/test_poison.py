"""A part that kills its task, again and again: it is found, rejected, and the rest goes on."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from tests.end_to_end.raw_writer import RawWriter, invoice
from tests.end_to_end.test_workers import Worker, told, until

PROGRAM = """
import os
from processors import pipeline
from processors.__main__ import main

tell = pipeline.tell_fact

def deadly(frame, part, statement, *rest):
    # Stands for a bug, or a library, that takes the process down.
    if statement.entity_id == "inv_7":
        os.abort()
    tell(frame, part, statement, *rest)

pipeline.tell_fact = deadly
main()
"""


@pytest.mark.timeout(240)
async def test_a_poison_never_loops(tmp_path: Path, prepared_stack: Stack) -> None:
    writer = RawWriter(prepared_stack, "poisoned")
    writer.accounts = writer.accounts[:1]
    writer.write(invoice(n) for n in range(20))
    deaths = 0
    one = Worker(tmp_path, prepared_stack, "poisoned")
    expected = {f"pepay/{writer.accounts[0]}/evt_1763700000000-{n}" for n in range(20) if n != 7}

    async def all_but_the_poison_are_told() -> bool:
        nonlocal deaths
        if one.process is None or one.process.returncode is not None:
            deaths += one.process is not None
            one.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PROGRAM, "--settings", str(one.file)),
                env={"PATH": os.environ["PATH"], "REFERENCE": "test"},
                stderr=asyncio.subprocess.DEVNULL,
            )
        return set(await asyncio.to_thread(told, prepared_stack, writer)) >= expected

    try:
        # Each death costs the group's session of 10 s before the next start may work.
        await until(all_but_the_poison_are_told, seconds=200)
    finally:
        assert one.process is not None
        one.process.kill()
        await one.process.wait()
    assert deaths == 5, "three in a batch, two alone"
    counts = told(prepared_stack, writer)
    assert counts.keys() == expected
    assert set(counts.values()) == {1}
    rejected = [
        message.value() or b""
        for message in whole(prepared_stack.connection, topics.REJECTED)
        if message.key() == writer.accounts[0].encode()
    ]
    assert [b"crashed" in value and b"inv_7" in value for value in rejected] == [True]

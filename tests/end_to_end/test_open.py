"""What `open` holds once it is compacted: the entities that are not final, and no others."""

from pathlib import Path

from penstock.stack import Stack
from penstock.topic_reader import whole
from schemas import topics
from schemas.codec import decode_open
from tests.end_to_end.raw_writer import RawWriter, invoice
from tests.end_to_end.test_workers import read_all, until, worker


async def test_open_holds_what_is_not_final_through_a_change_of_workers(
    tmp_path: Path, prepared_stack: Stack
) -> None:
    application = "openness"
    writer = RawWriter(prepared_stack, application)

    async def work_through(*frames: bytes) -> None:
        writer.write(frames)
        async with worker(tmp_path, prepared_stack, application) as one:

            async def owns_all() -> bool:
                return len(await one.partitions()) == prepared_stack.partitions

            await until(owns_all)
            await read_all(prepared_stack, application)

    await work_through(*(invoice(n, "pending") for n in range(40)))
    await work_through(
        *(invoice(n, "paid", change=2) for n in range(0, 40, 2)),
        *(invoice(n, "pending", change=1) for n in range(0, 40, 4)),  # late, and old
        *(invoice(n, "pending", change=3) for n in range(1, 40, 2)),  # as open as before
    )
    records = [
        message
        for message in whole(prepared_stack.connection, topics.OPEN)
        if (message.key() or b"").split(b"/")[1].decode() in writer.accounts
    ]
    view = {message.key(): message for message in records}
    held = [decode_open(value) for message in view.values() if (value := message.value())]
    assert {(one.account, one.entity_id) for one in held} == {
        (account, f"inv_{n}") for account in writer.accounts for n in range(1, 40, 2)
    }
    assert {one.key.encode() for one in held} <= view.keys()
    assert len(records) == (40 + 20) * len(writer.accounts), "only what turned is written"
    assert all(
        message.partition()
        == topics.partition_of((message.key() or b"").split(b"/")[1].decode(), 4)
        for message in records
    ), "an account's are where its raw is"

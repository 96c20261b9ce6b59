"""A Faust app that hosts the exactly-once tasks.

Faust's own ``exactly_once`` sends outputs outside its transaction, so its consumer and
producer are switched off; it stays the host: supervision, web endpoints, signals.
https://faust-streaming.github.io/faust/
"""

import asyncio
import os
import time
import traceback
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import faust
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from faust.app.base import BootStrategy
from faust.web import Request, Response, View
from mode import Service
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from processors import metrics
from processors.aiokafka_private import pace, quicken
from processors.assignor import ByPartitionNumber
from processors.errors import OperatorError
from processors.key_log import KeyLog
from processors.restore import ANSWER_MS, reached
from processors.task import Task, Work
from schemas import topics

_log = structlog.get_logger()

_FETCH_BYTES: Final = 4 * 2**20
"""Bytes of one answer: a backlog in memory, unpacked, is many times the bytes that it was."""
_KEYS_EVERY: Final = 1.0
"""Seconds between two looks at ``keys``: only what was rejected before waits for them."""
_OFFSETS_EVERY: Final = 0.2
"""Seconds between two tellings of the group's offsets."""
_OFFSETS_TAKE: Final = 2.0
"""Seconds that one may take."""
_STALLED: Final = 60.0
"""Seconds without a commit, while records wait, after which the worker is not live."""


class _OwnKafka(BootStrategy):
    enable_kafka_consumer = False
    enable_kafka_producer = False


class _Host(faust.App):
    BootStrategy = _OwnKafka

    def _create_directories(self) -> None:
        """Make none: they are for Faust's tables, and there is no table."""


class Worker(ConsumerRebalanceListener):  # type: ignore[misc]
    """The tasks of this process: who they are follows the group's assignment."""

    def __init__(self, work: Work, task: type[Task] = Task) -> None:
        """``task``: what does the work of one partition number."""
        self.tasks: dict[int, Task] = {}
        self.is_ready = False
        """True once every assigned task is restored."""
        self._work = work
        self._task = task
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned: set[TopicPartition] | None = None
        self._followers: list[asyncio.Task[None]] = []
        self._told: dict[TopicPartition, int] = {}
        self._generation = 0
        """Counts assignments, so that a take-over that was overtaken is dropped."""

    async def run(self) -> None:
        """Read, and hand every record to the task of its partition number."""
        consumer = self._consumer = _consumer(self._work)
        await self._read_keys()
        consumer.subscribe(list(self._work.topics), listener=self)
        await reached(consumer, self._work.kafka)
        pace(consumer, self._work.linger)
        self._follow("offsets", self._keep_telling())
        while True:
            if self._assigned is not None:
                await self._take_over(consumer, self._assigned)
                continue
            for at, records in (await consumer.getmany(timeout_ms=200)).items():
                if task := self.tasks.get(at.partition):
                    task.put(at.topic, records)

    async def _read_keys(self) -> None:
        """Read ``keys`` to its end, and keep reading."""
        if self._work.late_keys is None:
            return
        await self._work.late_keys.log.start()
        self._follow("keys", self._heed_keys(self._work.late_keys.log))

    def _follow(self, what: str, forever: Coroutine[None, None, None]) -> None:
        follower = asyncio.create_task(forever, name=what)
        follower.add_done_callback(_end_with)
        self._followers.append(follower)

    async def _heed_keys(self, log: KeyLog) -> None:
        known = 0
        while True:
            await asyncio.sleep(_KEYS_EVERY)
            try:
                await log.catch_up()
            except KafkaError:
                continue  # Whoever needs a key now asks again, and hears it.
            if log.count > known:
                known = log.count
                for task in self.tasks.values():
                    task.wake()

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(_OFFSETS_EVERY)
            await self._tell_offsets(self.tasks.values())

    async def _tell_offsets(self, tasks: Iterable[Task]) -> None:
        """Commit to the group how far tasks have read, for whoever watches its lag.

        ``state`` says it in each transaction, and is what counts: offsets in there as well
        would be two more questions of the five that a transaction then asks.
        """
        read = {at: offset for task in tasks for at, offset in task.read.items()}
        new = {at: offset for at, offset in read.items() if self._told.get(at) != offset}
        if self._consumer is None or not new:
            return
        with suppress(KafkaError, TimeoutError):  # Told later, by us or by who takes over.
            await asyncio.wait_for(self._consumer.commit(new), _OFFSETS_TAKE)
            self._told |= new

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002
        self._generation += 1
        await self.stop()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if self._consumer is not None:
            # Nothing may be read before each task knows where it stands.
            self._consumer.pause(*assigned)
        self._generation += 1
        self._assigned = set(assigned)

    async def _take_over(self, consumer: AIOKafkaConsumer, assigned: set[TopicPartition]) -> None:
        generation, self._assigned = self._generation, None
        tasks = {
            number: self._task(number, self._work, consumer)
            for number in {at.partition for at in assigned}
        }
        positions = await asyncio.gather(*(task.take_over() for task in tasks.values()))
        if generation != self._generation:
            await asyncio.gather(*(task.stop() for task in tasks.values()))
            return
        for at, offset in (pair for position in positions for pair in position.items()):
            consumer.seek(at, offset)
        self.tasks, self._told = tasks, {}
        for task in tasks.values():
            task.start().add_done_callback(_end_with)
        consumer.resume(*assigned)
        self.is_ready = True
        metrics.TASKS.set(len(tasks))
        _log.info(
            "assigned",
            partitions=sorted(tasks),
            remembered=sum(len(task.state) for task in tasks.values()),
        )

    async def stop(self) -> None:
        """Give every task up, each after its transaction in flight."""
        tasks, self.tasks = self.tasks, {}
        self.is_ready = False
        metrics.TASKS.set(0)
        await asyncio.gather(*(task.stop() for task in tasks.values()))
        await self._tell_offsets(tasks.values())

    async def leave(self) -> None:
        """Stop, and tell the group, so that another worker takes over at once."""
        await self.stop()
        for follower in self._followers:
            follower.cancel()
        if self._work.late_keys is not None:
            await self._work.late_keys.log.stop()
        if self._consumer is not None:
            await self._consumer.stop()

    def stalled(self) -> list[int]:
        """Return the partitions where records wait and no commit came for a minute."""
        since = time.monotonic() - _STALLED
        return [n for n, task in self.tasks.items() if task.has_work and task.moved_at < since]


def _consumer(work: Work) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **work.kafka.for_aiokafka(),
        group_id=work.application,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=topics.MAX_RAW_BYTES,
        fetch_max_bytes=_FETCH_BYTES,
        partition_assignment_strategy=[ByPartitionNumber],
        request_timeout_ms=ANSWER_MS,
        session_timeout_ms=10_000,
        heartbeat_interval_ms=1_000,
        max_poll_interval_ms=60_000,
    )


def _end_with(task: asyncio.Task[None]) -> None:
    """End the process at once: whoever starts it again takes over from what is committed."""
    if task.cancelled() or (error := task.exception()) is None:
        return
    explain(error)
    os._exit(1)


def explain(error: BaseException) -> None:
    """Log one line about an error that ends the process."""
    if isinstance(error, UnknownTopicOrPartitionError):
        _log.error("stopped", why="a topic is missing: run `penstock topics apply`")
    elif isinstance(error, OperatorError | KafkaError):
        _log.error("stopped", why=str(error) or type(error).__name__)
    else:
        # A bug of ours: where it happened is what its reader needs. What it says could hold
        # what a provider sent, and persons stay out of logs.
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{Path(last[0].filename).name}:{last[0].lineno}" if last else "an unknown place"
        _log.error("crashed", why=type(error).__name__, where=where)


def application(work: Work, host: str, port: int) -> faust.App:
    """Return the app, ready to be run by ``faust.Worker``."""
    quicken()
    worker = Worker(work)
    app = _Host(
        work.application,
        broker="kafka://unused",
        web_bind=host,
        web_host=host,
        web_port=port,
        topic_disable_leader=True,
        topic_allow_declare=False,
        store="memory://",
    )

    @app.service
    class ExactlyOnce(Service):
        """Runs the worker for as long as the app runs."""

        async def on_start(self) -> None:
            self.running = asyncio.create_task(worker.run())
            self.running.add_done_callback(_end_with)

        async def on_stop(self) -> None:
            self.running.cancel()
            await worker.leave()

    _pages(app, worker)
    return app


def _pages(app: faust.App, worker: Worker) -> None:
    @app.page("/metrics")
    async def measured(view: View, request: Request) -> Response:  # noqa: ARG001
        return view.bytes(generate_latest(), content_type=CONTENT_TYPE_LATEST.split(";")[0])

    @app.page("/health/live")
    async def live(view: View, request: Request) -> Response:  # noqa: ARG001
        stalled = worker.stalled()
        return view.json({"stalled": stalled}, status=503 if stalled else 200)

    @app.page("/health/ready")
    async def ready(view: View, request: Request) -> Response:  # noqa: ARG001
        status = 200 if worker.is_ready else 503
        return view.json({"partitions": sorted(worker.tasks)}, status=status)

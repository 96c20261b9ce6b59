"""Who follows a feed that tolerates one follower: a consumer group with one member at work.

The group's coordinator decides, so no clocks are compared: a process that is killed leaves
the group after its session, and whoever asked meanwhile takes over.
https://cwiki.apache.org/confluence/display/KAFKA/Kafka+Client-side+Assignment+Proposal
"""

import asyncio
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from aiokafka.errors import KafkaError

from ingest.feed import Refused
from schemas import topics
from schemas.connection import Connection

_log = structlog.get_logger()

SESSION_MS: Final = 6_000
"""How long a killed process keeps its place: the least that a broker allows by default."""
_HEARTBEAT_MS: Final = 1_000
_ASK_WITHIN: Final = 1.0
_RETRY: Final = 1.0
_KNOWN_WITHIN: Final = 2 * SESSION_MS / 1000
_MEMBERS: Final = 5
"""Field of a described group. https://kafka.apache.org/protocol#The_Messages_DescribeGroups"""
_SUFFIX: Final = 37
"""Length of what a coordinator adds to a client's id to make it a member's."""


def holder(members: Mapping[str, bytes]) -> str:
    """Return who is to hold the lease, of members and whom each last knew to hold it.

    Who holds it keeps it. A member that was given up comes back under another id, and so
    holds nothing; where nobody does, the least id has it.
    """
    keeping = (member for member, known in members.items() if known == member.encode())
    return min(keeping, default=min(members))


def _is_gone(client: str) -> bool:
    """Return whether a follower was a process of this machine that is no more.

    A killed one keeps its place for a session, which its successor need not wait out.
    """
    host, _, number = client.rpartition(":")
    if host != platform.node() or not number.isdecimal():
        return False
    if int(number) == os.getpid():
        return True  # In a container, whoever had our number before us.
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class HolderKeeps:
    """Speaks ``holder`` in the group protocol; one value per member."""

    name = "penstock-holder-keeps"
    version = 0

    def __init__(self) -> None:
        self.holder = b""
        """The id of the member that holds the lease, as the last generation has it."""

    def assign(
        self, _cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        chosen = holder({member: told.user_data for member, told in members.items()})
        work = [(topic, [0]) for topic in members[chosen].subscription]
        return {
            member: ConsumerProtocolMemberAssignment(
                self.version, work if member == chosen else [], chosen.encode()
            )
            for member in members
        }

    def metadata(self, subscribed: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(self.version, list(subscribed), self.holder)

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        self.holder = assignment.user_data


class Lease(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka: untyped
    """The right to follow one account's feed, asked for as long as this process lives."""

    def __init__(self, kafka: Connection, provider: str, account: str) -> None:
        self.taken: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()
        """Done once another process follows this feed."""
        self._kafka = kafka
        self._topic = topics.raw(provider)
        self._feed = f"{provider}/{account}"
        self._group = f"penstock-ingest.{provider}.{account}"
        self._told = asyncio.Event()
        self._assignor = HolderKeeps()
        self._consumer: AIOKafkaConsumer = None

    async def run(self) -> None:
        """Ask for the lease, and keep it, until cancelled."""
        while not self.taken.done():
            try:
                await self._hold()
            except (KafkaError, OSError) as error:
                _log.warning("the lease is asked for later", feed=self._feed, reason=str(error))
            await asyncio.sleep(_RETRY)

    async def permitted(self) -> None:
        """Return once it is known who follows the feed, or that nobody can say.

        Where the broker is away the feed begins; whoever comes second is told once it is back.
        """
        if all(map(_is_gone, await self._followers())):
            return
        _log.warning(
            "another process follows this feed, or did until it was killed: waiting to see",
            feed=self._feed,
            seconds=SESSION_MS / 1000,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(_KNOWN_WITHIN):
                await self._told.wait()

    async def _followers(self) -> list[str]:
        """Return the client ids of the group's members; none where nobody answers.

        Asked, and not joined: a coordinator keeps the first to join an empty group waiting,
        for three seconds by default (``group.initial.rebalance.delay.ms``).
        """
        admin = AIOKafkaAdminClient(**self._kafka.for_aiokafka(), client_id="penstock-ingest")
        try:
            async with asyncio.timeout(_ASK_WITHIN):
                await admin.start()
                (answer,) = await admin.describe_consumer_groups([self._group])
        except (KafkaError, OSError, TimeoutError):
            return []
        finally:
            with suppress(KafkaError, OSError):
                await admin.close()
        return [client for _, client, *_ in answer.groups[0][_MEMBERS]]

    async def _hold(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._kafka.for_aiokafka(),
            client_id=f"{platform.node()}:{os.getpid()}",  # What the other one is told of us.
            group_id=self._group,
            enable_auto_commit=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            max_poll_interval_ms=2**31 - 1,
            rebalance_timeout_ms=SESSION_MS,
            partition_assignment_strategy=(self._assignor,),
        )
        self._consumer = consumer
        try:
            await consumer.start()
            consumer.subscribe([self._topic], listener=self)
            await asyncio.wait({self.taken})
        finally:
            with suppress(KafkaError):
                await consumer.stop()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing: who held the lease holds it again, or is told otherwise."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note who holds the lease."""
        held = list(assigned)
        self._consumer.pause(*held)  # It is a token, and nothing is read from it.
        if not held and not self.taken.done():
            other = self._assignor.holder.decode()[:-_SUFFIX]
            self.taken.set_result(
                Refused(
                    f"process {other} follows {self._feed} already, and this provider tolerates "
                    "one: end that process, or leave the account out of these settings"
                )
            )
        self._told.set()

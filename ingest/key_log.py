"""The topic ``keys``: tokens that sign what we verify, sealed, and there before they are used.

https://aiokafka.readthedocs.io/en/stable/producer.html
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_bytes, token_hex
from time import time_ns

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from ingest.aiokafka_private import knock, partitions_of
from ingest.errors import OperatorError
from ingest.feed import Tokens
from schemas import topics
from schemas.connection import Connection
from schemas.records import SigningKey
from schemas.sealing import NONCE_BYTES, Unopened, opened, record_key, seal

_log = structlog.get_logger()
_RETRY = 1.0
_SAY_EVERY = 5
_WAIT_MS = 1_000
_KEY_ID_BYTES = 8


class KeyLog:
    """What an ingest process writes to ``keys``, and reads of what earlier ones wrote."""

    def __init__(
        self,
        kafka: Connection,
        sealed_with: bytes,
        heard: Callable[[SigningKey], None] = lambda _key: None,
    ) -> None:
        """``heard`` is told of every key that is written, or read as an account's newest."""
        self._kafka = kafka
        self._sealed_with = sealed_with
        self._heard = heard

    async def append(self, key: SigningKey) -> None:
        """Return once every in-sync replica has the key; ask again as long as it takes.

        A token that was granted and is not on ``keys`` verifies nothing after a restart.
        Raises ``OperatorError`` where waiting would not help.
        """
        value = seal(key, self._sealed_with, token_bytes(NONCE_BYTES))
        attempt = 0
        while not await self._is_appended(key, value):
            if attempt % _SAY_EVERY == 0:
                _log.warning("waiting for kafka to take a key", account=_owner(key))
            attempt += 1
            await knock(self._kafka)
            await asyncio.sleep(_RETRY)
        self._heard(key)

    async def newest(self, provider: str, account: str) -> SigningKey | None:
        """Return the key of an account that was written last. Raises ``OperatorError``."""
        consumer = AIOKafkaConsumer(**self._kafka.for_aiokafka(), client_id="penstock-ingest")
        try:
            await consumer.start()
            return await self._newest(consumer, provider, account)
        except (KafkaError, OSError) as error:
            name = type(error).__name__
            raise OperatorError(
                f"cannot read {topics.KEYS} ({name}); look at the broker"
            ) from error
        finally:
            with suppress(KafkaError):
                await consumer.stop()

    async def _newest(
        self, consumer: AIOKafkaConsumer, provider: str, account: str
    ) -> SigningKey | None:
        numbers = await partitions_of(consumer, topics.KEYS)
        if not numbers:
            raise OperatorError(
                f"topic {topics.KEYS} is missing on {self._kafka}; run: penstock topics apply"
            )
        place = TopicPartition(topics.KEYS, topics.partition_of(account, len(numbers)))
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        begins, found = f"{topics.joined(provider, account)}/", None
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(place, timeout_ms=_WAIT_MS)).get(place, ()):
                at = (record.key or b"").decode()
                if at.startswith(begins) and record.value is not None:
                    found = at, record.value
        return self._opened(*found) if found else None

    def _opened(self, at: str, value: bytes) -> SigningKey:
        try:
            key = opened(at, value, self._sealed_with)
        except Unopened as error:
            raise OperatorError(str(error)) from error
        self._heard(key)
        return key

    async def _is_appended(self, key: SigningKey, value: bytes) -> bool:
        # A token lives for days: a connection of its own, for one record.
        producer = AIOKafkaProducer(
            **self._kafka.for_aiokafka(),
            client_id="penstock-ingest",
            acks="all",
            enable_idempotence=True,
        )
        try:
            await producer.start()
            count = len(await producer.partitions_for(topics.KEYS))
            await producer.send_and_wait(
                topics.KEYS,
                key=record_key(key).encode(),
                value=value,
                partition=topics.partition_of(key.account, count),
            )
        except (KafkaError, OSError):
            return False
        finally:
            with suppress(KafkaError):
                await producer.stop()
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTokens:
    """One account's tokens: on ``keys`` before they are used, and found there again."""

    keys: KeyLog
    provider: str
    account: str
    token: str = field(repr=False)
    """Name of the token with which the provider signs."""

    async def recall(self) -> Tokens | None:
        """Return the newest token if it still lives. Raises ``OperatorError``."""
        key = await self.keys.newest(self.provider, self.account)
        life = 0.0 if key is None else (key.expires_at - _now()) / 1e6
        if key is None or life <= 0:
            return None
        return Tokens(secrets={self.token: key.token}, life=life)

    async def keep(self, tokens: Tokens) -> None:
        """Append the token under an id of its own; return once it is acknowledged."""
        now = _now()
        # One that does not say how long it lives is not used again by the next process.
        expires_at = now + int((tokens.life or 0.0) * 1e6)
        key = SigningKey(
            provider=self.provider,
            account=self.account,
            key_id=token_hex(_KEY_ID_BYTES),
            token=tokens.secrets[self.token],
            minted_at=now,
            expires_at=expires_at,
        )
        await self.keys.append(key)
        _log.info("a new token is on keys", account=_owner(key), key_id=key.key_id)


def _now() -> int:
    return time_ns() // 1000


def _owner(key: SigningKey) -> str:
    return f"{key.provider}/{key.account}"

"""The same frames through cryptofeed and its Kafka backend: ``URL BOOTSTRAP_SERVERS TOPIC KEY``.

Runs until it is killed, in a virtual environment of its own. An exchange of cryptofeed's whose
handler reads each message, as all of its handlers do, and hands the text to the backend as it
came: nothing is normalised, and no record is built field by field.
https://github.com/bmoscon/cryptofeed/blob/master/docs/callbacks.md
https://github.com/bmoscon/cryptofeed/blob/master/cryptofeed/backends/kafka.py
"""

import asyncio
import sys
from decimal import Decimal
from typing import Any, ClassVar

from cryptofeed import FeedHandler
from cryptofeed.backends.kafka import KafkaCallback
from cryptofeed.connection import AsyncConnection, WebsocketEndpoint
from cryptofeed.defines import TICKER
from cryptofeed.feed import Feed
from cryptofeed.symbols import Symbols
from yapic import json

_NAME = "LOOPBACK"
_ORDERS = "orders"
_SUBSCRIBE = '{"event":"pusher:subscribe","data":{"channel":"%s"}}'


class _ToTopic(KafkaCallback):
    """The backend, told one topic; by itself it names one by exchange and symbol."""

    def __init__(self, topic: str, **producer: object) -> None:
        super().__init__(key=_NAME, **producer)
        self._topic = topic

    def topic(self, _frame: str) -> str:
        return self._topic

    async def __call__(self, frame: str, _received_at: float) -> None:
        await self.write(frame)


class _Loopback(Feed):
    """Pusher, as far as the benchmark's server speaks it."""

    id = _NAME
    # It takes wss alone here, and the true address before it connects.
    websocket_endpoints = (WebsocketEndpoint("wss://127.0.0.1", authentication=True),)
    rest_endpoints = ()
    websocket_channels: ClassVar[dict[str, str]] = {TICKER: _ORDERS}

    def __init__(self, url: str, channel: str, **asked: object) -> None:
        self._url, self._channel = url, channel
        super().__init__(**asked)

    async def _ws_authentication(self, _: str, options: dict[str, Any]) -> tuple[str, object]:
        return self._url, options

    async def subscribe(self, connection: AsyncConnection) -> None:
        await connection.write(_SUBSCRIBE % self._channel)

    async def message_handler(self, text: str, _: AsyncConnection, received_at: float) -> None:
        message = json.loads(text, parse_float=Decimal)
        if not message["event"].startswith("pusher"):
            await self.callback(TICKER, text, received_at)


def main() -> None:
    url, bootstrap_servers, topic, channel = sys.argv[1:]
    Symbols.set(_NAME, {_ORDERS: _ORDERS}, {})
    handler = FeedHandler(config={"uvloop": True, "log": {"disabled": True}})
    to_topic = _ToTopic(topic, bootstrap_servers=bootstrap_servers)
    asked = {"subscription": {TICKER: [_ORDERS]}, "callbacks": {TICKER: to_topic}}
    handler.add_feed(_Loopback(url, channel, **asked))
    # uvloop, which it installs and uses, no longer makes a loop where there is none.
    asyncio.set_event_loop(asyncio.new_event_loop())
    handler.run()


if __name__ == "__main__":
    main()

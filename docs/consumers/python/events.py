"""Prints every event of `events` as one line of JSON, each field in the schema's order. Copy it.

Usage: events.py BOOTSTRAP_SERVERS REGISTRY_URL [TOPIC [COUNT]]; without COUNT it goes on for ever.
"""

import argparse
import json
from datetime import datetime
from decimal import Decimal
from itertools import islice

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def text(value):
    """Return the words of what JSON has no type for."""
    if isinstance(value, Decimal):
        return f"{value:f}"  # str() may say 1E-18
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"
    raise TypeError(type(value))


def events(bootstrap_servers, registry_url, topic="events"):
    """Yield every event as a dict: amounts are `Decimal`, times are UTC `datetime`."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "example-python",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    context = SerializationContext(topic, MessageField.VALUE)
    with SchemaRegistryClient({"url": registry_url}) as registry:
        decode = AvroDeserializer(registry)
        try:
            while True:
                message = consumer.poll(1)
                if message is None:
                    continue
                if message.error():
                    raise KafkaException(message.error())
                yield decode(message.value(), context)
        finally:
            consumer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap_servers")
    parser.add_argument("registry_url")
    parser.add_argument("topic", nargs="?", default="events")
    parser.add_argument("count", nargs="?", type=int)
    asked = parser.parse_args()
    read = events(asked.bootstrap_servers, asked.registry_url, asked.topic)
    for event in islice(read, asked.count):
        print(json.dumps(event, default=text, ensure_ascii=False, separators=(",", ":")))

"""Fails when an upgrade of aiokafka moves what we lean on."""

import inspect
from importlib.metadata import version

from aiokafka.producer import producer, sender
from aiokafka.producer.transaction_manager import TransactionManager

from processors import aiokafka_private


def test_the_private_parts_are_where_they_were_in_0_14() -> None:
    assert version("aiokafka").startswith("0.14.")
    assert "return BACKOFF_OVERRIDE" in inspect.getsource(sender)
    assert "self._txn_manager = TransactionManager(" in inspect.getsource(producer)
    assert list(inspect.signature(TransactionManager.maybe_add_partition_to_txn).parameters) == [
        "self",
        "tp",
    ]


def test_pauses_between_transactions_are_shortened() -> None:
    aiokafka_private.shorten_pauses()
    assert sender.BACKOFF_OVERRIDE == aiokafka_private.MARKERS_PAUSE

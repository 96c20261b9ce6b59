"""How a record becomes Avro: in C where that was built (``hatch_build.py``), else in Python.

Both are made from a schema's text when it is loaded, and write the same bytes
(``tests/schemas/test_codec.py``).
"""

from collections.abc import Callable
from typing import Any

from schemas import avro_python

try:
    from schemas.avro_native import Encoder
except ImportError:
    Encoder = None  # type: ignore[assignment,misc]


def encoder(text: str) -> Callable[[Any], bytes]:
    """Return a function from a record of ``schemas.records`` to its Avro bytes.

    Knows the constructs that ``docs/contract.md`` allows, and no others: a schema
    that uses another one fails here, when it is loaded.
    """
    if Encoder is None:
        return avro_python.encoder(text)
    return Encoder(text, avro_python.digits_as_avro)

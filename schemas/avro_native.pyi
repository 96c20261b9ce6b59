from collections.abc import Callable
from typing import Any

class Encoder:
    def __init__(self, text: str, rare: Callable[[int], Callable[[str], bytes]]) -> None: ...
    def __call__(self, record: Any) -> bytes: ...  # noqa: ANN401 - any record

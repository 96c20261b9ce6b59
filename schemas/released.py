"""The schemas that were released, as they were: what is written lives as long as ``events``.

At a release, a schema that differs from its last version here is copied to the next.
"""

from importlib import resources
from typing import Final

_PLACE: Final = resources.files("schemas") / "released"


def released(name: str) -> dict[int, str]:
    """Return version → text of a schema, ``event`` for ``event.v1.avsc``, oldest first."""
    told = [file.name.split(".") for file in _PLACE.iterdir() if file.name.endswith(".avsc")]
    numbers = sorted(int(version[1:]) for of, version, _ in told if of == name)
    return {
        number: _PLACE.joinpath(f"{name}.v{number}.avsc").read_text("utf-8") for number in numbers
    }

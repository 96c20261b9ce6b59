"""The processors' part of the settings file."""

from pathlib import Path

import pytest

from processors.errors import OperatorError
from processors.settings import key_ring, load

FILE = """
[processors]
references = {{ id = "r1", key = "env:REFERENCE" }}

[[accounts]]
provider = "satoriex"
name = "desk"
environment = "sandbox"
{unit}
"""


def written(directory: Path, unit: str) -> Path:
    file = directory / "penstock.toml"
    file.write_text(FILE.format(unit=unit))
    return file


@pytest.mark.parametrize(
    ("unit", "places"),
    [("", None), ('unit = "1"', 0), ('unit = "0.01"', 2), ('unit = "0.000001"', 6)],
)
def test_an_account_names_the_unit_of_its_money(
    unit: str, places: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFERENCE", "a key of tests")
    ring = key_ring(load(written(tmp_path, unit)))
    assert ring.of("satoriex", "desk").places == places
    assert ring.of("satoriex", "another").places is None


@pytest.mark.parametrize("unit", ["0.02", "100", "cents", "0.010"])
def test_a_unit_that_is_no_power_of_ten_is_one_line(unit: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"accounts\.0\.unit"):
        load(written(tmp_path, f'unit = "{unit}"'))

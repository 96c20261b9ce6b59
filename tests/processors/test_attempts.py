"""A poison is found, alone, and only it is condemned."""

import subprocess
import sys
from pathlib import Path

import pytest

from processors.attempts import Attempts
from processors.errors import OperatorError
from processors.pipeline import WHOLE
from schemas.records import Position


def at(offset: int) -> Position:
    return Position("raw.acme", 0, offset)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "attempts"


def die(file: Path, first: int, last: int, poison: int, part: int = 0) -> None:
    """Start, process records from ``first`` on, and die at the poison."""
    attempts = Attempts(file)
    offset = first
    while offset <= poison:
        until = offset if attempts.is_alone else last
        attempts.begin({"raw.acme": until})
        if offset <= poison <= until:
            if attempts.is_alone:
                attempts.enter(at(poison), part)
            return
        attempts.done()
        offset = until + 1


def test_a_task_that_never_died_suspects_nobody(file: Path) -> None:
    attempts = Attempts(file)
    attempts.begin({"raw.acme": 9})
    attempts.done()
    assert not Attempts(file).is_alone


def test_after_three_deaths_records_are_processed_alone(file: Path) -> None:
    for _ in range(2):
        die(file, 0, 9, poison=5)
    assert not Attempts(file).is_alone
    die(file, 0, 9, poison=5)
    assert Attempts(file).is_alone


def test_a_part_that_dies_twice_alone_is_condemned_and_nobody_else(file: Path) -> None:
    for _ in range(4):
        die(file, 0, 9, poison=5, part=2)
    assert not Attempts(file).is_condemned(at(5), 2)
    die(file, 5, 9, poison=5, part=2)
    attempts = Attempts(file)
    assert attempts.is_condemned(at(5), 2)
    assert not attempts.is_condemned(at(5), 1)
    assert not attempts.is_condemned(at(5), WHOLE)
    assert not attempts.is_condemned(at(4), 2)


def test_suspicion_ends_when_the_range_is_passed(file: Path) -> None:
    for _ in range(3):
        die(file, 0, 2, poison=1)
    attempts = Attempts(file)
    for offset in range(3):
        assert attempts.is_alone
        attempts.begin({"raw.acme": offset})
        attempts.done()
    assert not attempts.is_alone
    assert not Attempts(file).is_alone


def test_a_range_over_two_topics_is_passed_when_both_are(file: Path) -> None:
    for _ in range(3):
        Attempts(file).begin({"raw.acme": 4, "raw.other": 7})
    attempts = Attempts(file)
    attempts.begin({"raw.acme": 4})
    attempts.done()
    assert attempts.is_alone
    attempts.begin({"raw.other": 7})
    attempts.done()
    assert not attempts.is_alone


def test_a_torn_note_is_no_note(file: Path) -> None:
    file.write_bytes(b'{"deaths": 3, "up')
    assert not Attempts(file).is_alone


def test_a_note_is_read_also_where_a_longer_one_stood_before(file: Path) -> None:
    for _ in range(3):
        Attempts(file).begin({"raw.acme": 4, "raw.another": 7})
    attempts = Attempts(file)
    attempts.begin({"raw.another": 7})
    attempts.done()
    assert Attempts(file).is_alone


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot write"):
        Attempts(tmp_path / "nowhere" / "attempts")


def test_what_was_noted_outlives_a_kill(file: Path) -> None:
    killed = (
        "import os, signal, sys; from pathlib import Path; "
        "from processors.attempts import Attempts; "
        "Attempts(Path(sys.argv[1])).begin({'raw.acme': 9}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", killed, str(file)], check=False)
    assert Attempts(file).is_alone

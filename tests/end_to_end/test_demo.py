"""What a stranger sees first: the demo, as the command that the README names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

PENSTOCK = Path(sys.executable).with_name("penstock")
LAST = re.compile(
    r"RECONCILED told=(\d+) published=(\d+) lost=0 twice=0 money=equal "
    r"duplicates=(\d+) damaged=(\d+) rejected=(\d+) missed=0"
)


def demo(directory: Path, *options: str, within: float = 230) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PENSTOCK, "demo", "--directory", str(directory), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=within,
        env={"PATH": os.environ["PATH"], "HOME": str(directory.parent)},
    )


def left_running(directory: Path) -> list[str]:
    """Return the processes that mention the demo's directory."""
    return [
        " ".join(process.info["cmdline"] or ())
        for process in psutil.process_iter(["cmdline"])
        if str(directory) in " ".join(process.info["cmdline"] or ())
    ]


@pytest.mark.timeout(240)
def test_everything_told_is_on_events_once_though_the_processor_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    ended = demo(directory, "--seconds", "6", "--rate", "120", "--kill-processor")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    line = LAST.fullmatch(ended.stdout.splitlines()[-1])
    assert line, ended.stdout
    told, published, duplicates, damaged, rejected = map(int, line.groups())
    assert told == published >= 1_000
    assert duplicates >= told * 0.05
    assert damaged == rejected >= told * 0.01
    assert "assigned" in (directory / "processors.log").read_text().partition("assigned")[2], (
        "the processor was not started again"
    )
    assert left_running(directory) == []


def test_a_missing_java_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    ended = subprocess.run(
        [PENSTOCK, "demo", "--directory", str(tmp_path / "demo"), "--seconds", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": str(tmp_path / "bin")},
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "Java 17" in ended.stderr
    assert left_running(tmp_path / "demo") == []

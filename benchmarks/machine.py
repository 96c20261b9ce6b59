"""What a machine is, in a line that stands beside its figures."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from penstock.checkout import POM
from penstock.jars import java


def facts() -> str:
    """Return one sentence, of now: also how busy the machine is."""
    versions = ", ".join((f"CPython {platform.python_version()}", _java(), _kafka()))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_processor()}, {os.cpu_count()} virtual cores, "
        f"Linux {platform.release()}, {versions}; load average at the start {load()}."
    )


def load() -> str:
    """Return how many programs wanted to run in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _java() -> str:
    told = subprocess.run([java(), "-version"], capture_output=True, text=True, check=True)  # noqa: S603
    found = re.search(r'version "([^"]+)"', told.stderr)
    return f"Java {found[1] if found else 'of an unknown version'}"


def _kafka() -> str:
    found = re.search(r"<kafka\.version>([^<]+)<", POM.read_text())
    return f"Kafka {found[1] if found else 'of an unknown version'}"

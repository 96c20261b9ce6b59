"""The peers' own Python: ``.penstock/bench``, made of ``requirements.lock`` beside this file."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from penstock.checkout import ROOT
from penstock.errors import OperatorError
from penstock.jars import Say

_LOCK = Path(__file__).with_name("requirements.lock")
_PLACE = ROOT / ".penstock" / "bench"
BENCH_PYTHON = _PLACE / "bin" / "python"


def bench_python(say: Say = print) -> str:
    """Return the Python that has the peers, installed if this checkout lacks them."""
    made = _PLACE / ".made"
    if not made.is_file() or made.read_text() != _LOCK.read_text():
        say("installing the peers into .penstock/bench, once")
        shutil.rmtree(_PLACE, ignore_errors=True)
        venv.create(_PLACE, with_pip=True)
        _install()
        made.write_text(_LOCK.read_text())
    return str(BENCH_PYTHON)


def _install() -> None:
    pip = [str(BENCH_PYTHON), "-m", "pip", "install", "--quiet"]
    command = [*pip, "--disable-pip-version-check", "--require-hashes", "-r", str(_LOCK)]
    if subprocess.run(command, check=False).returncode != 0:  # noqa: S603 - of our own making
        raise OperatorError(f"pip could not install {_LOCK}, see above: check the network")


if __name__ == "__main__":
    print(bench_python())

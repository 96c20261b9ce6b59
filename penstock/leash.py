"""Ends processes when the one that started them is gone, however it went.

Run as a program, it reads ``+<process id>`` and ``-<process id>`` lines, and kills the
groups that are left when its input ends: a killed owner closes it too. One small
process, because an owner's ``atexit`` does not survive ``kill -9`` and Linux's
``PR_SET_PDEATHSIG`` follows a thread instead of a process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable


class Leash:
    """Holds processes that lead their own group, until it is told to let go of them."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            [sys.executable, "-S", __file__], stdin=subprocess.PIPE, start_new_session=True
        )

    def hold(self, pid: int) -> None:
        self._tell(f"+{pid}\n")

    def release(self, pid: int) -> None:
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Kill whatever is still held, and wait until that is done."""
        self._holder.communicate()

    def _tell(self, line: str) -> None:
        if self._holder.stdin is None:
            raise ValueError("a leash without an input")
        self._holder.stdin.write(line.encode())
        self._holder.stdin.flush()


def _hold(lines: Iterable[str]) -> None:
    held: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        if line.startswith("+"):
            held.add(pid)
        else:
            held.discard(pid)
    for pid in held:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    _hold(sys.stdin)

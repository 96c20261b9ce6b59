"""A directory that one process holds: nobody else opens it, nobody else empties it.

https://man7.org/linux/man-pages/man2/flock.2.html
"""

import fcntl
import os
import shutil
from itertools import count
from pathlib import Path

from processors.errors import OperatorError


class Claim:
    """``path``, for as long as this process lives or until ``release``."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def empty(self) -> None:
        """Remove everything in the directory; the claim stays."""
        try:
            for entry in self.path.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        except OSError as error:
            raise OperatorError(
                f"cannot empty {self.path} ({error.strerror}): remove what is in it by hand"
            ) from error

    def release(self) -> None:
        os.close(self._descriptor)


def claim(wanted: Path) -> Claim:
    """Claim a directory, making it if need be; where it is taken, ``<name>.1``, ``.2`` ….

    It may be taken by a worker on this host that froze: it lost its partitions, and still
    holds its files.
    """
    for number in count():
        path = wanted.with_name(f"{wanted.name}.{number}") if number else wanted
        try:
            path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise OperatorError(
                f"cannot use {path} ({error.strerror}): give access, or set "
                "processors.state_directory to a directory that can be written"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return Claim(path, descriptor)
    raise AssertionError("count() does not end")

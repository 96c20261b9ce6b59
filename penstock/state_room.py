"""The disk under ``state`` in a chaos run: of its own, and small enough to be filled."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MIB: Final = 2**20
_SIZE: Final = 256 * _MIB


@dataclass(frozen=True, slots=True)
class StateRoom:
    """A directory that holds the stores of all workers."""

    directory: Path
    refusal: str | None
    """Why it has no disk of its own; None if it has."""

    def of(self, worker: str) -> Path:
        """Return a worker's own directory."""
        return self.directory / worker

    def stores(self) -> list[Path]:
        """Return the directory of every task's store: worker, application, partition."""
        return sorted(path for path in self.directory.glob("*/*/*") if path.is_dir())

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(_MIB)):
                    pass
            except OSError:
                return

    def clear(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.directory / "ballast"


@contextmanager
def state_room(directory: Path) -> Iterator[StateRoom]:
    """Give a directory on a small disk in memory, where mounting is allowed."""
    directory.mkdir(parents=True)
    refusal = _mount(directory)
    try:
        yield StateRoom(directory, refusal)
    finally:
        release(directory)


def release(directory: Path) -> None:
    """Take the disk away, also one that a killed run left behind."""
    if directory.is_mount():
        subprocess.run([_found("umount"), "--lazy", str(directory)], check=True)


def _found(program: str) -> str:
    return shutil.which(program) or program


def _mount(directory: Path) -> str | None:
    if os.geteuid() != 0:
        return "no mount: it takes root"
    command = [_found("mount"), "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(directory)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"no mount: {told.stderr.strip()}" if told.returncode else None

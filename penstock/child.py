"""One process of the local stack: started, waited for until it serves, stopped, killed."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

from penstock.errors import OperatorError
from penstock.leash import Leash
from penstock.ports import listens
from penstock.stack_record import LocalProcess, trace_of

_LOOK_AGAIN: Final = 0.05
"""Seconds between two looks at whether a child serves."""
_PATIENCE: Final = 10.0
"""Seconds between asking a child to end and killing it."""
_TAIL: Final = 3
"""Lines of a dead child's log that are worth telling."""


@dataclass(slots=True)
class Child:
    """A process in a session of its own, with its log beside its files."""

    name: str
    command: Sequence[str]
    log: Path
    serves: Callable[[], bool]
    """Asks it, within a second or so, whether it can do its work."""
    port: int | None = None
    """Where it listens when it serves; None: nobody else could answer in its place."""
    environment: Mapping[str, str] = field(default_factory=dict)
    leash: Leash | None = field(default=None, repr=False)
    """None: it outlives us."""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Return its process id; None if it does not run."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process and alive else None

    def start(self) -> None:
        """Start it, on the same port and files as before; it does not serve yet."""
        if self.pid is not None:
            raise OperatorError(f"{self.name} runs already, as process {self.pid}")
        self._ended()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        if self.leash:
            self.leash.hold(self._process.pid)

    def until_serving(self, seconds: float = 60.0) -> None:
        """Return once it serves; ``OperatorError`` if it dies, or takes longer."""
        limit = monotonic() + seconds
        while not self._has_its_port() or not self.serves():
            if self._dies_within(_LOOK_AGAIN):
                raise OperatorError(f"{self.name} died while it started: {self.last_words()}")
            if monotonic() > limit:
                raise OperatorError(
                    f"{self.name} does not serve after {seconds:.0f} s: see {self.log}"
                )

    def terminate(self) -> None:
        """End it in order; kill it if it takes longer than ten seconds."""
        self.signal(signal.SIGTERM)
        if not self._dies_within(_PATIENCE):
            self.kill()
        self._ended()

    def kill(self) -> None:
        """``kill -9``."""
        self.signal(signal.SIGKILL)
        if self._process:
            self._process.wait()
        self._ended()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to whatever it started; nothing if it does not run."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def trace(self) -> LocalProcess:
        """Return how another process finds it; it must run."""
        if self.pid is None:
            raise OperatorError(f"{self.name} does not run")
        return trace_of(self.pid)

    def last_words(self) -> str:
        """Return the end of its log, in one line."""
        lines = self.log.read_text(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip()]
        telling = [line for line in said if not line.startswith(("at ", "..."))]
        return " | ".join(telling[-_TAIL:]) or f"it said nothing, see {self.log}"

    def _has_its_port(self) -> bool:
        if self.port is None:
            return True
        return self.pid is not None and listens(self.pid, self.port)

    def _dies_within(self, seconds: float) -> bool:
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _ended(self) -> None:
        if self._process and self.leash:
            self.leash.release(self._process.pid)

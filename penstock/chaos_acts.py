"""What a chaos run does to the system, and what it takes back afterwards."""

import shutil
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from penstock.cast import Cast
from penstock.chaos_plan import Act, Timed
from penstock.server import Elsewhere
from penstock.stack import Stack
from penstock.state_room import StateRoom
from penstock.supervisor import Supervised

MOST_WORKERS: Final = 3
_LEAVE_WITHIN: Final = 12.0
"""Seconds after which a worker that was asked to leave is killed."""


@dataclass(slots=True)
class Stage:
    """The running system, as chaos meets it. All times are seconds since the run began."""

    cast: Cast
    stack: Stack
    room: StateRoom | None = None
    """The disk of the stores; None: it is nobody's to harm."""
    add_worker: Callable[[], object] | None = None
    """None: there are as many as there are."""
    done: Counter[Act] = field(default_factory=Counter)
    kills: int = 0
    """Processes that ran and got a ``kill -9``."""
    not_run: dict[Act, str] = field(default_factory=dict)
    """Acts that never came to anything, and why."""
    _broker_is_up: bool = True
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def perform(self, timed: Timed) -> str | None:
        """Do it, or return why it could not be done; what lasts is undone by ``tend``."""
        refusal = _DOES[timed.act](self, timed)
        if refusal is None:
            self.done[timed.act] += 1
            self.not_run.pop(timed.act, None)
        elif not self.done[timed.act]:
            self.not_run[timed.act] = refusal
        return refusal

    def tend(self, now: float) -> None:
        """Start again who ended, and undo what has lasted long enough."""
        due = [each for each in self._later if each[0] <= now]
        for each in due:
            self._later.remove(each)
            each[1]()
        for program in self.cast.programs():
            program.tend()

    def settle(self) -> None:
        """Undo everything that still lasts, and wait for the broker."""
        for _, undo in self._later:
            undo()
        self._later.clear()
        if not isinstance(self.stack.kafka, Elsewhere):
            self.stack.kafka.until_serving()

    # ---- processes ----------------------------------------------------------------------

    def kill_worker(self, timed: Timed) -> str | None:
        return self._kill([_one(self.cast.processors, timed)])

    def kill_workers(self, _: Timed) -> str | None:
        return self._kill(self.cast.processors)

    def kill_ingest(self, timed: Timed) -> str | None:
        return self._kill([_one(list(self.cast.ingest.values()), timed)])

    def _kill(self, programs: Sequence[Supervised]) -> str | None:
        alive = [each for each in programs if each.child.pid is not None]
        for each in alive:
            each.kill()
        self.kills += len(alive)
        return None if alive else "nobody was running"

    def freeze_worker(self, timed: Timed) -> str | None:
        worker = _one(self.cast.processors, timed)
        pid = worker.child.pid
        if pid is None:
            return "nobody was running"
        worker.child.signal(signal.SIGSTOP)

        def thaw() -> None:
            if worker.child.pid == pid:
                worker.child.signal(signal.SIGCONT)

        self._after(timed, thaw)
        return None

    def scale(self, timed: Timed) -> str | None:
        workers = self.cast.processors
        if self.add_worker is None:
            return "nobody to add"
        if len(workers) < MOST_WORKERS:
            while len(workers) < MOST_WORKERS:
                self.add_worker()
            return None
        while len(workers) > 1:
            leaving = workers.pop()
            leaving.child.signal(signal.SIGTERM)
            # One that is frozen hears it only now.
            leaving.child.signal(signal.SIGCONT)
            self._later.append((timed.at + _LEAVE_WITHIN, leaving.stop))
        return None

    def disconnect(self, timed: Timed) -> str | None:
        self.cast.order(int(timed.pick * len(self.cast.twins)), "drop")
        return None

    def take_broker(self, timed: Timed) -> str | None:
        broker = self.stack.kafka
        if isinstance(broker, Elsewhere):
            return "the broker is not ours"
        if not self._broker_is_up:
            return "it was down already"
        if timed.act is Act.KILL_BROKER:
            broker.kill()
            self.kills += 1
        else:
            broker.terminate()
        self._broker_is_up = False
        self._after(timed, self._bring_back)
        return None

    def _bring_back(self) -> None:
        self.stack.kafka.start()
        self._broker_is_up = True

    # ---- the stores of ``state`` ----------------------------------------------------------

    def fill(self, timed: Timed) -> str | None:
        if self.room is None or not self.room.stores():
            return "no stores"
        if self.room.refusal:
            return self.room.refusal
        self.room.fill()
        self._after(timed, self.room.clear)
        return None

    def damage(self, timed: Timed) -> str | None:
        stores = self.room.stores() if self.room else []
        if not stores:
            return "no stores"
        self._kill(self.cast.processors)
        harm(timed, stores)
        return None

    def _after(self, timed: Timed, undo: Callable[[], None]) -> None:
        self._later.append((timed.at + timed.lasts, undo))


_DOES: Final[Mapping[Act, Callable[[Stage, Timed], str | None]]] = {
    Act.KILL_WORKER: Stage.kill_worker,
    Act.KILL_WORKERS: Stage.kill_workers,
    Act.FREEZE_WORKER: Stage.freeze_worker,
    Act.SCALE: Stage.scale,
    Act.KILL_INGEST: Stage.kill_ingest,
    Act.DISCONNECT: Stage.disconnect,
    Act.KILL_BROKER: Stage.take_broker,
    Act.STOP_BROKER: Stage.take_broker,
    Act.FILL_DISK: Stage.fill,
    Act.DELETE_STORE: Stage.damage,
    Act.TRUNCATE_STORE: Stage.damage,
    Act.CORRUPT_STORE: Stage.damage,
    Act.SWAP_STORES: Stage.damage,
}
"""Each returns why it could not be done; None if it was."""


def _one(programs: Sequence[Supervised], timed: Timed) -> Supervised:
    return programs[int(timed.pick * len(programs))]


def harm(timed: Timed, stores: Sequence[Path]) -> None:
    """Harm one or two of these directories, as the act says; nobody may be using them."""
    random = Random(timed.pick)  # noqa: S311 - chaos, not a secret
    one = random.choice(stores)
    files = sorted(path for path in one.rglob("*") if path.is_file() and path.stat().st_size)
    match timed.act:
        case Act.DELETE_STORE:
            shutil.rmtree(one)
        case Act.SWAP_STORES:
            _swap(one, random.choice([each for each in stores if each != one] or [one]))
        case Act.TRUNCATE_STORE if files:
            with random.choice(files).open("r+b") as file:
                file.truncate(file.seek(0, 2) // 2)
        case Act.CORRUPT_STORE if files:
            with random.choice(files).open("r+b") as file:
                file.seek(random.randrange(file.seek(0, 2)))
                file.write(random.randbytes(64))
        case _:
            return


def _swap(one: Path, other: Path) -> None:
    aside = one.with_name(f"{one.name}.aside")
    one.rename(aside)
    if other.exists():
        other.rename(one)
        aside.rename(other)
    else:
        aside.rename(one)

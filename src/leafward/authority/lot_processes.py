"""The processes that sign a lot. P-256 signing gets slower with threads and doubles with processes.

Each process has the issuer's key as its parent had it when it was forked, works on one task after another, and ends
when its parent ends, however that happens. Two threads in it pass tasks and outcomes, so that it signs while the parent
writes. A failure (a token that is gone, a clock that is wrong) comes back as the error it is, and stops the lot.
"""

import contextlib
import gc
import multiprocessing
import os
import queue
import random
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from leafward import errors
from leafward.authority.lot_batch import BatchMaker, Outcome, Task
from leafward.errors import KeyUnavailable, LeafwardError

# A process works on one task and has the next ones at hand.
_WAITING = 3
# Seconds between tries to reach a key, at most.
_PATIENCE = (0.1, 0.3, 0.8)


class Signers(Protocol):
    """Whoever works on tasks. Raises what went wrong from `next`; then no outcome follows."""

    @property
    def busy(self) -> int:
        """How many tasks have no outcome yet."""

    @property
    def full(self) -> bool:
        """Whether an outcome should be taken before the next task is given."""

    def give(self, task: Task) -> None:
        """Gives a task."""

    def next(self) -> Outcome:
        """Waits for an outcome, in whatever order they come."""

    def close(self) -> None:
        """Ends the work; what has not come back is lost, and was never handed out."""


class InProcess:
    """Signs in this process: for small lots, and keys that one process alone can use."""

    full = False

    def __init__(self, maker: BatchMaker) -> None:
        self._maker = maker
        self._tasks: deque[Task] = deque()

    @property
    def busy(self) -> int:
        """See `Signers.busy`."""
        return len(self._tasks)

    def give(self, task: Task) -> None:
        """See `Signers.give`."""
        self._tasks.append(task)
        self.full = True

    def next(self) -> Outcome:
        """See `Signers.next`."""
        self.full = False
        return self._maker.make(self._tasks.popleft())

    def close(self) -> None:
        """See `Signers.close`."""
        self._tasks.clear()


class Forked:
    """Signs in `count` forked processes. `make_maker` is called in each of them. Fork before a database is opened."""

    def __init__(self, count: int, make_maker: Callable[[], BatchMaker]) -> None:
        context = multiprocessing.get_context("fork")
        gc.freeze()  # what is there now stays as it is, so the processes can share its pages
        self._doors: list[_Door] = []
        for _ in range(count):
            tasks, outcomes = context.Pipe(duplex=False), context.Pipe(duplex=False)
            # Whoever holds the other end of a pipe keeps it from ending: a child closes all that are its parent's.
            strange = [tasks[1], outcomes[0], *(end for door in self._doors for end in (door.tasks, door.outcomes))]
            ends = (tasks[0], outcomes[1], strange)
            process = context.Process(target=_work, args=(*ends, make_maker), daemon=True)
            process.start()
            tasks[0].close()
            outcomes[1].close()
            self._doors.append(_Door(process, tasks[1], outcomes[0]))

    @property
    def busy(self) -> int:
        """See `Signers.busy`."""
        return sum(door.given for door in self._doors)

    @property
    def full(self) -> bool:
        """See `Signers.full`."""
        return all(door.given >= _WAITING for door in self._doors)

    def give(self, task: Task) -> None:
        """See `Signers.give`."""
        door = min(self._doors, key=lambda one: one.given)
        try:
            door.tasks.send(task)
        except OSError:
            raise _died() from None
        door.given += 1

    def next(self) -> Outcome:
        """See `Signers.next`."""
        by_end = {door.outcomes: door for door in self._doors if door.given}
        end = next(iter(wait(list(by_end))))
        door = by_end[end]  # type: ignore[index]  # `wait` gives back what it was given
        try:
            came = door.outcomes.recv()
        except (EOFError, OSError):
            raise _died() from None
        door.given -= 1
        if isinstance(came, Outcome):
            return came
        raise _from_plain(came)

    def close(self) -> None:
        """See `Signers.close`."""
        for door in self._doors:
            door.tasks.close()
            door.outcomes.close()
        for door in self._doors:
            door.process.kill()  # it has nothing to lose: nothing is its own
            door.process.join()
            door.process.close()
        self._doors.clear()


class _Door:
    """The parent's side of one process."""

    def __init__(self, process: Any, tasks: "Connection[Any, Any]", outcomes: "Connection[Any, Any]") -> None:
        self.process, self.tasks, self.outcomes = process, tasks, outcomes
        self.given = 0


def _work(
    tasks: "Connection[Any, Any]",
    outcomes: "Connection[Any, Any]",
    strange: "Sequence[Connection[Any, Any]]",
    make_maker: Callable[[], BatchMaker],
) -> None:
    """A process's whole life. It ends by `_exit`: what it inherited is its parent's to clean up."""
    # Ctrl-C goes to every process of a terminal; the parent decides, and its end is seen at the pipe.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for end in strange:
        end.close()
    come: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    go: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks, come), daemon=True).start()
    threading.Thread(target=_send, args=(outcomes, go), daemon=True).start()
    failed: LeafwardError | None = None
    try:
        maker = make_maker()
        # The collector stops the line at any time to look at everything; nothing but refusals leaves work for it.
        gc.freeze()
        gc.disable()
        while (task := come.get()) is not None:
            go.put(_made(maker, task))
            gc.collect()
    except LeafwardError as error:
        failed = error
    except BaseException as error:
        failed = LeafwardError("a signing process failed", why=f"{type(error).__name__}: {error}")
    if failed is not None:
        go.put(_to_plain(failed))
        while come.get() is not None:  # until the parent, who hears of it now, closes the door
            pass
    os._exit(0)


def _made(maker: BatchMaker, task: Task) -> Outcome:
    """What comes of a task; where the key is out of reach, of some more tries.

    SoftHSM writes its token when somebody logs in, and a process that looks at it just then sees no token. The tries
    are over within a second or two: a token that was pulled out stops the line.
    """
    for wait_most in _PATIENCE:
        try:
            return maker.make(task)
        except KeyUnavailable:
            time.sleep(random.uniform(wait_most / 4, wait_most))  # noqa: S311 - keeps processes apart, no secret
    return maker.make(task)


def _receive(tasks: "Connection[Any, Any]", come: "queue.SimpleQueue[Task | None]") -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            come.put(tasks.recv())
    come.put(None)


def _send(outcomes: "Connection[Any, Any]", go: "queue.SimpleQueue[Any]") -> None:
    with contextlib.suppress(OSError):
        while True:
            outcomes.send(go.get())
    os._exit(0)  # nobody listens any more


def _to_plain(error: LeafwardError) -> dict[str, str | None]:
    """An error as it passes between processes."""
    kind = type(error).__name__
    return {
        "kind": kind if hasattr(errors, kind) else "LeafwardError",
        "what": error.what,
        "why": error.why,
        "hint": error.hint,
        "code": getattr(error, "code", None),
    }


def _from_plain(plain: dict[str, Any]) -> LeafwardError:
    kind: Any = getattr(errors, plain["kind"])
    code = () if plain["code"] is None else (plain["code"],)
    made: LeafwardError = kind(*code, plain["what"], why=plain["why"], hint=plain["hint"])
    return made


def _died() -> LeafwardError:
    why = "it was killed, or the machine has no memory left"
    return LeafwardError("a signing process ended", why=why, hint="run the same command again: it goes on from here")

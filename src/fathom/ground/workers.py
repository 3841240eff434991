"""Tasks of paths, hashes and params, on processes of this machine or on a Dask cluster.

Whatever fathom does many times over and in any order goes this way: cells of training, images,
slides. A task leaves its results on disk, where its caller finds them; what it returns is small.
Where the variable `FATHOM_SCHEDULER` names a scheduler, the workers of its cluster take the tasks
(`fathom.ground.cluster`), else as many processes as are asked for. Either way a task runs in a
process that computes with the instruction sets of its numerics, so its bytes are the same.

A process that ends in the middle of a task (memory runs out, a library crashes) takes nothing with
it: the others go on, its task is tried once more after them, and is then named.
"""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from fathom.ground.errors import FathomError
from fathom.ground.numerics import Numerics, environment
from fathom.ground.refusals import heed_termination

SCHEDULER = "FATHOM_SCHEDULER"
ATTEMPTS = 2  # of a task whose process ended: the next one may have more memory
LAST_S = 3.0  # that a process has to end by itself
_NAMED = 5  # tasks that an error lists by name


class UnfitWorkerError(FathomError):
    """A machine of a cluster that cannot do a task as this one would: no task's fault."""


@dataclass(frozen=True)
class Task:
    """A call of a function of a module, with paths, hashes and params: never arrays."""

    name: str  # as messages have it
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    numerics: Numerics | None = "portable"  # None: as this process computes


@dataclass(frozen=True)
class Done:
    """What a task returned."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """What a task raised: it would anywhere, so it is not tried again."""

    error: Exception


@dataclass(frozen=True)
class Ended:
    """The process of a task ended before the task did."""

    how: str  # "by signal 9", "with exit code 1", "with its machine"


Outcome = Done | Failed | Ended


def scheduler() -> str | None:
    """Return the address of the cluster's scheduler, None where this machine does the work."""
    return os.environ.get(SCHEDULER) or None


def run(tasks: Sequence[Task], at_once: int) -> Iterator[tuple[int, Any]]:
    """Yield the number of each task and what it returned, as they finish.

    They begin in their order, `at_once` processes of this machine at a time, or as many as the
    cluster has workers. What a task raises ends all of it. Raises `FathomError` when all others are
    done where a task's process ended `ATTEMPTS` times, or where there is no such cluster.
    """
    ended: dict[int, Ended] = {}
    for number, outcome in outcomes(tasks, at_once):
        match outcome:
            case Done(value):
                yield number, value
            case Failed(error):
                raise error
            case Ended():
                ended[number] = outcome
    if ended:
        raise FathomError(_told(tasks, ended))


def outcomes(tasks: Sequence[Task], at_once: int) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each task and what it came to, as they finish: of `run`, told apart."""
    left = dict(enumerate(tasks))
    for attempt in range(ATTEMPTS):
        ended = []
        for number, outcome in _outcomes(left, at_once):
            if isinstance(outcome, Ended) and attempt + 1 < ATTEMPTS:
                ended.append(number)
            else:
                yield number, outcome
        left = {number: tasks[number] for number in sorted(ended)}


def _outcomes(tasks: dict[int, Task], at_once: int) -> Iterator[tuple[int, Outcome]]:
    if not tasks:
        return iter(())
    if (address := scheduler()) is None:
        return _on_processes(tasks, min(at_once, len(tasks)))
    from fathom.ground.cluster import on_cluster  # noqa: PLC0415  nobody else needs Dask

    return on_cluster(address, tasks)


def _told(tasks: Sequence[Task], ended: dict[int, Ended]) -> str:
    names = [f"{tasks[number].name} (ended {how.how})" for number, how in ended.items()]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"of {len(tasks)} tasks, {len(names)} ended their process {ATTEMPTS} times, as the system "
        f"ends one when memory runs out: {', '.join(names[:_NAMED])}{more}. All others are done "
        "and kept. Give it more memory, or look at what these are made of, and run this again"
    )


def _on_processes(tasks: dict[int, Task], at_once: int) -> Iterator[tuple[int, Outcome]]:
    """Yield what tasks come to on processes of this machine."""
    children = [Child() for _ in range(at_once)]
    free: SimpleQueue[Child] = SimpleQueue()
    for child in children:
        free.put(child)

    def outcome(task: Task) -> Outcome:
        child = free.get()
        try:
            return child.run(task)
        finally:
            free.put(child)

    pool = ThreadPoolExecutor(at_once, "tasks")
    try:
        numbers = {pool.submit(outcome, task): number for number, task in tasks.items()}
        for done in as_completed(numbers):
            yield numbers[done], done.result()
    finally:  # after an error nothing is waited for
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.end()
        pool.shutdown()


def packed(task: Task) -> bytes:
    """Return a task's call as the process that runs it reads it."""
    return pickle.dumps((task.function, task.arguments))


class Child:
    """A process that runs tasks, one after another; it ends with the process that made it.

    `limits` are variables of its environment beside those of the numerics.
    """

    def __init__(self, limits: dict[str, str] | None = None) -> None:
        self._limits = limits or {}
        self._numerics: Numerics | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection[Any, Any] | None = None

    def run(self, task: Task) -> Outcome:
        """Run a task in this folder."""
        return self.call(str(Path.cwd()), packed(task), task.numerics)

    def call(self, folder: str, call: bytes, numerics: Numerics | None) -> Outcome:
        """Run what `packed` returned, in the process of the last one, if it computes so."""
        if self._process is not None and self._numerics != numerics:
            self.end()
        if self._process is None:
            self._start(numerics)
        process, pipe = self._process, self._pipe
        if process is None or pipe is None:
            raise RuntimeError("a process that was just started is gone")
        try:
            pipe.send((folder, call))
            outcome: Outcome = pipe.recv()
        except (EOFError, OSError):
            code = process.wait()
            self.end()
            return Ended(f"by signal {-code}" if code < 0 else f"with exit code {code}")
        return outcome

    def end(self) -> None:
        """End the process, whatever it does; the next task starts a new one."""
        if self._process is not None:
            self._process.terminate()  # it takes away what it had begun to write
            try:
                self._process.wait(LAST_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None

    def _start(self, numerics: Numerics | None) -> None:
        ours, theirs = Pipe()
        known = dict(os.environ) if numerics is None else environment(numerics, os.environ)
        # Found where they were found here: a test's modules, too.
        script = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            f"from fathom.ground.workers import serve; serve({theirs.fileno()})"
        )
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", script],
                env=known | self._limits,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._pipe, self._numerics = ours, numerics


def serve(handle: int) -> None:
    """Run the tasks that come through a pipe, until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this
    heed_termination()
    pipe = Connection(handle)
    calls: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def listen() -> None:
        try:
            while True:
                calls.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(1)  # the parent is gone: nobody waits for this any more

    Thread(target=listen, daemon=True).start()
    with suppress(KeyboardInterrupt):
        while True:
            folder, call = calls.get()
            pipe.send(_outcome(folder, call))


def _outcome(folder: str, call: bytes) -> Outcome:
    try:
        os.chdir(folder)
    except OSError as error:
        return Failed(
            UnfitWorkerError(
                f"{folder}: is not there on {os.uname().nodename} ({error.strerror}); the project "
                "must lie on storage that all machines share, under the same path"
            )
        )
    try:
        function, arguments = pickle.loads(call)
        return Done(function(*arguments))
    except FathomError as error:
        return Failed(error)
    except Exception:  # a fault of fathom's, told where it can be seen
        return Failed(RuntimeError(f"a task failed in its process:\n{traceback.format_exc()}"))

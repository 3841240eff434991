"""Tasks on an existing Dask cluster, named by its scheduler's address.

A worker of the cluster takes a task's words alone, and runs it in a child process of its own, as
this machine would (`fathom.ground.workers`): with the instruction sets of the task's numerics, in
the project's folder, which all machines share. So a task that brings its process down leaves the
worker alive, and what it brings down is known by name. A worker whose code or libraries are others
than the caller's is refused.

A worker that is lost is no loss: the scheduler hands its task to another, as often as its own
setting `allowed-failures` says. When the scheduler restarts, what is not done is submitted again.
"""

import platform
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import code_of
from fathom.ground.numerics import Numerics
from fathom.ground.processor import processor
from fathom.ground.workers import (
    SCHEDULER,
    Child,
    Done,
    Ended,
    Failed,
    Outcome,
    Task,
    UnfitWorkerError,
    packed,
)

if TYPE_CHECKING:  # of the extra `cluster`
    from distributed import Client, Future

ANSWERS_S = 30.0  # a scheduler that is there answers sooner, on a busy machine too
RETURNS_S = 120.0  # and one that restarts is back by then
# Of one attempt. An interrupt waits twice as long for a client that is connecting: Dask closes what
# was begun, with this patience, when it is collected.
ATTEMPT_S = 5.0
ASKS_S = 5.0  # how often it is looked whether any worker is left

# Whatever computes a result: of other versions its last bits may differ.
PACKAGES = (
    *("imagecodecs", "numpy", "onnxruntime", "opencv-python-headless", "pillow", "scikit-image"),
    *("scikit-learn", "scipy", "tifffile", "torch"),
)
# A child computes with one thread, beside the other workers of its machine.
_ONE_CORE = {"LOKY_MAX_CPU_COUNT": "1"}
_of_thread = threading.local()

Machinery = dict[str, str]  # what the bits of a result hang on, by its name for people


class _SchedulerLostError(Exception):
    """The scheduler went away."""


def on_cluster(address: str, tasks: Mapping[int, Task]) -> Iterator[tuple[int, Outcome]]:
    """Yield what tasks come to on the cluster of a scheduler, as they finish.

    Raises `FathomError` where no scheduler answers, or a worker's versions differ.
    """
    left, patience = dict(tasks), ANSWERS_S
    while left:
        try:
            with _client(address, patience) as client:
                for number, outcome in _submitted(client, left):
                    del left[number]
                    yield number, outcome
        except _SchedulerLostError:
            patience = RETURNS_S
            print(
                f"the scheduler at {address} went away; {len(left)} tasks are left, and are "
                "submitted again when it is back",
                file=sys.stderr,
            )


@contextmanager
def _client(address: str, patience: float) -> Iterator["Client"]:
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError:
        raise FathomError(
            f"{SCHEDULER} is {address!r}, and Dask is not installed here: "
            f"`pip install 'fathom[cluster]'`, or unset {SCHEDULER} to work on this machine"
        ) from None
    end = time.monotonic() + patience
    while True:
        try:
            client = Client(address, timeout=ATTEMPT_S, set_as_default=False)
            break
        except (OSError, ValueError) as error:
            if time.monotonic() > end:
                raise FathomError(
                    f"{SCHEDULER} is {address!r}, and no scheduler answers there within "
                    f"{patience:.0f} s ({_first_line(error)}). What is finished is kept. Start it "
                    f"(`dask scheduler`), correct {SCHEDULER}, or unset it to work on this machine"
                ) from None
            time.sleep(0.5)
    try:
        yield client
    finally:
        with suppress(OSError):  # the scheduler may be gone, and what was its is nobody's
            client.close(timeout=ATTEMPT_S)


def _submitted(client: "Client", tasks: Mapping[int, Task]) -> Iterator[tuple[int, Outcome]]:
    """Submit tasks, the first with the highest priority; yield what they come to."""
    finished: SimpleQueue[tuple[int, Future[Any]]] = SimpleQueue()
    wanted = {task.function.__module__: machinery(task) for task in tasks.values()}
    futures = {}

    # A function of no module goes as it is: the scheduler, which reads it, need not have fathom.
    def run_there(*call: object) -> object:
        from fathom.ground.cluster import run_here  # noqa: PLC0415

        return run_here(*call)  # type: ignore[arg-type]

    for number, task in tasks.items():
        future = client.submit(
            run_there,
            str(Path.cwd()),
            packed(task),
            task.numerics,
            task.function.__module__,
            wanted[task.function.__module__],
            key=f"{task.name}-{uuid4().hex}",
            pure=False,
            priority=-number,
        )
        future.add_done_callback(lambda done, number=number: finished.put((number, done)))
        futures[number] = future
    told = False
    while futures:
        try:
            number, future = finished.get(timeout=ASKS_S)
        except Empty:
            told = told or _say_where_none_works(client)
            continue
        del futures[number]
        yield number, _outcome_of(future)


def _say_where_none_works(client: "Client") -> bool:
    """Say that the cluster has no workers, where it has none."""
    try:
        if client.status != "running" or client.nthreads():
            return False
    except OSError:  # the scheduler is gone, which the tasks will tell
        return False
    print("the cluster has no workers: waiting for them", file=sys.stderr)
    return True


def _outcome_of(future: "Future[Any]") -> Outcome:
    if future.cancelled():
        raise _SchedulerLostError
    from distributed.scheduler import KilledWorker  # noqa: PLC0415

    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        return Ended("with its worker")
    if error is not None:
        raise FathomError(
            f"a worker of the cluster cannot run tasks of fathom ({type(error).__name__}: "
            f"{_first_line(error)}): install the same fathom there as here"
        )
    outcome: Outcome = future.result()
    return outcome


def machinery(task: Task) -> Machinery:
    """Return what the bits of a task hang on."""
    return _machinery(task.function.__module__, task.numerics)


def _machinery(module: str, numerics: Numerics | None) -> Machinery:
    told = {"Python": platform.python_version(), "fathom's code": code_of(module)[:12]}
    for package in PACKAGES:
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            told[package] = "none"
    if numerics == "native":
        told["processor"] = processor()
    return told


def run_here(
    folder: str, call: bytes, numerics: Numerics | None, module: str, wanted: Machinery
) -> Outcome:
    """Run a task in a child of this worker's thread; `Failed` where its machinery is another."""
    if not hasattr(_of_thread, "child"):
        _of_thread.child = Child(_ONE_CORE)
    child: Child = _of_thread.child
    ask = packed(Task("", _machinery, (module, numerics)))
    for _ in range(2):  # a child that was started before an update is replaced
        told = child.call(folder, ask, numerics)
        if not isinstance(told, Done):
            break
        found = _shared(told.value, wanted)
        if found == wanted:
            return child.call(folder, call, numerics)
        told = Failed(UnfitWorkerError(_difference(found, wanted)))
        child.end()
    return told


def _shared(found: Machinery, wanted: Machinery) -> Machinery:
    """Return what was found, without packages that the caller does without."""
    return {name: wanted[name] if wanted[name] == "none" else found[name] for name in wanted}


def _difference(found: Machinery, wanted: Machinery) -> str:
    different = [
        f"{name} {found[name]} (here {wanted[name]})"
        for name in wanted
        if found[name] != wanted[name]
    ]
    return (
        f"the worker on {platform.node()} has {', '.join(different)}: results would not be the "
        "same bytes. Give all machines one environment (requirements.txt) and one checkout"
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

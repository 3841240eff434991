"""Tasks for the tests of workers: what well-meant and other tasks do to the process they run in."""

import os
import signal
import time
from pathlib import Path

from fathom.ground.errors import FathomError


def write(path: Path, text: str) -> int:
    path.write_text(text, encoding="utf-8")
    return os.getpid()


def variables(*names: str) -> list[str | None]:
    return [os.environ.get(name) for name in names]


def refuse() -> None:
    raise FathomError("crops.csv: row 3 is no crop")


def fail() -> None:
    raise ZeroDivisionError("a fault")


def end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end_once(marker: Path) -> str:
    """End the process, but not the second time."""
    if not marker.exists():
        marker.touch()
        os._exit(7)
    return "done"


def say_and_sleep(marker: Path, seconds: float) -> str:
    """Say which process works on it, and take a while; append a line each time that it begins."""
    with marker.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return "done"


def tell(_shown, _cell, key, _numerics, store, _report):
    """In place of training a cell: write what its process computes with."""
    import torch  # noqa: PLC0415  as a worker does
    from numpy._core._multiarray_umath import __cpu_features__ as has  # noqa: PLC0415

    from fathom.training.cell import Epoch  # noqa: PLC0415

    wide = has["X86_V4"] or has["AVX512_ICL"]
    told = torch.backends.cpu.get_cpu_capability(), has["AVX2"], wide, torch.get_num_threads()
    (store.folder / key).write_text(f"{os.environ['PARENT'] != str(os.getpid())} {told}")
    return Epoch(1, 0.5, 0.5, 0.5, 0.5)

"""The same numbers every time, as fast as may be: the process' state while a cell trains."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from fathom.errors import FathomError

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of <malloc.h>, mallopt(3)
_ALL = 2**31 - 1


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread and deterministic algorithms, and afterwards torch's global state as it was.

    Numbers too small for a normal float32 count as 0: in a network that is stuck the mean squares
    of RMSProp become such numbers and stay so, and arithmetic with them is slow (epochs of 50
    instead of 36 ms after 400 steps, 436,000 of 690,000 mean squares). Torch cannot say whether
    this was on before; by default it is off.
    """
    _check_instructions()
    keep_memory()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        with _strict() if torch.cuda.is_available() else nullcontext():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


@contextmanager
def _strict() -> Iterator[None]:
    strict = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # its one setting is unknown to the type checker
    filled = memory.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(True)
        # Filling memory that is about to be overwritten changes nothing.
        memory.fill_uninitialized_memory = False
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        memory.fill_uninitialized_memory = filled


def keep_memory() -> None:
    """Have glibc keep what is freed, for this process' life; elsewhere nothing is changed.

    Left to itself it gives every large map back to the system and has it zeroed, a page at a time,
    when the next layer asks: a third of the time of the shallow network (docs/performance.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _ALL)


def _check_instructions() -> None:
    """Refuse to train on other instructions than the environment asks for: torch came too early.

    A processor without AVX2 computes other bits, whatever it is asked.
    """
    asked = os.environ.get("ATEN_CPU_CAPABILITY")
    found = torch.backends.cpu.get_cpu_capability()
    if asked and found.lower() != asked:
        raise FathomError(
            f"numerics: portable needs {asked.upper()} instructions, and torch uses {found}. On a "
            "processor without AVX2 set numerics: native in params.yaml; the numbers are then this "
            "machine's own"
        )

"""The same numbers every time, as fast as may be: the process' state while a cell trains."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from fathom.ground.errors import FathomError
from fathom.ground.heap import keep_freed_memory
from fathom.ground.numerics import Numerics


@contextmanager
def reproducible(numerics: Numerics) -> Iterator[None]:
    """One thread and deterministic algorithms, and afterwards torch's global state as it was.

    Raises `FathomError` where torch does not compute with what portable numerics ask for.

    Numbers too small for a normal float32 count as 0: in a network that is stuck the mean squares
    of RMSProp become such numbers and stay so, and arithmetic with them is slow (epochs of 50
    instead of 36 ms after 400 steps, 436,000 of 690,000 mean squares). Torch cannot say whether
    this was on before; by default it is off.
    """
    if numerics == "portable":
        _check_instructions()
    keep_freed_memory()
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


def _check_instructions() -> None:
    found = torch.backends.cpu.get_cpu_capability()
    if found != "AVX2":
        raise FathomError(
            f"numerics: portable needs AVX2 instructions, and torch uses {found}. On a processor "
            "without AVX2 set numerics: native in params.yaml; the numbers are then this machine's "
            "own. In a program of your own, call fathom.ground.numerics.pin before torch is "
            "imported"
        )

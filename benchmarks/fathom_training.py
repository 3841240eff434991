"""One side of `training.py`: fathom's own training, a cell on each core at once.

Imports torch: choose the numerics (`fathom.ground.numerics.pin`) before this is imported. The
processes that it starts have them from the environment.
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from fathom.ground.numerics import Numerics
from fathom.ground.section import read_section
from fathom.networks.interventions import planned
from fathom.networks.recipe import Recipe
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_runs
from fathom.training.cell import Cell, Shown
from fathom.training.determinism import reproducible
from fathom.training.training import _Training

TRAIN, VALIDATION = 832, 192  # nuclei: whole batches of 64
CORES = len(os.sched_getaffinity(0))
PRODUCT = 1024  # side of the matrices of the peak
PATIENCE_S = 300  # for the slowest of the processes

Measured = dict[str, float]


def cell_of(
    network: str, folder: Path, precision: str = "float32", fold: int = 0
) -> tuple[Cell, Shown]:
    """Return a cell of a row of `runs:`, on evenly spaced nuclei, and what it is shown."""
    nuclei, run, number = read_nuclei(folder), read_runs()[network], TRAIN + VALIDATION
    if len(nuclei.kept) < number:
        raise ValueError(f"{folder}: has {len(nuclei.kept)} nuclei; {number} are needed")
    line = read_architectures()[run.architecture]
    plan = planned(run, network, line, read_section(Recipe), nuclei.crop_px)
    recipe = plan.recipe.changed({"precision": precision}, "benchmark")
    rows = np.linspace(0, len(nuclei.kept) - 1, number).astype(np.intp)
    shown = Shown(nuclei.crops()[rows], nuclei.kept["positive"].to_numpy(dtype=bool)[rows])
    order = np.random.default_rng(0).permutation(number)
    parts = {"train": order[:TRAIN], "validation": order[TRAIN:]}
    return Cell(network, fold, 0, plan.line, recipe, parts), shown


def measure(
    network: str, folder: Path, seconds: float, precision: str, numerics: Numerics
) -> Measured:
    """Return the speed of a cell on each core: nuclei of all by the seconds of the slowest."""
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(CORES, context) as pool:
        together, warm = manager.Barrier(CORES), manager.list()
        cells = [cell_of(network, folder, precision, fold) for fold in range(CORES)]
        one = partial(_train, seconds, together, warm, numerics)
        epochs, taken, peaks = zip(*pool.map(one, cells), strict=True)
    return told(
        *cells[0],
        epochs_per_s=sum(epochs) / max(taken),
        peaks={name: statistics.mean(one[name] for one in peaks) for name in peaks[0]},
    )


def _train(seconds, together, warm, numerics, work) -> tuple[int, float, Measured]:
    """Return a cell's epochs, the seconds they took, and the peaks of its process."""
    cell, shown = work
    precision = cell.recipe.precision
    with reproducible(numerics):
        training = _Training(shown, cell, torch.device("cpu"))
        together.wait(PATIENCE_S)
        peaks = {"peak_gflops": _numpy_peak() if numerics == "portable" else torch_peak("float32")}
        if precision != "float32":
            peaks[f"{precision}_peak_gflops"] = torch_peak(precision)
        training.run_epoch()
        together.wait(PATIENCE_S)
        epochs, taken = timed(
            training.run_epoch, seconds, lambda own: _longest(own, together, warm)
        )
    return epochs, taken, peaks


def _longest(own: float, together, warm) -> float:
    warm.append(own)
    together.wait(PATIENCE_S)
    longest = max(warm)
    together.wait(PATIENCE_S)
    return longest


def timed(
    epoch: Callable[[], None], seconds: float, agreed: Callable[[float], float] = float
) -> tuple[int, float]:
    """Return how many epochs were timed, about `seconds` long, and the seconds they took.

    One goes before, whose time says how many; `agreed` makes the same number of it for all.
    """
    began = time.perf_counter()
    epoch()
    epochs = max(1, round(seconds / agreed(time.perf_counter() - began)))
    began = time.perf_counter()
    for _ in range(epochs):
        epoch()
    return epochs, time.perf_counter() - began


def told(cell: Cell, shown: Shown, *, epochs_per_s: float, peaks: Measured) -> Measured:
    """Return the figures of a measurement; a multiply-add is two operations."""
    gflops = 2 * cell.multiply_adds(shown) / cell.recipe.epochs * epochs_per_s / 1e9
    share = gflops / (CORES * peaks["peak_gflops"])
    nuclei = epochs_per_s * len(cell.rows["train"])
    return {"nuclei_per_s": nuclei, "gflops": gflops, **peaks, "share_of_peak": share}


def torch_peak(precision: str) -> float:
    """Return the GFLOP/s of torch's matrix product, with the threads that it is set to."""
    values = torch.rand(PRODUCT, PRODUCT).to(getattr(torch, precision))
    return _peak(lambda: values @ values)


def _numpy_peak() -> float:
    values = np.random.default_rng(0).random((PRODUCT, PRODUCT), dtype=np.float32)
    return _peak(lambda: values @ values)


def _peak(product: Callable[[], object]) -> float:
    """Return the GFLOP/s of the fastest of 20 products."""
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - began)
    return 2 * PRODUCT**3 / min(seconds) / 1e9

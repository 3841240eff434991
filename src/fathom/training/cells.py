"""Many cells at once, one on each core, with live progress."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import joblib
import numpy as np
import numpy.typing as npt
import torch

from fathom.imaging.nuclei import Crops
from fathom.progress import progress_bar
from fathom.training.batches import Targets
from fathom.training.cell import Cell, Epoch, Trained
from fathom.training.checkpoint import Checkpoint, environment, fingerprint
from fathom.training.training import train_cell

REFRESH_S = 0.25

Board = npt.NDArray[np.float64]  # (cells, 3): epochs done, last training and validation loss


def checkpoints_of(
    cells: Sequence[Cell], crops: Crops, targets: Targets, folder: Path
) -> list[Checkpoint]:
    """Return the checkpoint of each cell, named by all that decides what the cell comes to."""
    shared = fingerprint(environment(), crops, targets)
    checkpoints = []
    for cell in cells:
        plan = (cell.line, repr(cell.recipe), repr(cell.probes))
        words = (shared, cell.run, str(cell.fold), str(cell.seed), *plan)
        key = fingerprint(*words, *cell.rows.keys(), *cell.rows.values())
        name = f"{cell.run}.fold{cell.fold}.seed{cell.seed}.{key[:16]}.checkpoint"
        checkpoints.append(Checkpoint(folder / name, key))
    return checkpoints


def train_cells(
    cells: Sequence[Cell],
    crops: Crops,
    targets: Targets,
    checkpoints: Sequence[Checkpoint],
    at_once: int | None = None,
) -> list[Trained]:
    """Train cells, as many at once as there are cores; return what they leave, in their order.

    The processes share the crops in memory. On one core or with a GPU the cells are trained one
    after the other in this process. None of this changes the results.
    """
    if at_once is None:
        at_once = 1 if torch.cuda.is_available() else joblib.cpu_count()
    trained: dict[int, Trained] = {}
    with tempfile.NamedTemporaryFile(prefix="fathom-progress-") as file:
        board = np.memmap(file.name, np.float64, "w+", shape=(len(cells), 3))
        jobs = (
            joblib.delayed(_train)(
                crops, targets, cell, checkpoint, _Reporter(board, number, os.getpid())
            )
            for number, (cell, checkpoint) in enumerate(zip(cells, checkpoints, strict=True))
        )
        with (
            _shown(board, cells),
            joblib.parallel_config(
                "loky", n_jobs=min(at_once, len(cells)), inner_max_num_threads=1
            ),
        ):
            for number, one in joblib.Parallel(return_as="generator_unordered")(jobs):
                trained[number] = one
                print(_finished(cells[number], one.history[-1]), file=sys.stderr)
    return [trained[number] for number in range(len(cells))]


@dataclass(frozen=True)
class _Reporter:
    """Writes a cell's progress on the board that the processes share."""

    board: Board
    number: int  # the cell's row
    parent: int  # process id

    def __call__(self, epoch: Epoch) -> None:
        if self.parent not in (os.getpid(), os.getppid()):
            os._exit(1)  # the stage was killed: nobody waits for this cell any more
        self.board[self.number] = epoch.epoch, epoch.train_loss, epoch.validation_loss


def _train(
    crops: Crops, targets: Targets, cell: Cell, checkpoint: Checkpoint, report: _Reporter
) -> tuple[int, Trained]:
    return report.number, train_cell(crops, targets, cell, checkpoint, report)


@contextmanager
def _shown(board: Board, cells: Sequence[Cell]) -> Iterator[None]:
    """Show a bar for each cell that has begun, on a terminal only, while the context lasts."""
    done = Event()
    with progress_bar() as progress:
        bars = [
            progress.add_task(str(cell), total=cell.recipe.epochs, start=False, visible=False)
            for cell in cells
        ]

        def refresh() -> None:
            while not done.wait(REFRESH_S):
                for bar, cell, (epochs, train, validation) in zip(bars, cells, board, strict=True):
                    if epochs:
                        losses = f"loss {train:.3f}, validation {validation:.3f}"
                        progress.start_task(bar)
                        progress.update(
                            bar,
                            completed=epochs,
                            visible=epochs < cell.recipe.epochs,
                            description=f"{cell}: {losses}",
                        )

        watcher = Thread(target=refresh, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _finished(cell: Cell, last: Epoch) -> str:
    return (
        f"{cell}: {last.epoch} epochs, accuracy {last.train_accuracy:.3f} in training, "
        f"{last.validation_accuracy:.3f} in validation"
    )

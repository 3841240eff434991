"""Many cells at once, one on each core, with live progress; what the store holds is not trained.

This process only hands out cells and reads what they left: torch is imported in the workers alone
(`fathom.ground.workers`), with the instruction sets of the numerics. They find the crops and the
store by their paths, so that they may be those of a cluster.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Thread

import joblib
import numpy as np
import numpy.typing as npt

from fathom.ground.errors import FathomError
from fathom.ground.numerics import Numerics
from fathom.ground.progress import progress_bar
from fathom.ground.temporary_folder import temporary_folder
from fathom.ground.workers import Task, run, scheduler
from fathom.study.stored_crops import save_crops
from fathom.training.cell import Cell, Epoch, Shown, Trained
from fathom.training.identity import gpu, keys_of
from fathom.training.store import Store

REFRESH_S = 0.25

FIELDS = 3  # of the board: epochs done, last training loss, last validation loss
Board = npt.NDArray[np.float64]  # (cells, FIELDS), a file that is mapped into memory
Work = tuple[Cell, Shown]


def train_cells(
    work: Sequence[Work], numerics: Numerics, store: Store, at_once: int | None = None
) -> list[Trained]:
    """Return what each cell leaves, in their order; train those that the store does not hold.

    The largest are trained first, as many at once as there are cores, so that no core is idle long.
    The processes share the crops in memory. With a GPU (`numerics` native alone) cells are trained
    one after the other. None of this changes the results. Raises `FathomError` for bfloat16 under
    portable numerics: its kernels differ by processor.
    """
    _check_precision(work, numerics)
    keys = keys_of([cell for cell, _ in work], [shown for _, shown in work], numerics)
    found = {key: trained for key in set(keys) if (trained := store.finished(key)) is not None}
    missing = {key: one for key, one in zip(keys, work, strict=True) if key not in found}
    if held := sum(key in found for key in keys):
        print(f"{held} of {len(work)} networks were trained before: taken from {store.folder}")
    largest_first = sorted(missing, key=lambda key: -missing[key][0].multiply_adds(missing[key][1]))
    if at_once is None:
        at_once = 1 if numerics == "native" and gpu() else joblib.cpu_count()
    _train_all({key: missing[key] for key in largest_first}, numerics, store, at_once)
    for key in missing:
        trained = store.finished(key)
        if trained is None:
            raise FathomError(
                f"{missing[key][0]}: what was trained cannot be read from {store.folder} any more. "
                "Run this again: cells that are there are kept"
            )
        found[key] = trained
    return [found[key] for key in keys]


def _check_precision(work: Sequence[Work], numerics: Numerics) -> None:
    for cell, _ in work:
        if numerics == "portable" and cell.recipe.precision == "bfloat16":
            raise FathomError(
                f"run {cell.run}: precision 'bfloat16' has other kernels on every processor: set "
                "numerics: native in params.yaml, or precision: float32"
            )


def _train_all(work: dict[str, Work], numerics: Numerics, store: Store, at_once: int) -> None:
    """Train in new processes, even a single cell: this one may have loaded other kernels."""
    if not work:
        return
    cells = [cell for cell, _ in work.values()]
    # All workers see it: those of a cluster share the store.
    with temporary_folder("fathom-cells-", store.folder if scheduler() else None) as folder:
        path = folder / "board"
        board = np.memmap(path, np.float64, "w+", shape=(len(cells), FIELDS))
        crops = _written({id(shown): shown for _, shown in work.values()}, folder)
        tasks = [
            Task(
                str(cell),
                _train,
                (crops[id(shown)], cell, key, numerics, store, _Reporter(path, number)),
                numerics,
            )
            for number, (key, (cell, shown)) in enumerate(work.items())
        ]
        with _progress(board, cells):
            for number, last in run(tasks, at_once):
                print(_finished(cells[number], last), file=sys.stderr)


def _written(shown: Mapping[int, Shown], folder: Path) -> dict[int, Path]:
    """Write what is shown where all workers map it into memory."""
    paths = {}
    for number, (name, one) in enumerate(shown.items()):
        paths[name] = folder / str(number)
        paths[name].mkdir()
        save_crops(paths[name] / "crops.npy", one.crops)
        np.save(paths[name] / "targets.npy", one.targets)
    return paths


@cache
def _read(folder: Path) -> Shown:
    """Return what is shown, once a worker."""
    return Shown(np.load(folder / "crops.npy", mmap_mode="r"), np.load(folder / "targets.npy"))


@dataclass(frozen=True)
class _Reporter:
    """Writes a cell's progress on the board that the processes share."""

    board: Path
    number: int  # the cell's row

    def __call__(self, epoch: Epoch) -> None:
        told = np.array([epoch.epoch, epoch.train_loss, epoch.validation_loss])
        with suppress(OSError), self.board.open("r+b") as board:  # the stage may be gone
            board.seek(self.number * told.nbytes)
            board.write(told.tobytes())


def _train(
    crops: Path, cell: Cell, key: str, numerics: Numerics, store: Store, report: _Reporter
) -> Epoch:
    """Train one cell in a worker, into the store; return its last epoch."""
    from fathom.training.training import train_cell  # noqa: PLC0415  torch, in workers alone

    trained = store.finished(key)  # another worker may have been there before its machine was lost
    if trained is None:
        trained = train_cell(_read(crops), cell, store.at(key, cell), report, numerics)
        store.finish(key, cell, trained)
    return trained.history[-1]


@contextmanager
def _progress(board: Board, cells: Sequence[Cell]) -> Iterator[None]:
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

"""The store of cells as a table: what each file is of, how large it is, when it was last used."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box, filesize
from rich.console import Console
from rich.table import Table

from fathom.ground.errors import FathomError
from fathom.training.store import DAYS_KEPT, Entry, Store


def kept_cells(folder: Path) -> list[Entry]:
    """Return every file of the store, those of a cell together."""
    store = _store(folder)
    return _in_order(store.entries()) if store else []


def print_cells(folder: Path, entries: Sequence[Entry]) -> None:
    """Print the files of the store in `folder`, and what all of them take."""
    console = Console(highlight=False, markup=False)
    if not entries:
        console.print(f"no cells are kept in {folder}: none was trained yet, or they were deleted")
        return
    console.print(_table(entries))
    console.print(f"{_files(entries)}, {_size(entries)} in {folder}", soft_wrap=True)


def prune_cells(folder: Path, days: float | None) -> list[Entry]:
    """Delete what is damaged or was not used for `days` days (`DAYS_KEPT`); return what it was."""
    store = _store(folder)
    return _in_order(store.prune(DAYS_KEPT if days is None else days)) if store else []


def print_pruned(folder: Path, gone: Sequence[Entry], days: float | None) -> None:
    """Print what was deleted of the store in `folder`, and what that freed."""
    console = Console(highlight=False, markup=False)
    if not gone:
        days = DAYS_KEPT if days is None else days
        console.print(
            f"{folder}: nothing to delete, no file is damaged or was unused for {days:g} days"
        )
        return
    console.print(_table(gone))
    console.print(f"deleted {_files(gone)} of {folder}, which freed {_size(gone)}", soft_wrap=True)


def _store(folder: Path) -> Store | None:
    """Return the store, or None where there is none yet."""
    if folder.exists() and not folder.is_dir():
        raise FathomError(f"{folder}: is a file; the store of cells is a folder")
    return Store(folder) if folder.exists() else None


def _table(entries: Iterable[Entry]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("what", "cell", "epochs", "size", "days unused"):
        left = heading in ("what", "cell")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for entry in entries:
        table.add_row(
            entry.what,
            entry.cell or entry.path.name,
            f"{entry.epochs:,}" if entry.cell else "",
            filesize.decimal(entry.size),
            f"{entry.days:.1f}",
        )
    return table


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Sort by cell; a file that does not tell its cell is shown by its name, after the others."""
    return sorted(entries, key=lambda entry: (not entry.cell, entry.cell, entry.days))


def _files(entries: Sequence[Entry]) -> str:
    return f"{len(entries):,} file{'s' * (len(entries) != 1)}"


def _size(entries: Iterable[Entry]) -> str:
    size = sum(entry.size for entry in entries)
    return f"{size:,} bytes" + (f" ({filesize.decimal(size)})" if size >= 1_000 else "")

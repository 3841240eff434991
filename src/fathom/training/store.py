"""The store of cells: finished ones, which are never trained twice, and where others stand.

A folder that git ignores and that is safe to delete. A cell's files are named by its key
(`fathom.training.identity`), so that every branch, stage and checkout can share them. A file is a
digest of kind, key and content (32 bytes), then arrays as safetensors: nothing in it can be run.
What is damaged, or was written under another key, is named on standard error and trained again.
"""

import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fathom.ground.errors import FathomError
from fathom.ground.output import written_whole
from fathom.training.cell import Arrays, Cell, Epoch, State, Trained, arrays_of, named_after

FINISHED, UNFINISHED = ".cell", ".unfinished"
NAMED_BY = 32  # characters of the key: 128 bits, never twice by chance
OURS = re.compile(r"[0-9a-f]{32}\.(cell|unfinished)|\.[0-9a-f]{32}\.(cell|unfinished)\.\d+\.part")
DIGEST = 32  # bytes
NOTES = "notes"
DAYS_KEPT = 30


class Entry(NamedTuple):
    """One file of the store, as `fathom cells` lists it."""

    path: Path
    what: str  # "finished", "unfinished", "damaged", "being written", "left by a killed process"
    cell: str  # which cell wrote it; another of the same key may use it
    epochs: int
    size: int  # bytes
    days: float  # since it was last used


@dataclass(frozen=True)
class Store:
    """The files of one folder."""

    folder: Path

    def finished(self, key: str) -> Trained | None:
        """Return what the cell of `key` left, or None where it was never finished here."""
        path = self._path(key, FINISHED)
        read = _read(path, key)
        if read is None:
            return None
        with suppress(OSError):  # a store that may only be read
            path.touch()  # it is in use: `prune` keeps it
        arrays, notes = read
        return Trained(
            [Epoch(*epoch) for epoch in notes["history"]],
            arrays_of("probability", arrays),
            arrays_of("weights", arrays),
            [tuple(row) for row in notes["probes"]],
        )

    def finish(self, key: str, cell: Cell, trained: Trained) -> None:
        """Keep what a cell left; where it stood before is forgotten."""
        arrays = named_after("probability", dict(trained.probabilities))
        arrays |= named_after("weights", trained.weights)
        notes = {"history": trained.history, "probes": trained.probes}
        _write(self._path(key, FINISHED), key, arrays, _described(cell, notes))
        self._path(key, UNFINISHED).unlink(missing_ok=True)

    def at(self, key: str, cell: Cell) -> "Checkpoint":
        """Return where the cell of `key` stands."""
        return Checkpoint(self._path(key, UNFINISHED), key, cell)

    def forget_unfinished(self) -> None:
        """Delete what was left unfinished `DAYS_KEPT` days ago, and what killed processes left."""
        for path in self._files():
            if path.suffix != FINISHED and _days(path) > DAYS_KEPT:
                path.unlink(missing_ok=True)

    def prune(self, days: float) -> list[Entry]:
        """Delete what is damaged, and what was not used for `days` days; return what that was.

        What a living process is writing is left alone.
        """
        gone = [
            entry
            for entry in self.entries()
            if entry.what == "damaged" or (entry.days >= days and entry.what != "being written")
        ]
        for entry in gone:
            entry.path.unlink(missing_ok=True)
        return gone

    def entries(self) -> Iterator[Entry]:
        """Yield the store's files, by name; others that may lie in its folder are left alone."""
        for path in self._files():
            with suppress(FileNotFoundError):  # another process finished the cell
                what, cell, epochs = _told(path)
                yield Entry(path, what, cell, epochs, path.stat().st_size, _days(path))

    def _files(self) -> list[Path]:
        """Return the files that have the name of a cell's, or of one that is being written."""
        return sorted(path for path in self.folder.glob("*") if OURS.fullmatch(path.name))

    def _path(self, key: str, kind: str) -> Path:
        return self.folder / f"{key[:NAMED_BY]}{kind}"


@dataclass(frozen=True)
class Checkpoint:
    """Where an unfinished cell stands, on disk."""

    path: Path
    key: str
    cell: Cell

    def load(self) -> State | None:
        """Return what was saved, or None where there is nothing to go on from."""
        return _read(self.path, self.key)

    def save(self, state: State) -> None:
        """Keep where the cell stands after an epoch."""
        _write(self.path, self.key, state.arrays, _described(self.cell, state.notes))


def _described(cell: Cell, notes: Mapping[str, Any]) -> dict[str, Any]:
    recipe = cell.recipe.model_dump(mode="json", exclude={"seeds"})
    return {**notes, "cell": str(cell), "line": cell.line, "recipe": recipe}


def _days(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime) / 86_400
    except FileNotFoundError:
        return 0.0


def _told(path: Path) -> tuple[str, str, int]:
    if path.suffix == ".part":
        writes = Path("/proc", path.suffixes[-2].removeprefix(".")).exists()
        return "being written" if writes else "left by a killed process", "", 0
    read = _parsed(path.read_bytes(), path, None)
    if read is None:
        return "damaged", "", 0
    notes = read.notes
    what = "finished" if path.suffix == FINISHED else "unfinished"
    return what, str(notes["cell"]), len(notes["history"])


def _write(path: Path, key: str, arrays: Arrays, notes: Mapping[str, object]) -> None:
    told = np.frombuffer(json.dumps({**notes, "key": key}).encode(), np.uint8)
    whole = {name: np.asarray(values, order="C") for name, values in arrays.items()}
    content = save({**whole, NOTES: told})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part:
            part.write_bytes(_digest(path.suffix, key, content) + content)
    except OSError as error:
        raise FathomError(
            f"{path.parent}: the store of cells cannot be written to ({error.strerror}). Make room "
            "or name another folder; cells that are finished there are kept"
        ) from None


def _read(path: Path, key: str) -> State | None:
    try:
        saved = path.read_bytes()
    except FileNotFoundError:
        return None
    read = _parsed(saved, path, key)
    if read is None:
        print(
            f"{path} is damaged or belongs to another training: starting this cell again",
            file=sys.stderr,
        )
    return read


def _parsed(saved: bytes, path: Path, key: str | None) -> State | None:
    """Return what a file holds, or None where it is not whole, or not that of `key` or its name."""
    try:
        arrays = load(saved[DIGEST:])
        notes = json.loads(arrays.pop(NOTES).tobytes())
        written = str(notes["key"])
    except (SafetensorError, KeyError, ValueError, TypeError):
        return None
    is_asked_for = written == key if key is not None else written.startswith(path.stem)
    whole = saved[:DIGEST] == _digest(path.suffix, written, saved[DIGEST:])
    return State(arrays, notes) if whole and is_asked_for else None


def _digest(kind: str, key: str, content: bytes) -> bytes:
    return hashlib.sha256(kind.encode() + key.encode() + content).digest()

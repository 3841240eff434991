"""A label image of any size on disk, by tile: only tiles that hold something take space."""

import os
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import numpy.typing as npt

LabelTile = npt.NDArray[np.uint32]  # (tile_px, tile_px), 0 = background


class TileScratch:
    """Tiles by level, row and column, in a file without a name: nothing is left, whatever happens.

    Not memory-mapped: where the disk is full a write to a mapped page kills the process, where
    `pwrite` raises `OSError`.

    Parameters
    ----------
    folder : where the file lives; a slide full of nuclei takes 5.4 bytes a pixel
    tile_px : side of a tile
    """

    def __init__(self, folder: Path, tile_px: int) -> None:
        self._shape = (tile_px, tile_px)
        self._bytes = tile_px * tile_px * np.dtype(np.uint32).itemsize
        self._slots: dict[tuple[int, int, int], int] = {}
        self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - `close` closes it

    def get(self, level: int, row: int, column: int) -> LabelTile:
        """Return a copy of a tile; of one that was never put, zeros."""
        slot = self._slots.get((level, row, column))
        if slot is None:
            return np.zeros(self._shape, dtype=np.uint32)
        content = os.pread(self._file.fileno(), self._bytes, slot * self._bytes)
        return np.frombuffer(content, dtype=np.uint32).reshape(self._shape).copy()

    def put(self, level: int, row: int, column: int, tile: LabelTile) -> None:
        """Keep a tile; one without nuclei that is not there yet is not kept."""
        key = (level, row, column)
        if key not in self._slots and not tile.any():
            return
        slot = self._slots.setdefault(key, len(self._slots))
        content, offset = memoryview(tile.tobytes()), slot * self._bytes
        # A disk that is nearly full takes a part, and raises at the next.
        while content:
            written = os.pwrite(self._file.fileno(), content, offset)
            content, offset = content[written:], offset + written

    def close(self) -> None:
        """Give the space back."""
        self._file.close()

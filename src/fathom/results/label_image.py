"""The nuclei of a slide as a label image: tiled, pyramidal OME-TIFF, 32 bit.

A pixel holds the nucleus' label_number, 0 is the background; its pixels are those of the slide's
view. Read by Fiji (Bio-Formats), QuPath, napari and tifffile.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from fathom.ground.errors import FathomError
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_writer import NucleiBatch, NucleiWriter

TILE_PX = 512
SMALLEST_PX = 1024  # of the longer side: levels are added until one fits a screen
LARGEST_LABEL = 2**32 - 1

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "fathom/labels")

LabelTile = npt.NDArray[np.uint32]  # (tile_px, tile_px), 0 = background
Tiles = dict[tuple[int, int], LabelTile]  # by row and column


class LabelImageWriter(NucleiWriter):
    """Paints the nuclei into tiles on disk as they come, and writes the TIFF at the end.

    Parameters
    ----------
    path : to write to
    grid : the view that the nuclei were found in
    image : name of the slide, of which the file's UUID is made

    Memory holds the tiles that one batch touches, 1 MiB each. Where two nuclei overlap, the later
    one is on top.
    """

    def __init__(self, path: Path, grid: PixelGrid, image: str) -> None:
        self._path = path
        self._grid = grid
        self._image = image
        self._scratch = TileScratch(path.parent, TILE_PX)

    def add(self, batch: NucleiBatch) -> None:
        """Paint the nuclei of a batch; each tile they touch is read and written once."""
        table = batch.table
        if (table["label_number"] < 1).any():
            raise ValueError("label_number starts at 1: 0 is the background")
        if (table["label_number"] > LARGEST_LABEL).any():
            raise FathomError(
                f"a label image holds {LARGEST_LABEL:,} nuclei; this slide has more: do not "
                "ask for one"
            )
        touched: Tiles = {}
        boxes = table[["label_number", "top", "left", "bottom", "right"]].to_numpy()
        for (number, *box), inside in zip(boxes.tolist(), batch.masks, strict=True):
            self._paint(touched, number, box, inside)
        for (row, column), tile in touched.items():
            self._scratch.put(0, row, column, tile)

    def _paint(
        self, touched: Tiles, number: int, box: Sequence[int], inside: npt.NDArray[np.bool_]
    ) -> None:
        """Paint a nucleus into the tiles under its box (top, left, bottom, right)."""
        top, left, bottom, right = box
        rows = range(top // TILE_PX, (bottom - 1) // TILE_PX + 1)
        columns = range(left // TILE_PX, (right - 1) // TILE_PX + 1)
        for row, column in product(rows, columns):
            if (row, column) not in touched:
                touched[row, column] = self._scratch.get(0, row, column)
            # What of the box lies on this tile: in the slide's pixels, then in those of each.
            y, x = row * TILE_PX, column * TILE_PX
            y0, y1 = max(top, y), min(bottom, y + TILE_PX)
            x0, x1 = max(left, x), min(right, x + TILE_PX)
            part = inside[y0 - top : y1 - top, x0 - left : x1 - left]
            touched[row, column][y0 - y : y1 - y, x0 - x : x1 - x][part] = number

    def finish(self) -> None:
        """Write the TIFF, tile by tile, level by level."""
        sizes = _level_sizes(self._grid.height, self._grid.width)
        with tifffile.TiffWriter(self._path, bigtiff=True, ome=True) as tiff:
            for level, (height, width) in enumerate(sizes):
                rows, columns = -(-height // TILE_PX), -(-width // TILE_PX)
                tiff.write(
                    self._tiles(level, rows, columns),
                    shape=(height, width),
                    dtype=np.uint32,
                    tile=(TILE_PX, TILE_PX),
                    photometric="minisblack",
                    compression="zlib",
                    # Threads are the inference's; and tiles would queue up in memory.
                    maxworkers=1,
                    **self._description(level, len(sizes)),
                )

    def close(self) -> None:
        """Give the scratch space back."""
        self._scratch.close()

    def _tiles(self, level: int, rows: int, columns: int) -> Iterator[LabelTile]:
        for row, column in product(range(rows), range(columns)):
            if level:
                self._scratch.put(level, row, column, self._reduced(level, row, column))
            yield self._scratch.get(level, row, column)

    def _reduced(self, level: int, row: int, column: int) -> LabelTile:
        """Return every other pixel of the four tiles below: a mean of labels means nothing."""
        tile = np.zeros((TILE_PX, TILE_PX), dtype=np.uint32)
        half = TILE_PX // 2
        for down, right in product((0, 1), (0, 1)):
            below = self._scratch.get(level - 1, 2 * row + down, 2 * column + right)
            quarter = np.s_[down * half : (down + 1) * half, right * half : (right + 1) * half]
            tile[quarter] = below[::2, ::2]
        return tile

    def _description(self, level: int, levels: int) -> dict[str, Any]:
        """Return what `TiffWriter.write` is told of a level: its place, and its resolution."""
        um_per_px = self._grid.um_per_px
        described: dict[str, Any] = {"subfiletype": 1, "metadata": None}
        if level == 0:
            # Derived, not drawn: the same nuclei give the same bytes.
            identity = f"urn:uuid:{uuid.uuid5(_NAMESPACE, self._image)}"
            ome: dict[str, object] = {"axes": "YX", "Name": "nuclei", "UUID": identity}
            if self._grid.assumption:
                ome["Description"] = self._grid.assumption
            for axis in "XY" if um_per_px is not None else "":
                ome |= {f"PhysicalSize{axis}": um_per_px, f"PhysicalSize{axis}Unit": "µm"}
            described = {"subifds": levels - 1, "metadata": ome}
        if um_per_px is not None:
            px_per_cm = 1e4 / (um_per_px * 2**level)
            described |= {"resolution": (px_per_cm, px_per_cm), "resolutionunit": "CENTIMETER"}
        return described


def _level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the height and width of each level, halved and rounded up."""
    sizes = [(height, width)]
    while max(sizes[-1]) > SMALLEST_PX:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


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

"""Reading by region from a format that is stored, or only answers the same twice, in blocks."""

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fathom.ground.errors import FathomError, SlideError
from fathom.ground.images import Micrograph
from fathom.ground.resolution import PixelSize
from fathom.slides.reader import Level

# What two neighbouring tiles of an analysis share of a tiled format, decoded once.
CACHE_BYTES = 64 * 2**20

# A block: level, row and column of the grid of blocks.
_Place = tuple[int, int, int]


class BlockReader(ABC):
    """A reader whose pixels come in blocks at fixed places; the last ones read are kept.

    A region is put together from blocks, so that its pixels cannot depend on where it begins, as
    they do where a library resamples from the corner of the region it is asked for.

    Parameters
    ----------
    blocks : (height, width) px of a block, for each level; those at the edge are smaller
    cache_bytes : of decoded blocks that are kept; the last one is, whatever its size
    """

    stretch = (1.0, 1.0)

    def __init__(
        self,
        path: Path,
        levels: tuple[Level, ...],
        channels: Literal[1, 3],
        dtype: np.dtype[Any],
        pixel_size: PixelSize,
        *,
        blocks: tuple[tuple[int, int], ...],
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.path = path
        self.levels = levels
        self.full_size = (levels[0].height, levels[0].width)
        self.channels = channels
        self.dtype = dtype
        self.pixel_size = pixel_size
        self._blocks = blocks
        self._cache_bytes = cache_bytes
        self._kept: OrderedDict[_Place, Micrograph] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    @abstractmethod
    def read_block(self, level: int, row: int, column: int) -> Micrograph:
        """Return the block at a place of the grid, cut at the edge of the level; thread-safe."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def read(self, level: int, top: int, left: int, height: int, width: int) -> Micrograph:
        """Return (height, width) or (height, width, 3), a region wholly inside the level."""
        block_height, block_width = self._blocks[level]
        shape = (height, width) if self.channels == 1 else (height, width, 3)
        region = np.empty(shape, dtype=self.dtype)
        for row in range(top // block_height, -(-(top + height) // block_height)):
            for column in range(left // block_width, -(-(left + width) // block_width)):
                block = self._block((level, row, column))
                down, across = row * block_height - top, column * block_width - left
                target = region[
                    max(0, down) : down + block.shape[0], max(0, across) : across + block.shape[1]
                ]
                first_row, first_column = max(0, -down), max(0, -across)
                target[...] = block[
                    first_row : first_row + target.shape[0],
                    first_column : first_column + target.shape[1],
                ]
        return region

    def _block(self, place: _Place) -> Micrograph:
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        block = self._checked(place)
        with self._lock:
            if place not in self._kept:  # another thread may have read it meanwhile
                self._kept[place] = block
                self._kept_bytes += block.nbytes
            while self._kept_bytes > self._cache_bytes and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._kept_bytes -= oldest.nbytes
        return block

    def _checked(self, place: _Place) -> Micrograph:
        """Return a block as read, of the size that its place says."""
        level, row, column = place
        size = self.levels[level]
        height, width = self._blocks[level]
        top, left = row * height, column * width
        where = f"the block at row {top}, column {left}"
        try:
            block = self.read_block(level, row, column)
        except FathomError:
            raise
        # Decoders raise whatever they meet in a damaged file; all of it means the same to a user.
        except Exception as error:
            raise SlideError(
                f"{self.path}: {where} cannot be read, damaged or truncated ({error})"
            ) from error
        expected = (min(height, size.height - top), min(width, size.width - left))
        if block.shape[:2] != expected or block.dtype != self.dtype:
            raise SlideError(
                f"{self.path}: {where} is {block.shape[0]} x {block.shape[1]} px of {block.dtype}, "
                f"{expected[0]} x {expected[1]} px of {self.dtype} by the file's header: damaged"
            )
        return block

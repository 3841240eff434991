"""TIFF, BigTIFF and OME-TIFF, tiled, striped or pyramidal, with tifffile.

A plane is what `TiffReader` asks for blocks, rows and columns of its own grid: the tiles or strips
that the file is written in, or, where it is not compressed, rectangles of a memory map that lives
as long as one block is read, so that what was read does not add up in memory.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt
import tifffile

from fathom.ground.errors import SlideError
from fathom.ground.images import Micrograph
from fathom.ground.pixel_format import tiff_format
from fathom.ground.tiff_resolution import tiff_channel_names, tiff_pixel_size
from fathom.ground.tiff_series import Page, require_length, the_picture
from fathom.slides.blocks import CACHE_BYTES, BlockReader
from fathom.slides.channels import picked_channel
from fathom.slides.reader import levels_of

# Strips are as wide as the image: a row of an analysis' tiles needs the same ones again and again.
_STRIP_CACHE_BYTES = 4 * CACHE_BYTES

_MAPPED_BLOCK_PX = (512, 1024)  # any would do: pixels lie in the file as in memory

Pixels = npt.NDArray[Any]  # (h, w) or (h, w, samples), as in the file


class TiffReader(BlockReader):
    """One plane of a TIFF."""

    def __init__(self, path: Path, channel: int | str | None, channels: Literal[1, 3]) -> None:
        self._file = tifffile.TiffFile(path)
        try:
            series = the_picture(self._file, path)
            self._formats = [tiff_format(level.keyframe, path) for level in series.levels]
            form = self._formats[0]
            form.require_micrograph()
            count = series.shape[series.axes.index("C")] if "C" in series.axes else form.channels
            names = ("",) * 3 if form.colour else tiff_channel_names(self._file, count)
            picked = picked_channel(
                path, names, colour=form.colour, channel=channel, channels=channels
            )
            # One channel of what is a palette's colour, or may be transparent, is picked of all.
            whole = form.palette is not None or form.opacity
            self._sample = picked if whole and form.channels > 1 else None
            self._planes = [
                plane_of(path, level, None if whole else picked) for level in series.levels
            ]
            first = self._planes[0]
            in_strips = first.block[1] >= first.size[1]
            super().__init__(
                path,
                levels_of([plane.size for plane in self._planes]),
                channels,
                form.picture_dtype,
                tiff_pixel_size(self._file),
                blocks=tuple(plane.block for plane in self._planes),
                cache_bytes=_STRIP_CACHE_BYTES if in_strips else CACHE_BYTES,
            )
            for level in range(len(self.levels)):
                self.read(level, 0, 0, 1, 1)  # a tag that is wrong is told before the work begins
        except BaseException:
            self._file.close()
            raise

    def read_block(self, level: int, row: int, column: int) -> Micrograph:
        """Return a tile or strip, decoded."""
        pixels = self._formats[level].values(self._planes[level].read(row, column))
        if self._sample is None:
            return pixels
        return cast(Micrograph, np.ascontiguousarray(pixels[..., self._sample]))

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class Plane(Protocol):
    """One level's plane: `size` and `block` are (height, width), px."""

    size: tuple[int, int]
    block: tuple[int, int]

    def read(self, row: int, column: int) -> Pixels:
        """Return the block at a place of the grid, cut at the edge of the plane."""
        ...


def plane_of(path: Path, level: tifffile.TiffPageSeries, picked: int | None) -> Plane:
    """Return the plane of a level: the channel or sample `picked`, or all of them as RGB."""
    sizes = dict(zip(level.axes, level.shape, strict=True))
    size = sizes["Y"], sizes["X"]
    if level.dataoffset is not None and level.keyframe.is_memmappable:
        return MappedPlane(path, level, size, picked)
    if sizes.get("C", 1) > 1:
        wanted = range(sizes["C"]) if picked is None else [picked]
        pages, sample = [_page(path, level, index) for index in wanted], None
    else:
        pages, sample = [_page(path, level, 0)], picked
    samples = sizes.get("S", 1)
    return SegmentedPlane(path, size, level.keyframe, pages, sample if samples > 1 else None)


def _page(path: Path, level: tifffile.TiffPageSeries, index: int) -> Page:
    page = level.pages[index] if index < len(level.pages) else None
    if page is None:
        raise SlideError(
            f"{path}: its channel {index} is in another file, which is not there; put the files of "
            "the image into one folder"
        )
    return page


class MappedPlane:
    """A plane that is not compressed: one run of numbers in the file."""

    def __init__(
        self,
        path: Path,
        level: tifffile.TiffPageSeries,
        size: tuple[int, int],
        picked: int | None,
    ) -> None:
        page = level.keyframe
        self._path = path
        self._dtype = np.dtype(page.parent.byteorder + np.dtype(level.dtype).char)
        self._offset = int(level.dataoffset or 0)
        self._shape, self._axes, self._picked = level.shape, level.axes, picked
        self.size, self.block = size, _MAPPED_BLOCK_PX
        last = self._offset + int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        require_length(path, last, page.parent.filehandle.size)

    def read(self, row: int, column: int) -> Pixels:
        """Return a copy of the mapped pixels."""
        mapped: Pixels = np.memmap(
            self._path, self._dtype, mode="r", offset=self._offset, shape=self._shape
        )
        channel = next((axis for axis in "CS" if self._length(axis) > 1), "")
        kept = "YX" + channel
        plane = mapped[tuple(slice(None) if axis in kept else 0 for axis in self._axes)]
        order = [axis for axis in self._axes if axis in kept]
        plane = plane.transpose([order.index(axis) for axis in kept])
        top, left = row * self.block[0], column * self.block[1]
        plane = plane[top : top + self.block[0], left : left + self.block[1]]
        if channel and self._picked is not None:
            plane = plane[..., self._picked]
        return np.array(plane)

    def _length(self, axis: str) -> int:
        return self._shape[self._axes.index(axis)] if axis in self._axes else 1


class SegmentedPlane:
    """A plane in tiles or strips, each decoded on its own.

    `pages` are those whose pixels are laid side by side as samples: one, or one a colour. `sample`
    is the one of a page's samples to keep, None for all.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        keyframe: tifffile.TiffPage,
        pages: Sequence[Page],
        sample: int | None,
    ) -> None:
        self._keyframe = keyframe
        height, width = size
        if keyframe.is_tiled:
            self.block = keyframe.tilelength, keyframe.tilewidth
        else:
            self.block = min(keyframe.rowsperstrip, height), width
        self.size = size
        self._pages, self._sample = pages, sample
        if min(self.block) < 1:
            raise SlideError(f"{path}: its tiles are {self.block[1]} x {self.block[0]} px: damaged")
        self._grid = -(-height // self.block[0]), -(-width // self.block[1])
        # Colours in one segment (planarconfig contig), or each in segments of its own.
        self._colours = 1 if keyframe.planarconfig == 1 else keyframe.samplesperpixel
        self._lock = threading.Lock()
        for page in pages:
            self._require_segments(path, page)

    def _require_segments(self, path: Path, page: Page) -> None:
        rows, columns = self._grid
        expected = rows * columns * self._colours
        if min(len(page.dataoffsets), len(page.databytecounts)) < expected:
            raise SlideError(
                f"{path}: {self.size[1]} x {self.size[0]} px in blocks of {self.block[1]} x "
                f"{self.block[0]} px are {expected} blocks, but the file lists "
                f"{len(page.dataoffsets)}: damaged, or its tags are wrong"
            )
        offsets = np.asarray(page.dataoffsets[:expected], dtype=np.uint64)
        ends = offsets + np.asarray(page.databytecounts[:expected], dtype=np.uint64)
        require_length(path, int(ends.max()), page.parent.filehandle.size)

    def read(self, row: int, column: int) -> Pixels:
        """Return the decoded tile or strip."""
        index = row * self._grid[1] + column
        pieces = [piece for page in self._pages for piece in self._pieces(page, index)]
        pixels = pieces[0] if len(pieces) == 1 else np.stack(pieces, axis=-1)
        # Tiles at the edge are padded to their full size.
        return pixels[: self.size[0] - row * self.block[0], : self.size[1] - column * self.block[1]]

    def _pieces(self, page: Page, index: int) -> list[Pixels]:
        """Return (h, w) or (h, w, samples) of a page, or one (h, w) a colour."""
        if self._colours == 1:
            pixels = self._segment(page, index)
            if self._sample is not None:
                return [pixels[..., self._sample]]
            return [pixels[..., 0] if pixels.shape[-1] == 1 else pixels]
        wanted = range(self._colours) if self._sample is None else [self._sample]
        step = self._grid[0] * self._grid[1]
        return [self._segment(page, index + colour * step)[..., 0] for colour in wanted]

    def _segment(self, page: Page, index: int) -> Pixels:
        """Return (h, w, samples); a segment of no bytes was left out by the writer and is 0."""
        handle = page.parent.filehandle
        with self._lock:
            if handle.closed:  # the other files of an image in several
                handle.open()
            handle.seek(page.dataoffsets[index])
            encoded = handle.read(page.databytecounts[index])
        decoded, _, shape = self._keyframe.decode(
            encoded or None, index, jpegtables=page.jpegtables
        )
        if decoded is None:
            return np.zeros(shape[1:], dtype=self._keyframe.dtype)
        pixels: Pixels = decoded[0]
        return pixels

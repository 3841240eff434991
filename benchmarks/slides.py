"""What reading a slide by region takes: memory and time, by format and size.

    python benchmarks/slides.py data/micronuclei [SIDE_PX ...]

A mosaic of the real 16-bit fields of the data set, 5,000 and 30,000 px wide and high unless told
otherwise, is written in each format and read as an analysis does, in tiles of 1,024 px and 64 px
around them, row by row; once at full resolution, and once at half of it, which these files without
a pyramid must resample. `one tile` is opening the file and reading one tile in its middle. Each row
runs in a process of its own, so that its peak of resident memory is its own, and its seconds are
processor time of its one thread: what else the machine does matters little.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import zarr

from fathom.ground.images import Micrograph, read_micrograph
from fathom.ground.progress import track
from fathom.slides.opening import open_slide
from fathom.slides.slide import pieces
from fathom.slides.tissue import tissue

SIDES = (5_000, 30_000)
TILE_PX, AROUND_PX = 1024, 64
STORED_PX = 512  # side of a tile or chunk of the file


class Mosaic:
    """Fields side by side, `side` px wide and high, never whole in memory."""

    def __init__(self, fields: list[Micrograph], side: int) -> None:
        self.side = side
        height, width = fields[0].shape
        rows = [np.hstack(fields[n : n + 3]) for n in range(0, len(fields) // 3 * 3, 3)]
        self._cell = np.vstack(rows)
        self._height, self._width = height * len(rows), width * 3

    def read(self, top: int, left: int, height: int, width: int) -> Micrograph:
        """Return a region, 0 beyond the edge."""
        rows = np.arange(top, top + height)
        columns = np.arange(left, left + width)
        region = self._cell[np.ix_(rows % self._height, columns % self._width)]
        return np.where((rows < self.side)[:, None] & (columns < self.side), region, 0)

    def tiles(self) -> Iterator[Micrograph]:
        """Yield the tiles of a TIFF."""
        for top in range(0, self.side, STORED_PX):
            for left in range(0, self.side, STORED_PX):
                yield self.read(top, left, STORED_PX, STORED_PX)

    def strips(self, encode: Callable[[bytes], bytes]) -> Iterator[bytes]:
        """Yield the strips of a TIFF, 16 rows each, encoded."""
        for top in range(0, self.side, 16):
            strip = self.read(top, 0, min(16, self.side - top), self.side)
            yield encode(strip.tobytes())


def write_tiff(path: Path, mosaic: Mosaic, content: Iterator[object], **options: object) -> None:
    """Write a BigTIFF piece by piece."""
    shape = (mosaic.side, mosaic.side)
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(content, shape=shape, dtype=np.uint16, photometric="minisblack", **options)


def write_tiles(path: Path, mosaic: Mosaic) -> None:
    """Write tiles, deflated as fast as can be."""
    options = {"compression": "zlib", "compressionargs": {"level": 1}}
    write_tiff(path, mosaic, mosaic.tiles(), tile=(STORED_PX,) * 2, **options)


def write_plain_strips(path: Path, mosaic: Mosaic) -> None:
    """Write strips as they are in memory."""
    write_tiff(path, mosaic, mosaic.strips(bytes), rowsperstrip=16)


def write_lzw_strips(path: Path, mosaic: Mosaic) -> None:
    """Write strips as many microscopes' programs do."""
    strips = mosaic.strips(imagecodecs.lzw_encode)
    write_tiff(path, mosaic, strips, rowsperstrip=16, compression="lzw")


def write_zarr(path: Path, mosaic: Mosaic) -> None:
    """Write an OME-Zarr of one level."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array(
        "0", shape=(mosaic.side,) * 2, dtype=np.uint16, chunks=(STORED_PX,) * 2
    )
    for top in range(0, mosaic.side, STORED_PX):
        height = min(STORED_PX, mosaic.side - top)
        array[top : top + height] = mosaic.read(top, 0, height, mosaic.side)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    image = {"axes": axes, "datasets": [{"path": "0"}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


FORMATS = {
    "tiled BigTIFF, zlib": ("a.tif", write_tiles),
    "OME-Zarr, zstd": ("a.zarr", write_zarr),
    "plain strips": ("a.tif", write_plain_strips),
    "LZW strips": ("a.tif", write_lzw_strips),
}


def measure(path: Path, what: str) -> dict[str, float]:
    """Read a slide and return seconds, Mpx of the file and the peak of resident memory, MiB.

    `ru_maxrss` would count what the process was before it became this program.
    """
    status = Path("/proc/self/status")
    start = time.process_time()
    halved = {"um_per_px": 1.0, "own_um_per_px": 0.5} if what == "half resolution" else {}
    with open_slide(path, **halved) as slide:
        if what == "tissue":
            tissue(slide, "fluorescence")
        for top, left, height, width in pieces(slide, TILE_PX):
            if what in ("one tile", "tissue"):
                break
            first_row, first_column = max(0, top - AROUND_PX), max(0, left - AROUND_PX)
            slide.read(
                first_row,
                first_column,
                min(slide.height, top + height + AROUND_PX) - first_row,
                min(slide.width, left + width + AROUND_PX) - first_column,
            )
        if what == "one tile":
            slide.read(slide.height // 2, slide.width // 2, TILE_PX, TILE_PX)
        pixels = slide.height * slide.width * slide.downsample**2
    return {
        "seconds": time.process_time() - start,
        "mpx": pixels / 1e6,
        "peak_mib": int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 1024,
    }


def in_a_process(path: Path, what: str) -> dict[str, float]:
    """Run `measure` in a fresh process."""
    command = [sys.executable, __file__, "--measure", str(path), what]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def main(folder: Path, sides: tuple[int, ...]) -> None:
    """Print a row a format, size and task."""
    paths = sorted((folder / "images").glob("*.tif"))
    fields = [read_micrograph(path) for path in paths]
    fields = [field for field in fields if field.shape == fields[0].shape]
    cases = [(name, side) for name in FORMATS for side in sides]
    print("| format | side, px | file, GB | task | s | Mpx/s | peak, MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, side in track(cases, "reading slides", len(cases)):
        file_name, write = FORMATS[name]
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / file_name
            write(path, Mosaic(fields, side))
            size = sum(part.stat().st_size for part in [path, *path.rglob("*")]) / 1e9
            for what in ("one tile", "full resolution", "half resolution", "tissue"):
                found = in_a_process(path, what)
                speed = "" if what == "one tile" else f"{found['mpx'] / found['seconds']:.0f}"
                print(
                    f"| {name} | {side:,} | {size:.2f} | {what} | {found['seconds']:.2f} | "
                    f"{speed} | {found['peak_mib']:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        print(json.dumps(measure(Path(sys.argv[2]), sys.argv[3])))
    else:
        main(Path(sys.argv[1]), tuple(map(int, sys.argv[2:])) or SIDES)

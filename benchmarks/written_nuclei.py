"""How long, how large and in how much memory each file of a slide is written, to a million nuclei.

    python benchmarks/written_nuclei.py data/labels docs/written-nuclei.csv [10000 100000 1000000]

Outlines are real: those of the label images in the folder (of the stage `segment`), in turn on a
grid of 45 px, a tile of 23 x 23 at a time, as a slide yields them; classes and probabilities are
drawn (seed 0). Each file and size runs in a process of its own, so that its peak of resident memory
is its own; "none" makes the same nuclei and writes nothing. The label image of a million nuclei has
2,025 Mpx and needs 11 GB of scratch.
"""

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.measure import regionprops

from fathom.ground.images import read_labels
from fathom.ground.progress import track
from fathom.results.anndata_file import AnnDataWriter
from fathom.results.coordinates import PixelGrid
from fathom.results.geojson import GeoJsonWriter
from fathom.results.label_image import LabelImageWriter
from fathom.results.nuclei_table import ParquetWriter
from fathom.results.nuclei_writer import NucleiBatch, NucleiWriter
from fathom.results.overlay import OverlayWriter

SIZES = (10_000, 100_000, 1_000_000)
STEP_PX, TILE = 45, 23  # of the grid; nuclei along a side of a tile
COLOURS = {"ill": (213, 94, 0), "well": (86, 180, 233)}
WRITERS = {
    "none": None,
    "geojson": lambda path, grid: GeoJsonWriter(path, grid, "ill", COLOURS),
    "geojson.gz": lambda path, grid: GeoJsonWriter(path, grid, "ill", COLOURS, compress=True),
    "parquet": lambda path, grid: ParquetWriter(path, grid, {}),
    "h5ad": lambda path, grid: AnnDataWriter(path, grid, {}, COLOURS),
    "png": lambda path, grid: OverlayWriter(path, grid, np.zeros((9, 9), np.uint8), COLOURS),
    "labels.ome.tif": lambda path, grid: LabelImageWriter(path, grid, "simulated"),
}


def outlines(folder: Path) -> list[np.ndarray]:
    """Return the masks of the nuclei that fit the grid, in the order of the files."""
    regions = [
        region for path in sorted(folder.glob("*.tif")) for region in regionprops(read_labels(path))
    ]
    return [region.image for region in regions if max(region.image.shape) < STEP_PX]


def batches(masks: list[np.ndarray], side: int) -> Iterator[NucleiBatch]:
    """Yield side x side nuclei, a tile at a time."""
    rng = np.random.default_rng(0)
    number = 0
    for first_row, first_column in product(range(0, side, TILE), repeat=2):
        rows = range(first_row, min(first_row + TILE, side))
        columns = range(first_column, min(first_column + TILE, side))
        corner = np.array(list(product(rows, columns))) * STEP_PX
        numbers = np.arange(number, number + len(corner))
        number += len(corner)
        here = [masks[k % len(masks)] for k in numbers]
        far_corner = corner + [mask.shape for mask in here]
        probability = rng.random(len(here))
        table = pd.DataFrame(
            {
                "nucleus": [f"slide.svs#{k + 1}" for k in numbers],
                "image": "slide.svs",
                "label_number": numbers + 1,
                "y": (corner[:, 0] + far_corner[:, 0] - 1) / 2,
                "x": (corner[:, 1] + far_corner[:, 1] - 1) / 2,
                "top": corner[:, 0],
                "left": corner[:, 1],
                "bottom": far_corner[:, 0],
                "right": far_corner[:, 1],
                "area_px": [int(mask.sum()) for mask in here],
                "touches_border": False,
                "focus": rng.random(len(here)),
                "left_out": "",
                "logit": np.log(probability / (1 - probability)),
                "probability": probability,
                "class": pd.Series(np.where(probability >= 0.5, "ill", "well"), dtype="str"),
            }
        )
        yield NucleiBatch(table, here)


def write(writer: NucleiWriter | None, nuclei: Iterator[NucleiBatch]) -> None:
    """Write all nuclei, or make them and throw them away."""
    if writer is None:
        for _ in nuclei:
            pass
        return
    for batch in nuclei:
        writer.add(batch)
    writer.finish()
    writer.close()


def measure(folder: Path, kind: str, size: int) -> None:
    """Write one file and print its row."""
    masks, side = outlines(folder), round(size**0.5)
    grid = PixelGrid(side * STEP_PX, side * STEP_PX, um_per_px=0.25)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"slide.{kind}"
        make, start = WRITERS[kind], time.monotonic()
        write(make(path, grid) if make else None, batches(masks, side))
        seconds = time.monotonic() - start
        bytes_ = path.stat().st_size if make else 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    cpu = sum(os.times()[:2])
    print(f"{kind},{side**2},{seconds:.1f},{cpu:.1f},{bytes_ / 1e6:.1f},{peak:.0f}")


def main() -> None:
    """Measure every file at every size, each in a process of its own."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    sizes = [int(size) for size in sys.argv[3:]] or SIZES
    cases = list(product(WRITERS, sizes))
    rows = []
    for kind, size in track(cases, "writing", len(cases)):
        command = [sys.executable, __file__, "--one", str(folder), kind, str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(done.stdout.strip().split(","))
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "nuclei", "seconds", "cpu_seconds", "megabytes", "peak_mib"])
        writer.writerows(rows)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        measure(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()

"""Peak memory and speed of scoring a slide, streamed and the plain way, by the slide's size.

    python benchmarks/slide_memory.py models/shallow.onnx data/micronuclei/images \
        --trained data/runs/shallow/final.safetensors --out memory.md

The slides are mosaics of the fields of a folder, each turned and mirrored at random, written as
tiled, uncompressed BigTIFF (uint16, tiles of 512 px). `fathom predict` writes GeoJSON, Parquet and
the overlay of each. The plain way reads the whole slide, segments it whole with the same steps
(OpenCV and scikit-image), cuts its crops in a loop and runs the network in torch, eager, in batches
of 256; it writes nothing. Each run is a process of its own; its peak is `ru_maxrss`. No run may
take more than nine tenths of the machine's memory: one that would is said not to fit.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile

from fathom.ground.images import Micrograph, read_micrograph
from fathom.models.onnx_model import OnnxModel

TILE_PX = 512
DOES_NOT_FIT = 3  # exit code

Way = Callable[[Path, Path, Path], int]  # model, slide, folder or weights; the number of nuclei


def write_mosaic(path: Path, side: int, fields: list[Micrograph], um_per_px: float) -> None:
    """Write a mosaic of `side` x `side` px, a row of tiles at a time."""
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(
            _tiles(side, fields),
            shape=(side, side),
            dtype=np.uint16,
            tile=(TILE_PX, TILE_PX),
            resolution=(1e4 / um_per_px, 1e4 / um_per_px),
            resolutionunit="CENTIMETER",
        )


def _tiles(side: int, fields: list[Micrograph]) -> Iterator[Micrograph]:
    height, width = (min(field.shape[axis] for field in fields) for axis in (0, 1))
    rng = np.random.default_rng(0)
    across = -(-side // width)
    chosen = rng.integers(len(fields), size=(-(-side // height), across))
    turned = rng.integers(4, size=chosen.shape)
    for top in range(0, side, TILE_PX):
        rows = range(top, min(top + TILE_PX, side))
        strip = np.zeros((TILE_PX, -(-side // TILE_PX) * TILE_PX), dtype=np.uint16)
        for row in sorted({number // height for number in rows}):
            place = slice(max(row * height, top), min((row + 1) * height, top + TILE_PX))
            inside = slice(place.start - row * height, place.stop - row * height)
            for column in range(across):
                field = fields[chosen[row, column]][:height, :width]
                flips = 1 - 2 * (turned[row, column] & 1), 1 - (turned[row, column] & 2)
                part = field[:: flips[0], :: flips[1]][inside]
                left = column * width
                part = part[:, : strip.shape[1] - left]
                strip[place.start - top : place.stop - top, left : left + width] = part
        strip[:, side:] = 0
        strip[max(0, side - top) :] = 0
        for left in range(0, strip.shape[1], TILE_PX):
            yield np.ascontiguousarray(strip[:, left : left + TILE_PX])


def streamed(model: Path, slide: Path, folder: Path) -> int:
    """Run `fathom predict`; return the number of nuclei."""
    from fathom.cli import app  # noqa: PLC0415

    app(["predict", str(model), str(slide), "--out", str(folder)], standalone_mode=False)
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return int(next(csv.DictReader(file))["nuclei"])


def plain(model: Path, slide: Path, trained: Path) -> int:
    """Score the slide whole; return the number of nuclei."""
    import torch  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    from fathom.ground.streams import Streams  # noqa: PLC0415
    from fathom.imaging.crops import cut, describe, scale_of  # noqa: PLC0415
    from fathom.imaging.segmentation import segment  # noqa: PLC0415
    from fathom.networks.architecture import parse  # noqa: PLC0415
    from fathom.networks.network import build, scale_input  # noqa: PLC0415
    from fathom.networks.recipe import Recipe  # noqa: PLC0415

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    card = OnnxModel(model).card
    micrograph = read_micrograph(slide)
    labels = segment(micrograph, card.segmentation)
    table = describe(micrograph, labels, card.crop)
    kept = table[table["left_out"] == ""]
    crops = cut(micrograph, labels, kept, scale_of([(micrograph, labels)], card.crop), card.crop)
    recipe = Recipe.model_validate(card.recipe)
    network = build(parse(card.architecture), recipe, card.channels, card.crop.crop_px, Streams(0))
    network.load_state_dict(load_file(trained))
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(crops), 256):
            batch = torch.from_numpy(crops[start : start + 256])
            torch.sigmoid(network(scale_input(batch, recipe.input_scale)))
    return len(table)


def measured(arguments: list[str]) -> dict[str, float] | None:
    """Run this file on one slide in a process of its own; None where it does not fit."""
    run = subprocess.run(
        [sys.executable, __file__, "--one", *arguments], check=False, stdout=subprocess.PIPE
    )
    if run.returncode == DOES_NOT_FIT:
        return None
    run.check_returncode()
    return dict(json.loads(run.stdout))


def measure(ways: dict[str, Way], way: str, model: Path, slide: Path, rest: Path) -> None:
    """Measure one of `ways`, or `streamed`, and print it as JSON."""
    most = int(0.9 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    start = time.monotonic()
    nuclei = ways.get(way, streamed)(model, slide, rest)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu = sum(os.times()[:2])
    print(json.dumps({"nuclei": nuclei, "seconds": seconds, "cpu": cpu, "peak": peak}))


HEADER = """\
| way | side, px | Mpx | nuclei | peak, MiB | s | CPU s | Mpx/s | Mpx / CPU s | nuclei/s |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def row(way: str, side: int, found: dict[str, float] | None) -> str:
    """Return a row of the table."""
    mpx = side**2 / 1e6
    if found is None:
        return f"| {way} | {side:,} | {mpx:,.0f} | | does not fit | | | | | |\n"
    return (
        f"| {way} | {side:,} | {mpx:,.0f} | {found['nuclei']:,.0f} | {found['peak']:,.0f} "
        f"| {found['seconds']:,.0f} | {found['cpu']:,.0f} | {mpx / found['seconds']:.2f} "
        f"| {mpx / found['cpu']:.2f} | {found['nuclei'] / found['seconds']:,.0f} |\n"
    )


def main() -> None:
    """Write the mosaics, score them, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("fields", type=Path)
    parser.add_argument("--trained", type=Path, help="weights of the model, for the plain way")
    parser.add_argument("--sides", type=int, nargs="*", default=[5_000, 30_000])
    parser.add_argument("--plain-sides", type=int, nargs="*", default=[5_000, 10_000, 15_000])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    um_per_px = OnnxModel(given.model).card.um_per_px or 1.0
    fields = [read_micrograph(path) for path in sorted(given.fields.rglob("*.tif"))]
    text = HEADER
    for way, sides in (("streamed", given.sides), ("plain", given.plain_sides)):
        for side in sides:
            with tempfile.TemporaryDirectory() as folder:
                slide = Path(folder) / "mosaic.tif"
                write_mosaic(slide, side, fields, um_per_px)
                rest = Path(folder) / "out" if way == "streamed" else given.trained
                text += row(way, side, measured([way, str(given.model), str(slide), str(rest)]))
                given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        try:
            measure({"plain": plain}, sys.argv[2], *map(Path, sys.argv[3:]))
        except MemoryError:
            sys.exit(DOES_NOT_FIT)
    else:
        main()

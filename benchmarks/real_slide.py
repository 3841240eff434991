"""A real scanner slide, scored end to end, from its own file and from three others of it.

    python benchmarks/real_slide.py MODEL.onnx OUT [CZI ...]

fetches the Aperio slide of `fathom.datasets.aperio_slide` into OUT, writes it anew as a pyramidal
OME-TIFF, a tiled BigTIFF and an OME-Zarr, scores all four with MODEL (a colour model for
haematoxylin, docs/amibr.md) as `fathom predict` does, and prints what was found, and how far the
nuclei of the copies differ. CZI files, if any are named, are segmented with the study's params as
fluorescence, channel 0, and their nuclei counted.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.datasets.aperio_slide import fetch_aperio_slide
from fathom.imaging.segmentation import segment
from fathom.params.data import Segmentation
from fathom.params.section import read_section
from fathom.scoring.onnx_model import OnnxModel
from fathom.scoring.predict import Reading, predict_slides
from fathom.slides.opening import open_slide

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from slide_files import halves, write_ome_zarr, write_pyramid_ome, write_tiled

PARAMS = Path(__file__).parents[1] / "params.yaml"
UM_PER_PX = 0.499
SAME = ["x", "y", "area_px", "left_out", "class"]


def copies(slide: Path, out: Path) -> dict[str, Path]:
    """Write the slide in three formats and return all four files."""
    with open_slide(slide, channels=3) as opened:
        pixels = opened.read(0, 0, opened.height, opened.width)
    levels = halves(pixels, 3)
    found = {"Aperio SVS": slide}
    found["pyramidal OME-TIFF"] = out / "pyramid.ome.tif"
    write_pyramid_ome(found["pyramidal OME-TIFF"], levels, UM_PER_PX)
    found["tiled BigTIFF"] = out / "big.tif"
    per_cm = 1e4 / UM_PER_PX
    write_tiled(
        found["tiled BigTIFF"],
        pixels,
        bigtiff=True,
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
    )
    found["OME-Zarr"] = out / "zarr.ome.zarr"
    if not found["OME-Zarr"].exists():
        write_ome_zarr(found["OME-Zarr"], levels, UM_PER_PX)
    return found


def main() -> None:
    """Print a table of the four files, then one of the CZI files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("czi", type=Path, nargs="*")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = copies(fetch_aperio_slide(arguments.out), arguments.out)
    first: pd.DataFrame | None = None
    card = OnnxModel(arguments.model).card
    print("| file | nuclei | scored | positive | same nuclei | largest difference in probability |")
    print("| --- | ---: | ---: | ---: | --- | ---: |")
    for name, path in files.items():
        folder = arguments.out / f"scored-{path.name}"
        predict_slides(arguments.model, [path], folder, reading=Reading(), overwrite=True)
        table = pd.read_parquet(next(folder.glob("*.parquet")))
        first = table if first is None else first
        same = len(table) == len(first) and table[SAME].equals(first[SAME])
        apart = np.nanmax(np.abs(table["probability"] - first["probability"])) if same else np.nan
        scored = table["probability"].notna()
        positive = int((table["class"] == card.positive).sum())
        print(
            f"| {name} | {len(table)} | {scored.sum()} | {positive} | {'yes' if same else 'no'} | "
            f"{apart:.1g} |"
        )
    if arguments.czi:
        print("\n| CZI file | px | nuclei |\n| --- | --- | ---: |")
    for path in arguments.czi:
        with open_slide(path, channel=0) as slide:
            labels = segment(
                slide.read(0, 0, slide.height, slide.width), read_section(Segmentation, PARAMS)
            )
            print(f"| {path.name} | {slide.height} x {slide.width} | {labels.max()} |")


if __name__ == "__main__":
    main()

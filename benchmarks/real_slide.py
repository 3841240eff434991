"""A real scanner slide, scored end to end, from its own file and from three others of it.

    python benchmarks/real_slide.py MODEL.onnx OUT

fetches the Aperio slide of `aperio_slide` into OUT, writes it anew as a pyramidal
OME-TIFF, a tiled BigTIFF and an OME-Zarr, scores all four with MODEL (a colour model for
haematoxylin, docs/amibr.md; a network that finds its nuclei lies beside it) as `fathom predict`
does, and prints what was found, how far the nuclei of the copies differ, and what it took. Into OUT
go the slide's files and `look.png`, three fields of it with the outlines of its GeoJSON.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from aperio_slide import fetch_aperio_slide
from PIL import Image, ImageDraw

from fathom.models.onnx_model import OnnxModel
from fathom.scoring.predict import predict_slides
from fathom.slides.opening import open_slide

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from slide_files import halves, write_ome_zarr, write_pyramid_ome, write_tiled

UM_PER_PX = 0.499
SAME = ["x", "y", "area_px", "left_out", "class"]
# Top and left, px at full resolution: epidermis and dermis, a follicle, keratin.
FIELDS, FIELD_PX, ENLARGED = ((700, 1000), (1750, 950), (1250, 1250)), 320, 2
NOT_SCORED = (255, 214, 10)


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


def look(slide: Path, geojson: Path) -> Image.Image:
    """Draw the outlines on fields of the slide, side by side."""
    features = json.loads(geojson.read_text(encoding="utf-8"))["features"]
    pictures = []
    with open_slide(slide, channels=3) as opened:
        for top, left in FIELDS:
            field = Image.fromarray(opened.read(top, left, FIELD_PX, FIELD_PX))
            field = field.resize((ENLARGED * FIELD_PX,) * 2, Image.Resampling.BICUBIC)
            draw = ImageDraw.Draw(field)
            for feature in features:
                _outline(draw, feature, top, left)
            pictures.append(np.asarray(field))
    return Image.fromarray(np.hstack(pictures))


def _outline(draw: ImageDraw.ImageDraw, feature: dict, top: int, left: int) -> None:
    geometry = feature["geometry"]
    parts = geometry["coordinates"]
    colour = feature["properties"].get("classification", {}).get("color", NOT_SCORED)
    for rings in parts if geometry["type"] == "MultiPolygon" else [parts]:
        for ring in rings:
            inside = [((x - left) * ENLARGED, (y - top) * ENLARGED) for x, y in ring]
            draw.line(inside, fill=tuple(colour), width=2)


def main() -> None:
    """Print a table of the four files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = copies(fetch_aperio_slide(arguments.out), arguments.out)
    first: pd.DataFrame | None = None
    card = OnnxModel(arguments.model).card
    print("| file | nuclei | scored | positive | s | same nuclei | difference in probability |")
    print("| --- | ---: | ---: | ---: | ---: | --- | ---: |")
    for name, path in files.items():
        folder = arguments.out / f"scored-{path.name}"
        started = time.perf_counter()
        predict_slides(arguments.model, [path], folder, overwrite=True)
        seconds = time.perf_counter() - started
        table = pd.read_parquet(next(folder.glob("*.parquet")))
        first = table if first is None else first
        same = len(table) == len(first) and table[SAME].equals(first[SAME])
        apart = np.nanmax(np.abs(table["probability"] - first["probability"])) if same else np.nan
        scored = table["probability"].notna()
        positive = int((table["class"] == card.positive).sum())
        print(
            f"| {name} | {len(table):,} | {scored.sum():,} | {positive:,} | {seconds:.0f} "
            f"| {'yes' if same else 'no'} | {apart:.1g} |",
            flush=True,
        )
    slide = files["Aperio SVS"]
    scored_slide = arguments.out / f"scored-{slide.name}" / f"{slide.stem}.geojson"
    look(slide, scored_slide).save(arguments.out / "look.png")


if __name__ == "__main__":
    main()

"""Whether the nuclei of a slide found tile by tile are those of the whole image, on real fields.

    python benchmarks/tiled_segmentation.py models/shallow.onnx data/micronuclei/images \
        ../shared/data/dsb2018/images

From each folder, mosaics of 2,600 x 2,600 px (measured whole) and 5,000 x 5,000 px (measured by a
sample) are made of its fields of one size, drawn at random, grey ones only. Each is segmented whole
(`fathom.imaging.segmentation.segment`) and streamed. A nucleus of the whole is matched where a
streamed one overlaps it with an IoU above 0.9; it lies on a tile border where its bounding box
crosses one. The last column matches with the same slide streamed as one tile: what then differs,
the tiles did, and not the sample that a large slide is measured by.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from fathom.ground.images import Labels, Micrograph, read_micrograph
from fathom.imaging.crops import describe
from fathom.imaging.segmentation import segment
from fathom.models.onnx_model import OnnxModel
from fathom.scoring.stream import measure_slide, stream
from fathom.slides.opening import slide_of
from fathom.slides.slide import ArrayReader

TILES = {2_600: (512, 1_024), 5_000: (1_024,)}  # px, by the side of the mosaic
IOU = 0.9


def mosaic(folder: Path, side: int) -> Micrograph:
    """Return fields of the folder's commonest size, drawn at random, side by side."""
    fields = [read_micrograph(path) for path in sorted(folder.iterdir())]
    fields = [field for field in fields if field.ndim == 2 or (np.ptp(field, axis=2) == 0).all()]
    fields = [field if field.ndim == 2 else field[..., 0] for field in fields]
    shape = Counter(field.shape for field in fields if min(field.shape) > 300).most_common(1)[0][0]
    fields = [field for field in fields if field.shape == shape]
    rng = np.random.default_rng(0)
    rows = [
        np.hstack([fields[n] for n in rng.integers(len(fields), size=-(-side // shape[1]))])
        for _ in range(-(-side // shape[0]))
    ]
    return np.ascontiguousarray(np.vstack(rows)[:side, :side])


def streamed(micrograph: Micrograph, model: OnnxModel, tile_px: int) -> Labels:
    """Return the label image put together from tiles."""
    slide = slide_of(ArrayReader(micrograph, Path("array")), None, given=None, assumed=None)
    together = np.zeros(micrograph.shape, dtype=np.int32)
    for tile in stream(measure_slide(slide, model.card), model, "mosaic", tile_px):
        rows = tile.batch.table[["label_number", "top", "left", "bottom", "right"]].to_numpy()
        for (number, top, left, bottom, right), mask in zip(rows, tile.batch.masks, strict=True):
            together[top:bottom, left:right][mask] = number
    return together


def matched(whole: Labels, tiled: Labels) -> np.ndarray:
    """Return, for each nucleus 1..n of `whole`, whether one of `tiled` is it."""
    area, tiled_area = np.bincount(whole.ravel()), np.bincount(tiled.ravel())
    pairs = whole.astype(np.int64) * len(tiled_area) + tiled
    codes, overlap = np.unique(pairs[(whole > 0) & (tiled > 0)], return_counts=True)
    first, second = np.divmod(codes, len(tiled_area))
    found = np.zeros(len(area), dtype=bool)
    found[first[overlap > IOU * (area[first] + tiled_area[second] - overlap)]] = True
    return found[1:]


def main() -> None:
    """Print a Markdown table."""
    model = OnnxModel(Path(sys.argv[1]))
    print(
        "| fields | side, px | tile, px | nuclei | matched | on borders | matched | by one tile |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for folder in map(Path, sys.argv[2:]):
        for side, sizes in TILES.items():
            micrograph = mosaic(folder, side)
            whole = segment(micrograph, model.card.segmentation)
            boxes = describe(micrograph, whole, model.card.crop)
            in_one = streamed(micrograph, model, side)
            for tile_px in sizes:
                tiled = streamed(micrograph, model, tile_px)
                found, same = matched(whole, tiled), matched(in_one, tiled)
                crosses = (boxes["top"] // tile_px != (boxes["bottom"] - 1) // tile_px) | (
                    boxes["left"] // tile_px != (boxes["right"] - 1) // tile_px
                )
                print(
                    f"| {folder.parent.name} | {side:,} | {tile_px:,} | {len(found):,} "
                    f"| {found.mean():.2%} | {crosses.sum():,} | {found[crosses].mean():.2%} "
                    f"| {same.mean():.2%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

"""How many nuclei the tissue mask loses, and how much glass it spares.

    python benchmarks/tissue.py data/micronuclei [MORE_DATA_SETS ...]

Each image of a data set with masks stands four times on a slide of three times its width and
height: the rest is glass, of the image's own darkest (fluorescence) or brightest (RGB) level with
Gaussian noise of the SD it has there. Seed 0. Counted are the nuclei whose bounding box touches no
tissue, those of them whose tile of 256 px touches none, which would be lost, and the tiles of 256
px of glass, 64 px clear of the images, that touch none, which are spared.
"""

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from fathom.ground.images import Labels, Micrograph, read_labels, read_micrograph
from fathom.ground.progress import track
from fathom.slides.opening import slide_of
from fathom.slides.slide import ArrayReader, pieces
from fathom.slides.tissue import tissue


def on_glass(image: Micrograph, rng: np.random.Generator) -> Micrograph:
    """Return the image 2 x 2 times in the corner of a slide of glass."""
    height, width = image.shape[:2]
    colours = image.reshape(-1, 1 if image.ndim == 2 else 3).astype(np.float64)
    grey = colours.mean(axis=1)
    level = np.percentile(grey, 1 if image.ndim == 2 else 99)
    glass = colours[grey <= level] if image.ndim == 2 else colours[grey >= level]
    noise = rng.standard_normal((height * 3, width * 3, glass.shape[1]))
    slide = noise * (glass.std(axis=0) + 1) + glass.mean(axis=0)
    slide = np.clip(np.rint(slide), 0, np.iinfo(image.dtype).max).astype(image.dtype)
    slide = slide.reshape(height * 3, width * 3, *image.shape[2:])
    slide[: height * 2, : width * 2] = np.tile(image, (2, 2) + (1,) * (image.ndim - 2))
    return slide


def measure(image: Micrograph, labels: Labels, rng: np.random.Generator) -> tuple[int, ...]:
    """Return nuclei, those outside the tissue, those lost, tiles of glass, those spared."""
    height, width = labels.shape
    reader = ArrayReader(on_glass(image, rng), Path("array"))
    slide = slide_of(reader, None, given=None, assumed=None)
    found = tissue(slide, "fluorescence" if image.ndim == 2 else "haematoxylin")
    nuclei = outside = lost = 0
    for rows, columns in filter(None, ndimage.find_objects(labels)):
        for corner in ((0, 0), (0, width), (height, 0), (height, width)):
            nuclei += 1
            top, left = rows.start + corner[0], columns.start + corner[1]
            size = rows.stop - rows.start, columns.stop - columns.start
            if not found.touches(top, left, *size):
                outside += 1
                tile = (top + size[0] // 2) // 256 * 256, (left + size[1] // 2) // 256 * 256
                lost += not found.touches(*tile, 256, 256)
    glass = [
        place
        for place in pieces(slide, 256)
        if place[0] >= height * 2 + 64 or place[1] >= width * 2 + 64
    ]
    return nuclei, outside, lost, len(glass), sum(not found.touches(*place) for place in glass)


def main() -> None:
    """Print a row a data set."""
    for folder in map(Path, sys.argv[1:]):
        rng = np.random.default_rng(0)
        masks = {path.stem: path for path in (folder / "masks").iterdir()}
        images = [path for path in sorted((folder / "images").iterdir()) if path.stem in masks]
        rows = [
            measure(read_micrograph(path), read_labels(masks[path.stem]), rng)
            for path in track(images, folder.name, len(images))
        ]
        nuclei, outside, lost, glass, spared = np.sum(rows, axis=0)
        print(
            f"{folder.name}: {len(images)} images, {nuclei} nuclei, {outside} outside the tissue, "
            f"{lost} lost; "
            f"{spared} of {glass} tiles of glass spared ({spared / max(glass, 1):.1%})"
        )


if __name__ == "__main__":
    main()

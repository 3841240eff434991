"""How well nuclei are found in the 319 micrographs of the Data Science Bowl 2018, by modality.

    python benchmarks/segmentation.py ../shared/data/dsb2018

prints a Markdown table. The settings are those of params.yaml, but for `stain`, which follows the
modality. They were chosen by hand on the first half of the fluorescence micrographs (even
positions in the sorted list of files) and on three fields of the default data set; no image of the
other half had a say. Bright-field had one in `least_contrast` alone, which was set between
simulated noise and a sample of all modalities. The reference beside them is what a first notebook
does: Gaussian, Otsu, distance transform, watershed, all numbers untuned.
"""

import csv
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

from fathom.ground.images import Labels, Micrograph, read_labels, read_micrograph
from fathom.ground.progress import track
from fathom.ground.section import read_section
from fathom.imaging.params import Segmentation
from fathom.imaging.segmentation import segment
from fathom.imaging.segmentation_score import Score, score
from fathom.imaging.stain import nuclear_stain

STAINS = {
    "fluorescence": "fluorescence",
    "brightfield_colour": "haematoxylin",
    "brightfield_grey": "haematoxylin",
}


def otsu_watershed(micrograph: Micrograph, params: Segmentation) -> Labels:
    """Find nuclei without a thought for their size, the background or dim ones."""
    smooth = ndimage.gaussian_filter(nuclear_stain(micrograph, params.stain), 1)
    mask = ndimage.binary_fill_holes(smooth > threshold_otsu(smooth))
    mask = remove_small_objects(mask, max_size=20)
    distance = ndimage.distance_transform_edt(mask)
    markers = np.zeros(mask.shape, dtype=np.int32)
    peaks = peak_local_max(distance, min_distance=7, labels=mask.astype(np.int32))
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-distance, markers, mask=mask)


def compare(folder: Path, image: str, params: Segmentation) -> tuple[Score, Score]:
    """Return the scores of fathom and of the reference on one micrograph."""
    micrograph = read_micrograph(folder / "images" / image)
    truth = read_labels(folder / "masks" / image)
    return (
        score(segment(micrograph, params), truth),
        score(otsu_watershed(micrograph, params), truth),
    )


def table_row(name: str, scores: Sequence[tuple[Score, Score]]) -> str:
    """Return one row of the Markdown table: means over images, fathom's and the reference's."""
    cells = [name, str(len(scores)), str(sum(ours.true for ours, _ in scores))]
    for measure in ("f1_iou50", "mean_f1_iou50_95", "count_error"):
        means = np.mean([[getattr(one, measure) for one in pair] for pair in scores], axis=0)
        cells += [f"{mean:.3f}" for mean in means]
    return f"| {' | '.join(cells)} |"


def main(folder: Path) -> None:
    """Score every micrograph of `folder` and print the table."""
    params = read_section(Segmentation)
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        modality = {row["image"]: row["modality"] for row in csv.DictReader(file)}
    images = sorted(modality)
    settings = [
        params.model_copy(update={"method": "threshold", "stain": STAINS[modality[image]]})
        for image in images
    ]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        work = pool.map(compare, [folder] * len(images), images, settings)
        scores = dict(zip(images, track(work, "segmenting", len(images)), strict=True))
    print(
        "| micrographs | images | nuclei | F1@0.5 | (Otsu) | mean F1 | (Otsu) "
        "| count error | (Otsu) |"
    )
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
    for name in STAINS:
        chosen = [scores[image] for image in images if modality[image] == name]
        print(table_row(name.replace("_", ", "), chosen))
        if name == "fluorescence":
            print(table_row("- half they were chosen on", chosen[::2]))
            print(table_row("- other half", chosen[1::2]))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))

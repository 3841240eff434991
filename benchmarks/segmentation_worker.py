"""Segments what it is told to, line by line, and says what that took and how good it is.

Started by `segmentation.py`, once for each state of the code that is compared: `fathom` is whatever
PYTHONPATH has, params.yaml the working directory's. A line is a JSON object: `method` (fathom or
textbook), `stain`, `images` and, for scores, `masks`. The answer: CPU seconds, pixels and scores.
"""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import fathom.ground.stage  # noqa: F401  # first: it chooses the instruction sets  # isort: skip

import numpy as np
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

from fathom.ground.images import Labels, Micrograph, read_labels, read_micrograph
from fathom.ground.section import read_section
from fathom.imaging.params import Segmentation
from fathom.imaging.segmentation import segment
from fathom.imaging.segmentation_score import score


def textbook(micrograph: Micrograph, stain: str) -> Labels:
    """Find nuclei without a thought for their size, the background or dim ones."""
    plane = micrograph / np.iinfo(micrograph.dtype).max
    if stain == "fluorescence":
        plane = plane.max(axis=2) if plane.ndim == 3 else plane
    else:
        plane = rgb2hed(micrograph)[..., 0] if plane.ndim == 3 else -np.log10(plane + 1 / 255)
    smooth = ndimage.gaussian_filter(plane, 1)
    mask = ndimage.binary_fill_holes(smooth > threshold_otsu(smooth))
    mask = remove_small_objects(mask, max_size=20)
    distance = ndimage.distance_transform_edt(mask)
    markers = np.zeros(mask.shape, dtype=np.int32)
    peaks = peak_local_max(distance, min_distance=7, labels=mask.astype(np.int32))
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-distance, markers, mask=mask)


def answer(job: dict) -> dict:
    """Segment the images of a job."""
    standard = read_section(Segmentation)
    params = standard.model_copy(update={"method": "threshold", "stain": job["stain"]})
    images = [
        np.load(path) if path.endswith(".npy") else read_micrograph(Path(path))
        for path in job["images"]
    ]
    started = time.process_time()
    if job["method"] == "textbook":
        found = [textbook(image, job["stain"]) for image in images]
    else:
        found = [segment(image, params) for image in images]
    seconds = time.process_time() - started
    scores = []
    for labels, mask in zip(found, job.get("masks", ()), strict=False):
        one = score(labels, read_labels(Path(mask)))
        names = ("precision_iou50", "recall_iou50", "f1_iou50", "mean_f1_iou50_95", "count_error")
        scores.append(asdict(one) | {name: getattr(one, name) for name in names})
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    return {"seconds": seconds, "pixels": pixels, "scores": scores}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)

"""How well the nuclei that were found agree with the nuclei of a mask, object by object.

A found nucleus matches a true one where their IoU (intersection over union, in pixels) exceeds a
threshold of at least 0.5, as in the Data Science Bowl 2018 (Caicedo et al. 2019, Nature Methods
16, 1247). More than half of the union is more than half of either nucleus, and two nuclei of one
label image share no pixel, so that no nucleus can match two: the matching is unique, and counting
the pairs above the threshold is the best assignment there is. An IoU of exactly 0.5 is no match:
there, and only there, two halves of one nucleus could both claim it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.metrics import contingency_table
from skimage.segmentation import relabel_sequential

from fathom.datasets.dataset import DataSet, labels_path
from fathom.datasets.masks import read_mask
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, read_labels
from fathom.ground.progress import track

THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))  # of the IoU
MEASURES = ("precision_iou50", "recall_iou50", "f1_iou50", "mean_f1_iou50_95", "count_error")


@dataclass(frozen=True)
class Score:
    """The agreement of two label images of one micrograph."""

    true: int
    """Nuclei of the mask."""
    found: int
    """Nuclei that were found."""
    matched: tuple[int, ...]
    """Pairs with an IoU above each of `THRESHOLDS`."""

    @property
    def precision_iou50(self) -> float:
        """Share of the found nuclei that match; see `_share` for none found."""
        return _share(self.matched[0], self.found, both_empty=self.true == 0)

    @property
    def recall_iou50(self) -> float:
        """Share of the true nuclei that match; see `_share` for none true."""
        return _share(self.matched[0], self.true, both_empty=self.found == 0)

    @property
    def f1_iou50(self) -> float:
        """Matches over the mean of the two counts, 2 TP / (2 TP + FP + FN)."""
        return self._f1(self.matched[0])

    @property
    def mean_f1_iou50_95(self) -> float:
        """Mean of F1 over all `THRESHOLDS`, 0.50 to 0.95: how well the outlines fit."""
        return float(np.mean([self._f1(matched) for matched in self.matched]))

    @property
    def count_error(self) -> float:
        """|found - true| / true; where the mask is empty, the number found."""
        return abs(self.found - self.true) / max(self.true, 1)

    def _f1(self, matched: int) -> float:
        return _share(2 * matched, self.found + self.true, both_empty=True)


def score(found: Labels, truth: Labels) -> Score:
    """Compare two label images of one shape, (H, W) int32, 0 = background.

    Labels need not be consecutive. Raises `ValueError` where the shapes differ.
    """
    if found.shape != truth.shape:
        raise ValueError(f"label images differ in shape: found {found.shape}, true {truth.shape}")
    found, truth = (relabel_sequential(labels)[0] for labels in (found, truth))
    iou = _overlaps(found, truth)
    return Score(
        true=int(truth.max(initial=0)),
        found=int(found.max(initial=0)),
        matched=tuple(int((iou > threshold).sum()) for threshold in THRESHOLDS),
    )


def _overlaps(found: Labels, truth: Labels) -> npt.NDArray[np.float64]:
    """Return the IoU of every pair of nuclei that share a pixel, labels being consecutive."""
    table = contingency_table(truth, found, sparse_type="array").tocoo()
    area_true, area_found = np.bincount(truth.ravel()), np.bincount(found.ravel())
    union = area_true[table.row] + area_found[table.col] - table.data
    nuclei = (table.row > 0) & (table.col > 0)
    overlaps: npt.NDArray[np.float64] = table.data[nuclei] / union[nuclei]
    return overlaps


def _share(part: int, whole: int, *, both_empty: bool) -> float:
    """Return part / whole; nothing out of nothing is 1 if there was nothing to find, else 0."""
    return part / whole if whole else float(both_empty)


def agreement(dataset: DataSet, labels: Path) -> dict[str, float | int]:
    """Score the label images in the folder `labels` where the data set has masks.

    Returns counts (sums over images) and measures (means over images, an image of three nuclei
    counting as much as one of three hundred); of a data set without masks only the count 0.
    """
    masks = {image: dataset.mask_path(image) for image in dataset.images["image"]}
    pairs = [(labels_path(labels, image), mask) for image, mask in masks.items() if mask]
    scores = [
        score(_read_found(found), read_mask(mask))
        for found, mask in track(pairs, "scoring segmentation", total=len(pairs))
    ]
    if not scores:
        return {"images_with_masks": 0}
    return {
        "images_with_masks": len(scores),
        "nuclei_true": sum(one.true for one in scores),
        "nuclei_found": sum(one.found for one in scores),
        **{name: float(np.mean([getattr(one, name) for one in scores])) for name in MEASURES},
    }


def _read_found(path: Path) -> Labels:
    if not path.is_file():
        raise FathomError(f"{path} is missing: run the stage 'segment' first")
    return read_labels(path)

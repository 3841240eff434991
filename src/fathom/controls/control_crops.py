"""Crops that lack what a network should go by: if it still tells the label, that is a shortcut.

Each control is a folder like that of the stage `crop`: the same table byte for byte, hence the same
splits and certificate, and shards with other pixels.

- `silhouette`: 255 in the nucleus. Outline, size and orientation remain; no texture, no stain.
- `background`: the surroundings, twice as wide as the crop at half the resolution. The whole square
  that the crop covers is 0 in every picture, for a hole that follows the nucleus is its silhouette
  once more, and any filling has an edge that a network finds. Neighbours are 0 as well.
- `shuffled-labels`: the crops as they are, for a network that trains on shuffled labels.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.controls.catalogue import BACKGROUND, SHUFFLED, SILHOUETTE
from fathom.datasets.dataset import DataSet, labels_path
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, Micrograph, read_labels, read_micrograph
from fathom.ground.output import write_table
from fathom.ground.progress import track
from fathom.imaging.crops import Scale
from fathom.imaging.params import Crop
from fathom.study.nuclei import Nuclei, write_nuclei, write_shard
from fathom.study.stored_crops import Crops

COUNTS = "label_pixels.parquet"
WIDER = 2  # the surroundings are so many crops wide, and shrunk by as much


def write_control_crops(
    dataset: DataSet, labels: Path, nuclei: Nuclei, params: Crop, out: Path
) -> None:
    """Write a folder of nuclei for each control, and `COUNTS`, to `out`.

    `labels` is the folder of label images that `nuclei` were cut with. Raises `FathomError` where
    the label images have changed since.
    """
    slides = list(nuclei.kept.groupby("shard", sort=True))
    for name, kept in track(slides, "control crops", len(slides)):
        crops = np.load(nuclei.folder / str(name))
        around = _surroundings(dataset, labels, kept.sort_values("row"), params, crops.shape[-1])
        own = {SHUFFLED: crops, SILHOUETTE: silhouettes(crops), BACKGROUND: around}
        for control, changed in own.items():
            write_shard(out / control, str(name), changed)
    for control in (SHUFFLED, SILHOUETTE, BACKGROUND):
        write_nuclei(out / control, nuclei.table)
    write_table(out / COUNTS, label_pixels(dataset, labels, nuclei.kept))


def silhouettes(crops: Crops) -> Crops:
    """Return 255 in the nucleus, where a crop is never 0, and 0 around it, in all channels."""
    inside = crops.any(axis=-1, keepdims=True)
    return np.where(np.broadcast_to(inside, crops.shape), 255, 0).astype(np.uint8)


def label_pixels(dataset: DataSet, labels: Path, kept: pd.DataFrame) -> pd.DataFrame:
    """Count the pixels of each nucleus that its label is about, by the data set's label masks.

    Returns nucleus (str) and label_px (int64), a row for each nucleus of `kept` whose image has a
    label mask. A crop holds the pixels of its nucleus and no others, so that these are the pixels
    in the crop, too.
    """
    tables = []
    for image, rows in kept.groupby("image", sort=True):
        path = dataset.label_mask_path(str(image))
        if path is None:
            continue
        about = read_labels(path) > 0
        numbers = _numbers(rows)
        shown = np.bincount(_labels(labels, str(image), rows)[about], minlength=numbers.max() + 1)
        tables.append(pd.DataFrame({"nucleus": rows["nucleus"], "label_px": shown[numbers]}))
    if not tables:
        return pd.DataFrame({"nucleus": pd.Series(dtype="str"), "label_px": pd.Series(dtype=int)})
    return pd.concat(tables, ignore_index=True)


def surroundings(
    micrograph: Micrograph, labels: Labels, kept: pd.DataFrame, scale: Scale, crop_px: int
) -> Crops:
    """Cut what lies around the nuclei of `kept`, at half the resolution.

    Parameters
    ----------
    micrograph : (H, W) or (H, W, 3), uint8 or uint16
    labels : (H, W) int32, 0 = background
    kept : top, left, bottom, right of each nucleus, px, half open, at most `crop_px` apart
    scale : the grey values that become 1 and 255; 0 stays for what is hidden

    Returns
    -------
    (len(kept), crop_px, crop_px, channels) uint8
        A pixel is the mean of the background's pixels among the 2 x 2 it stands for, 0 where there
        are none: in the square of the crop, in nuclei, beyond the image.
    """
    pixels = micrograph.reshape(*micrograph.shape[:2], -1)
    side, margin = WIDER * crop_px, crop_px // 2
    around = [(side, side), (side, side)]
    seen = np.pad(labels == 0, around)
    # What is hidden is 0 before the means are taken: nothing of it gets into them.
    light = np.pad(scale.apply(pixels), [*around, (0, 0)]) * seen[..., None]
    found = np.zeros((len(kept), crop_px, crop_px, pixels.shape[-1]), dtype=np.uint8)
    boxes = kept[["top", "left", "bottom", "right"]].to_numpy()
    for crop, (top, left, bottom, right) in zip(found, boxes, strict=True):
        # As `fathom.imaging.crops.cut` places the crop; then `side` for the padding.
        row = top - (crop_px - (bottom - top)) // 2 - margin + side
        column = left - (crop_px - (right - left)) // 2 - margin + side
        window = np.s_[row : row + side, column : column + side]
        visible = seen[window].copy()
        visible[margin : margin + crop_px, margin : margin + crop_px] = False
        total = _blocks(light[window] * visible[..., None])
        count = _blocks(visible[..., None].astype(np.int64))
        crop[:] = np.rint(total / np.maximum(count, 1))
    return found


def _surroundings(
    dataset: DataSet, labels: Path, kept: pd.DataFrame, params: Crop, channels: int
) -> Crops:
    """Return the surroundings of one slide's nuclei, in the order of `kept`."""
    crops = np.zeros((len(kept), params.crop_px, params.crop_px, channels), dtype=np.uint8)
    image_of = kept["image"].to_numpy(dtype=str)

    def images() -> Iterator[tuple[npt.NDArray[np.intp], Micrograph, Labels]]:
        for image in sorted(set(image_of.tolist())):
            rows = np.flatnonzero(image_of == image)
            found = _labels(labels, image, kept.iloc[rows])
            yield rows, read_micrograph(dataset.path(image)), found

    scale = _scale(((micrograph, found) for _, micrograph, found in images()), params)
    for rows, micrograph, found in images():
        crops[rows] = surroundings(micrograph, found, kept.iloc[rows], scale, params.crop_px)
    return crops


def _scale(micrographs: Iterator[tuple[Micrograph, Labels]], params: Crop) -> Scale:
    """Return the scale of a slide's background, by its own percentiles.

    On the nuclei's scale a fluorescence background would be black but for 2 % of its pixels, and
    the control blind.
    """
    if params.normalisation == "none":
        return Scale.of_bit_depth(next(micrographs)[0])
    together = np.concatenate([pixels[labels == 0].ravel() for pixels, labels in micrographs])
    if together.size == 0:
        return Scale(0.0, 1.0)  # nothing will be seen
    return Scale.of_pixels(together, (params.low_percentile, params.high_percentile))


def _blocks(pixels: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return the sums of squares of `WIDER` pixels: (2n, 2n, channels) -> (n, n, channels)."""
    n = len(pixels) // WIDER
    total: npt.NDArray[np.int64] = pixels.reshape(n, WIDER, n, WIDER, -1).sum(
        axis=(1, 3), dtype=np.int64
    )
    return total


def _labels(folder: Path, image: str, kept: pd.DataFrame) -> Labels:
    """Read the label image of `image` and see to it that the nuclei of `kept` are in it."""
    labels = read_labels(labels_path(folder, image))
    areas = np.bincount(labels.ravel(), minlength=_numbers(kept).max() + 1)[_numbers(kept)]
    if (areas != kept["area_px"].to_numpy()).any():
        raise FathomError(
            f"{labels_path(folder, image)} is not what the nuclei were cut with: run the stage "
            "'crop' again"
        )
    return labels


def _numbers(kept: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return each nucleus' number in its label image, the end of its id `<image>#<number>`."""
    return kept["nucleus"].str.rpartition("#")[2].to_numpy(dtype=np.int64)

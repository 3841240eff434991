"""The label images of a whole data set, on all cores: found, or taken from its masks."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from skimage.segmentation import relabel_sequential

from fathom.datasets.dataset import DataSet, labels_path
from fathom.datasets.label_pieces import largest_pieces
from fathom.datasets.masks import read_mask
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph, write_labels
from fathom.ground.progress import track
from fathom.imaging.find_nuclei import FindNuclei, finder
from fathom.imaging.params import NetworkSegmentation, Segmentation

_NAMED = 5  # images without a mask that an error lists by name


def segment_dataset(
    dataset: DataSet, params: Segmentation | NetworkSegmentation, out: Path
) -> None:
    """Write the label image of every micrograph to `labels_path(out, image)`, labels 1..n.

    A micrograph without nuclei gets one that is 0 throughout. With `params.method` masks the data
    set's own label images are taken, of each nucleus the largest piece, and `FathomError` names the
    micrographs that have none.
    """
    images = dataset.images["image"].tolist()
    if params.method == "masks":
        require_label_images(dataset)
    else:
        finder(params)  # what is wrong with a network shows before any work
    for _ in track(_written(dataset, images, params, out), "segmenting", total=len(images)):
        pass


def require_label_images(dataset: DataSet) -> None:
    """Raise `FathomError` that names the micrographs without a label image of the data set's."""
    images = dataset.images["image"].tolist()
    without = [image for image in images if dataset.mask_path(image) is None]
    if not without:
        return
    more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
    raise FathomError(
        f"segmentation.method is 'masks', but {len(without)} of {len(images)} images have no label "
        f"image in {dataset.folder / 'masks'}: {', '.join(without[:_NAMED])}{more}. Add them, same "
        "name as the image, as .png or .tif, or set segmentation.method to 'threshold'"
    )


def _written(
    dataset: DataSet, images: list[str], params: Segmentation | NetworkSegmentation, out: Path
) -> Iterator[None]:
    """Yield once for every label image that is there, in the order of `images`."""
    jobs = [
        (dataset.path(image), dataset.mask_path(image), um_per_px, params, labels_path(out, image))
        for image, um_per_px in zip(images, dataset.images["um_per_px"].tolist(), strict=True)
    ]
    cores = len(os.sched_getaffinity(0))
    # Workers start afresh: the thread that draws the progress bar must not be forked.
    pool = ProcessPoolExecutor(min(cores, len(jobs)) or 1, mp_context=get_context("spawn"))
    try:
        yield from pool.map(_write, *zip(*jobs, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)  # after an error the rest is not waited for


def _write(
    image: Path,
    mask: Path | None,
    um_per_px: float,
    params: Segmentation | NetworkSegmentation,
    out: Path,
) -> None:
    if params.method == "masks" and mask is not None:
        labels = relabel_sequential(largest_pieces(read_mask(mask))[0])[0]
    else:
        labels = _finder(params)(read_micrograph(image), um_per_px)
    write_labels(out, labels)


@cache  # a worker opens its network once
def _finder(params: Segmentation | NetworkSegmentation) -> FindNuclei:
    return finder(params)

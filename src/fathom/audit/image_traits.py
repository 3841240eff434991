"""What an audit measures of every micrograph, in one decoding: form, grey values, sharpness.

Nothing is judged here: `fathom.audit.image_checks` compares an image with the rest of its set.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage
from skimage.transform import resize_local_mean

from fathom.datasets.layout import on_disk
from fathom.datasets.modality import is_grey_bright_field
from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import file_fingerprint
from fathom.ground.image_store import NOWHERE, ImageStore, Made, key_of
from fathom.ground.images import Micrograph, read_micrograph
from fathom.ground.processor import cores
from fathom.ground.progress import track

Grey = npt.NDArray[np.float32]  # (H, W)
Thumbnails = npt.NDArray[np.float32]  # (n, THUMBNAIL_PX, THUMBNAIL_PX)

THUMBNAIL_PX = 128
MARKS = ("mark_upper_left", "mark_upper_right", "mark_lower_left", "mark_lower_right")
_MARK_SHARE = 40  # a corner is a 40th of the shorter side
TRAIT_COLUMNS = (
    "image",  # str
    "error",  # str, why it cannot be read; "" where it can, and only then the rest has a value
    "bits",  # 8 or 16
    "channels",  # 1 or 3
    "grey_bright_field",  # 1 where the picture is dark on bright without colour, else 0
    "levels",  # count of different grey values
    "background",  # 10th percentile of the grey values
    "span",  # their 99.9th percentile less the 1st
    "noise",  # grey, SD of the noise (Immerkaer 1996)
    "contrast",  # 99.9th percentile of what is brighter than its surroundings, in noise SDs
    "sharpness",  # power of details of about 1 px beside those of about 3 px, noise taken out
    "white_share",  # share of the pixels at the brightest value, if they stand out; else 0
    "black_share",  # the same at the darkest value
    "blank_rows",  # count of rows at the lower edge that hold one value, cut off from the picture
    *MARKS,  # grey, median of a square in each corner, less the image's, in noise SDs, plus 10
)


@dataclass(frozen=True, eq=False)
class ImageTraits:
    """The measures of all images and small pictures of those that can be read."""

    table: pd.DataFrame  # TRAIT_COLUMNS, a row an image in the order asked for
    thumbnails: Thumbnails  # a row each, 0 throughout where the image cannot be read


def image_traits(folder: Path, images: Sequence[str], store: ImageStore = NOWHERE) -> ImageTraits:
    """Measure `images`, paths in `folder`, on all cores; an image that is damaged is no error.

    What the store knows of an image is not measured again.
    """
    with ThreadPoolExecutor(cores()) as pool:  # decoders and filters release the lock
        work = pool.map(lambda image: _measured(folder, image, store), images)
        measured = list(track(work, "measuring images", len(images)))
    table = pd.DataFrame([row for row, _ in measured], columns=list(TRAIT_COLUMNS))
    empty = np.empty((0, THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.float32)
    return ImageTraits(table, np.stack([small for _, small in measured]) if measured else empty)


def _measured(folder: Path, image: str, store: ImageStore) -> tuple[dict[str, object], Grey]:
    path = on_disk(folder, image)

    def make() -> Made:
        micrograph = read_micrograph(path)
        return Made({"thumbnail": thumbnail(micrograph)}, traits(micrograph))

    try:
        made = store.of(key_of(__name__, file_fingerprint(path)), make)
    except FathomError as error:
        what = str(error).removeprefix(f"{path}: ")
        nothing = np.zeros((THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.float32)
        return {"image": image, "error": what}, nothing
    return {"image": image, "error": "", **made.notes}, made.arrays["thumbnail"]


def grey_of(micrograph: Micrograph) -> Grey:
    """Return the mean of the channels, (H, W) float32."""
    grey = micrograph.astype(np.float32)
    return grey if grey.ndim == 2 else np.asarray(grey.mean(axis=-1), dtype=np.float32)


def traits(micrograph: Micrograph) -> dict[str, float]:
    """Return what `TRAIT_COLUMNS` lists of one micrograph that could be read."""
    grey = grey_of(micrograph)
    histogram = np.bincount(micrograph.ravel())  # 4 times faster than to sort the pixels
    values = np.flatnonzero(histogram)
    counts = histogram[values]
    below = np.cumsum(counts) / micrograph.size
    low, background, high = values[np.searchsorted(below, (0.01, 0.1, 0.999))]
    sigma = noise(grey)
    return {
        "bits": micrograph.dtype.itemsize * 8,
        "channels": 1 if micrograph.ndim == 2 else micrograph.shape[-1],
        "grey_bright_field": int(is_grey_bright_field(micrograph)),
        "levels": len(values),
        "background": float(background),
        "span": float(high - low),
        "noise": sigma,
        "contrast": _contrast(grey, sigma),
        "sharpness": sharpness(grey, sigma),
        "white_share": heap(values[::-1], counts[::-1]),
        "black_share": heap(values, counts),
        "blank_rows": blank_rows(grey),
        **_corners(grey, sigma),
    }


def _corners(grey: Grey, sigma: float) -> dict[str, float]:
    """Return how bright the corners are, as something burnt in would be."""
    side = max(min(grey.shape) // _MARK_SHARE, 2)
    corners = (grey[:side, :side], grey[:side, -side:], grey[-side:, :side], grey[-side:, -side:])
    middle, unit = float(np.median(grey)), max(sigma, 1.0)
    return {
        name: 10 + max((float(np.median(corner)) - middle) / unit, -9.0)
        for name, corner in zip(MARKS, corners, strict=True)
    }


def noise(grey: Grey) -> float:
    """Return the SD of the noise by a mask that takes out edges and ramps.

    Immerkaer 1996, Computer Vision and Image Understanding 64:300; his mean of the response's
    modulus is a median here, so that the texture of nuclei, a smaller part of it, has no say.
    """
    across = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    response = np.abs(across[:-2] - 2 * across[1:-1] + across[2:]) / 6
    return float(np.median(response) / 0.6745)


def _contrast(grey: Grey, sigma: float) -> float:
    """Say how far the brightest objects rise above their surroundings, 1/8 of the image wide."""
    surroundings = ndimage.uniform_filter(grey, max(min(grey.shape) // 8, 3))
    rise = float(np.percentile(ndimage.gaussian_filter(grey, 1) - surroundings, 99.9))
    return rise / max(sigma, 1e-6 * max(float(grey.max()), 1.0))


def sharpness(grey: Grey, sigma: float) -> float:
    """Return the power of two bands of detail, the finer beside the coarser.

    White noise of SD sigma leaves sigma^2 / (4 pi) (1/a^2 + 1/b^2 - 4/(a^2 + b^2)) in the
    difference of two Gaussians of SD a and b: the integral of its squared transfer function.
    """
    by_sigma = {a: ndimage.gaussian_filter(grey, a) for a in (1, 2, 4)}

    def power(a: int, b: int) -> float:
        of_noise = sigma**2 / (4 * np.pi) * (1 / a**2 + 1 / b**2 - 4 / (a**2 + b**2))
        band = by_sigma[a] - by_sigma[b]
        return float(max(np.mean(band**2, dtype=np.float64) - of_noise, 0.0))

    return power(1, 2) / max(power(2, 4), 1e-9)


def heap(values: npt.NDArray[np.int64], counts: npt.NDArray[np.intp]) -> float:
    """Return the share of pixels at the first value, if more are there than a histogram's end has.

    A histogram thins out towards its ends. Where values beyond were cut off, they are heaped on the
    last one: 10 times more of them than of the values beside it, on average over a twentieth of the
    range. `values` runs from that end inwards.
    """
    if len(values) < 3:
        return 0.0
    depth = np.abs(values - values[0])
    beside = (depth > 0) & (depth <= max(int(depth[-1]) // 20, 1))
    usual = counts[beside].sum() / max(int(depth[-1]) // 20, 1)
    return float(counts[0] / counts.sum()) if counts[0] > 10 * max(usual, 1) else 0.0


def blank_rows(grey: Grey) -> int:
    """Count the rows at the lower edge that were never written: one value, and a sudden end.

    Where the background is black and objects are few, rows of one value belong to the picture; then
    most of the row above them has that value, too.
    """
    one_value = (grey == grey[-1, -1]).all(axis=1)
    written = np.flatnonzero(~one_value)
    if len(written) == 0 or written[-1] == len(grey) - 1:
        return 0
    last = grey[written[-1]]
    return int(len(grey) - 1 - written[-1]) if (last == grey[-1, -1]).mean() < 0.5 else 0


def thumbnail(micrograph: Micrograph) -> Grey:
    """Return a small square picture of the objects, whatever the exposure and the light.

    Square roots of intensities above the background, so that a few bright objects are not all; both
    sides are stretched to one length, so that a quarter turn stays one.
    """
    grey = grey_of(micrograph)
    root = np.sqrt(np.maximum(grey - np.percentile(grey[::2, ::2], 1), 0))
    small = resize_local_mean(root, (THUMBNAIL_PX, THUMBNAIL_PX)).astype(np.float32)
    band = ndimage.gaussian_filter(small, 0.7) - ndimage.gaussian_filter(small, 6)
    return np.asarray(band / max(float(np.linalg.norm(band)), 1e-6), dtype=np.float32)

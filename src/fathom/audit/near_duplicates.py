"""Near-duplicate nuclei among many, without comparing all pairs: describe, look up, verify.

1. Each nucleus is described by moduli of its angular harmonics about its centre, with brightness
   and contrast taken out. A rotation by any angle turns the phases of
   c_nm = <f, g_n(r) exp(i m phi)> and a mirror image conjugates them: the moduli stay (the
   invariants of Zernike moments, Khotanzad & Hong 1990, IEEE TPAMI 12:489, on a cosine basis).
2. What is looked up is weighted by what a copy does to it. Copies of a sample are made (brighter,
   clipped, smoothed, noisy, cut a little differently), and the directions are kept in
   which nuclei differ most beside their copies: Fisher's discriminant, one class a nucleus. In
   these units a radius that finds nearly all copies is measured, not chosen, and a k-d tree answers
   in O(log n) because that radius is small beside the spread of nuclei.
3. A candidate is verified pixel by pixel (`near_duplicate_check`): all eight symmetries of the
   square, small shifts.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import linalg, ndimage
from scipy.spatial import cKDTree

from fathom.audit.near_duplicate_check import Masks, Pairs, Planes, compare_all
from fathom.ground.arrays import Positions
from fathom.ground.image_store import NOWHERE, ImageStore, Made, key_of
from fathom.ground.processor import cores
from fathom.ground.progress import track
from fathom.study.stored_crops import (
    AT_ONCE,
    CropRows,
    Crops,
    in_batches,
    narrowed,
    shows_something,
)

Descriptors = npt.NDArray[np.float32]  # (n, d)

_HARMONICS = 8  # m = 0..7
_RADIAL = 6  # n = 0..5
_OUTLINE = (5, 3)  # harmonics, radial orders of the silhouette
_SAMPLE = 1000  # nuclei whose copies say how much a copy differs
_LOOKED_UP = 12  # directions that the tree holds; a neighbour is then measured in all
_NEIGHBOURS = 8  # looked at per nucleus; more copies than that hang together through each other
_COVERED, _MARGIN = 0.99, 1.2  # a radius: this share of the sample's copies, and some more


def near_duplicates(
    crops: CropRows,
    least_correlation: float,
    least_z: float,
    seed: int,
    images: Sequence[Positions] | None = None,
    store: ImageStore = NOWHERE,
) -> pd.DataFrame:
    """Return the pairs of crops that show one nucleus.

    Parameters
    ----------
    crops : (n, crop_px, crop_px, channels) uint8, background 0
    least_correlation : of the fine structure of two crops that are one nucleus
    least_z : how far beyond chance, in standard errors; what stands between 100,000 nuclei and a
        false alarm (`fathom.audit.near_duplicate_check.compare_all`)
    images : the rows of each image, which are described together; None: in batches as they come
    store : what it knows of an image's nuclei is not described again

    Returns
    -------
    first, second (int, rows of `crops`, first < second), correlation (float, of the fine structure
    inside the outlines), z, turned (int, quarter turns anticlockwise of the second that fit the
    first), mirrored (bool, whether it is mirrored before that), exact (bool, same pixels as they
    stand). Sorted. Of many copies of one nucleus not all pairs are there, but enough to join them.
    """
    rows = np.flatnonzero(shows_something(crops))  # blank crops are alike, and no nucleus
    exact = _same_pixels(crops, rows)
    once = np.setdiff1d(rows, exact["second"])
    pairs = np.empty((0, 2), dtype=np.intp)
    if len(once) > 1:
        pairs = candidates(crops, _described(crops, images, store), once, seed)
    found = compare_all(crops, pairs, least_correlation, least_z).assign(exact=False)
    table = pd.concat([exact, found], ignore_index=True)
    return table.sort_values(["first", "second"], ignore_index=True)


def _same_pixels(crops: CropRows, rows: npt.NDArray[np.intp]) -> pd.DataFrame:
    """Return each crop that repeats an earlier one, paired with the first of its kind."""
    first: dict[bytes, int] = {}
    digests = (
        hashlib.blake2b(crop.tobytes(), digest_size=16).digest()
        for some in in_batches(narrowed(crops, rows))
        for crop in some
    )
    pairs = [
        (first.setdefault(one, int(row)), int(row)) for one, row in zip(digests, rows, strict=True)
    ]
    kept = np.array([pair for pair in pairs if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2)
    return pd.DataFrame(
        {
            "first": kept[:, 0],
            "second": kept[:, 1],
            "correlation": 1.0,
            "z": np.inf,
            "turned": 0,
            "mirrored": False,
            "exact": True,
        }
    )


def _described(
    crops: CropRows, images: Sequence[Positions] | None, store: ImageStore
) -> Descriptors:
    """Return `describe_pairs` of all crops, on all cores: last bits hang on what goes together."""
    everything = np.arange(len(crops))
    images = images or np.split(everything, everything[AT_ONCE::AT_ONCE])

    def describe(rows: Positions) -> Descriptors:
        own = crops[rows]
        key = key_of(__name__, own)
        made = store.of(key, lambda: Made({"described": describe_pairs(own)}, {}))
        return made.arrays["described"]

    with ThreadPoolExecutor(cores()) as pool:  # numpy releases the lock
        work = track(pool.map(describe, images), "describing nuclei", len(images))
        parts = list(zip(images, work, strict=True))
    described = np.empty((len(crops), parts[0][1].shape[1]), dtype=np.float32)
    for rows, part in parts:
        described[rows] = part
    return described


def candidates(crops: CropRows, everything: Descriptors, rows: Positions, seed: int) -> Pairs:
    """Return the pairs of `rows` that lie as near to each other as copies do.

    `everything` describes all crops.
    """
    described = everything[rows]
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(len(rows))[:_SAMPLE])
    differences = describe_pairs(imitate(crops[rows[sample]], rng)) - described[sample]
    directions = discriminant(described, differences)
    points, copied = (
        np.asarray(one @ directions, dtype=np.float32) for one in (described, differences)
    )
    looked_up = points[:, :_LOOKED_UP]
    distance, neighbour = cKDTree(looked_up).query(
        looked_up,
        k=min(_NEIGHBOURS + 1, len(points)),
        distance_upper_bound=_reach(copied[:, :_LOOKED_UP]),
        workers=-1,
    )
    near, column = np.nonzero(np.isfinite(np.atleast_2d(distance)))
    pairs = np.column_stack([near, np.atleast_2d(neighbour)[near, column]])
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    apart = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    return np.asarray(rows[pairs[apart <= _reach(copied)]], dtype=np.intp)


def _reach(copied: Descriptors) -> float:
    """Return how far a copy lies from its original, at most but for a few."""
    return _MARGIN * float(np.quantile(np.linalg.norm(copied, axis=1), _COVERED))


def discriminant(described: Descriptors, differences: Descriptors) -> Descriptors:
    """Return (d, d): directions, first those in which nuclei differ most beside their copies.

    In their units the copies' differences have unit covariance. A small share of the whole
    covariance is added to theirs, lest a direction in which a sample's copies happen not to differ
    count as infinitely sharp.
    """
    between = np.cov(described, rowvar=False)
    exact = differences.astype(np.float64)  # in float32 what is added below would be lost
    within = exact.T @ exact / len(exact)
    within += 1e-4 * np.diag(np.diag(between)) + 1e-9 * np.eye(len(within))
    _, vectors = linalg.eigh(between, within)
    return np.asarray(vectors[:, ::-1], dtype=np.float32)


def standardised(crops: Crops) -> tuple[Planes, Planes]:
    """Return each nucleus about the middle of its square, its mean 0 and SD 1, and its silhouette.

    Colours count as their mean. The middle is the silhouette's centre of mass, to a fraction of a
    pixel; the silhouette is 1 inside, 0 outside, and between on its edge.
    """
    grey = np.asarray(crops.mean(axis=-1), dtype=np.float32)
    mask = np.asarray(crops.any(axis=-1), dtype=np.float32)
    weight = mask / np.maximum(mask.sum(axis=(1, 2), keepdims=True), 1)
    mean = np.sum(grey * weight, axis=(1, 2), keepdims=True)
    variance = np.sum((grey - mean) ** 2 * weight, axis=(1, 2), keepdims=True)
    scale = np.sqrt(np.maximum(variance, 1e-6))
    planes = np.asarray(mask * (grey - mean) / scale, dtype=np.float32)
    offset = np.arange(mask.shape[1], dtype=np.float32) - (mask.shape[1] - 1) / 2
    y, x = weight.sum(axis=2) @ offset, weight.sum(axis=1) @ offset
    return _moved(planes, y, x), _moved(mask, y, x)


def _moved(planes: Planes, y: npt.NDArray[np.float32], x: npt.NDArray[np.float32]) -> Planes:
    """Return the planes with their point (y, x) brought to (0, 0), linear between pixels."""
    moved = planes
    for axis, by in ((1, y), (2, x)):
        whole = np.floor(by).astype(np.intp)
        part = (by - whole).astype(np.float32)[:, None, None]
        moved = (1 - part) * _taken(moved, whole, axis) + part * _taken(moved, whole + 1, axis)
    return moved


def _taken(planes: Planes, by: npt.NDArray[np.intp], axis: int) -> Planes:
    """Return the planes moved by whole pixels towards 0, each by its own number; 0 comes in."""
    side = planes.shape[axis]
    at = np.arange(side) + by[:, None]
    there = (at >= 0) & (at < side)
    shape = (len(planes), side, 1) if axis == 1 else (len(planes), 1, side)
    taken = np.take_along_axis(planes, np.clip(at, 0, side - 1).reshape(shape), axis=axis)
    return np.asarray(taken * there.reshape(shape), dtype=np.float32)


def describe_pairs(crops: Crops) -> Descriptors:
    """Return what does not change when a nucleus is turned or mirrored, (n, d)."""
    planes, silhouettes = standardised(crops)
    side = planes.shape[1]
    return np.concatenate(
        [
            _moduli(planes, _harmonics(side, _HARMONICS, _RADIAL)),
            _moduli(silhouettes, _harmonics(side, *_OUTLINE)),
        ],
        axis=1,
    )


def _harmonics(side: int, harmonics: int, radial: int) -> npt.NDArray[np.complex64]:
    """Return cos(pi n r) exp(i m phi), (m, n, side, side); r = 1 on the inscribed circle."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    r, angle = np.hypot(y, x) / (side / 2), np.arctan2(y, x)
    n = np.arange(radial)[:, None, None]
    m = np.arange(harmonics)[:, None, None, None]
    waves = (r < 1) * np.cos(np.pi * n * r) * np.exp(1j * m * angle)
    return np.asarray(waves, dtype=np.complex64)


def _moduli(planes: Planes, basis: npt.NDArray[np.complex64]) -> Descriptors:
    flat, waves = planes.reshape(len(planes), -1), basis.reshape(-1, planes[0].size).T
    return np.asarray(np.hypot(flat @ waves.real, flat @ waves.imag), dtype=np.float32)


def imitate(crops: Crops, rng: np.random.Generator) -> Crops:
    """Return copies as they come about: another exposure, lossy, cut a little differently.

    Every second one is smoothed. All have noise of 2 grey levels, 0.6 to 1.6 of the original's
    brightness, clipped at white, and an outline that is in turn the original's, one pixel further
    in on one side, or all around.
    """
    mask: Masks = np.asarray(crops.any(axis=-1))
    pixels = crops.astype(np.float32)
    within = ndimage.gaussian_filter(mask.astype(np.float32), 0.7, axes=(1, 2))[..., None]
    smooth = ndimage.gaussian_filter(pixels, 0.7, axes=(1, 2)) / np.maximum(within, 0.1)
    pixels[::2] = smooth[::2]
    pixels *= rng.uniform(0.6, 1.6, (len(crops), 1, 1, 1)).astype(np.float32)
    pixels += rng.normal(0, 2, crops.shape).astype(np.float32)
    steps = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])[rng.integers(0, 4, len(crops))]
    inner = mask.copy()
    for number in range(len(crops)):
        if number % 3 == 1:
            inner[number] &= np.roll(mask[number], steps[number], axis=(0, 1))
        elif number % 3 == 2:
            inner[number] = ndimage.binary_erosion(mask[number])
    return np.clip(np.rint(pixels), 1, 255).astype(np.uint8) * inner[..., None]

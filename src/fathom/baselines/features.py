"""Shape, intensity and texture of every nucleus: what the "statistical methods" see of it.

Everything is measured inside the nucleus. The background of a crop is 0, so a filter or a pair of
pixels that reached over the outline would measure the silhouette once more and call it texture:
such pixels and pairs are left out.

Names carry their unit: px (pixels), level (grey levels, 0..255), none where there is none. A
texture feature `glcm_<property>_<distance>px_<mean or range>` is the mean, or the largest minus
the smallest, over four directions, as Haralick et al. (1973) propose, so that it does not depend
on which way a nucleus lies.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops
from skimage.filters import sobel_h, sobel_v
from skimage.measure import regionprops

from fathom.baselines.params import Features
from fathom.ground.arrays import Positions
from fathom.ground.errors import FathomError
from fathom.ground.image_store import NOWHERE, ImageStore, Made, key_of
from fathom.ground.progress import track
from fathom.study.nuclei import Nuclei
from fathom.study.stored_crops import CropRows, Crops, shows_something

IDENTITY = ("nucleus", "slide", "patient", "image", "label")  # the first columns of the table
COLOURS = ("red", "green", "blue")
TEXTURE = ("contrast", "dissimilarity", "homogeneity", "ASM", "correlation", "entropy")

Mask = npt.NDArray[np.bool_]  # (h, w), True in the nucleus
Grey = npt.NDArray[np.float64]  # (h, w), grey levels 0..255


def feature_table(nuclei: Nuclei, params: Features, store: ImageStore = NOWHERE) -> pd.DataFrame:
    """Measure every nucleus that has a crop, on all cores, in the order of `nuclei.kept`.

    The nuclei of an image that the store knows are not measured again. Returns the columns
    `IDENTITY`, then one float64 column a feature, all of it finite. Raises `FathomError` where a
    crop is blank.
    """
    crops = nuclei.crops()
    blank = np.flatnonzero(~shows_something(crops))
    if len(blank):
        raise FathomError(
            f"{nuclei.folder}: {len(blank)} of {len(crops)} crops are blank, the first is that of "
            f"{nuclei.kept['nucleus'].iloc[blank[0]]!r}; run the stage 'crop' again"
        )
    by_image = [
        np.asarray(rows, dtype=np.intp)
        for rows in nuclei.kept.groupby("image", sort=False).indices.values()
    ]
    measured = _measured(crops, by_image, params, store)
    names = measured[0].notes["names"]
    values = np.empty((len(crops), len(names)))
    for rows, made in zip(by_image, measured, strict=True):
        values[rows] = made.arrays["features"]
    features = pd.DataFrame(values, columns=names)
    return pd.concat([nuclei.kept[list(IDENTITY)], features], axis="columns")


def _measured(
    crops: CropRows, images: Sequence[Positions], params: Features, store: ImageStore
) -> list[Made]:
    """Return the features of each image's nuclei: what the store does not hold is measured.

    `images` are the rows of each; their crops are taken one after the other, not all at once.
    """
    keys = [key_of(__name__, crops[rows], params.model_dump_json()) for rows in images]
    held = {key: made for key in keys if (made := store.kept(key)) is not None}
    missing = {key: rows for key, rows in zip(keys, images, strict=True) if key not in held}
    work = Parallel(n_jobs=min(cpu_count(), len(missing)) or 1, return_as="generator")(
        delayed(_of_image)(crops[rows], params) for rows in missing.values()
    )
    for key, made in zip(missing, track(work, "features", len(missing)), strict=True):
        store.keep(key, made)
        held[key] = made
    return [held[key] for key in keys]


def _of_image(crops: Crops, params: Features) -> Made:
    """Return the features of an image's nuclei, (n, features) float64, and their names."""
    measured = [features_of(crop, params) for crop in crops]
    values = np.array([list(one.values()) for one in measured])
    return Made({"features": values}, {"names": list(measured[0])})


def read_features(path: Path, nuclei: Nuclei) -> pd.DataFrame:
    """Read the table of features, without `IDENTITY`: row i belongs to row i of `nuclei.kept`.

    Raises `FathomError` where the file is missing or was made from other nuclei.
    """
    if not path.is_file():
        raise FathomError(f"{path} is missing: run the stage 'features' first")
    table = pd.read_parquet(path)
    if table["nucleus"].tolist() != nuclei.kept["nucleus"].tolist():
        raise FathomError(
            f"{path} was made from other nuclei than those in {nuclei.folder}: "
            "run the stage 'features' again"
        )
    return table.drop(columns=list(IDENTITY))


def features_of(crop: npt.NDArray[np.uint8], params: Features) -> dict[str, float]:
    """Return the features of one crop, (crop_px, crop_px, 1 or 3), the background 0.

    In a colour crop, grey is the mean of the channels. All features are defined down to a nucleus
    of one pixel: where all pixels are equal, skewness and kurtosis are 0; where no pixel lies
    clear of the outline, the gradient is 0; where no pair of pixels is as far apart as a texture
    distance, the texture is that of an even surface.
    """
    mask: Mask = crop.max(axis=-1) > 0
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    mask, pixels = mask[box], crop[box].astype(np.float64)
    grey = pixels.mean(axis=-1)
    features = {**_shape(mask), **_intensity(grey, mask, params), **_texture(grey, mask, params)}
    if pixels.shape[-1] == len(COLOURS):
        for name, channel in zip(COLOURS, np.moveaxis(pixels, -1, 0), strict=True):
            features[f"{name}_mean_level"] = channel[mask].mean()
            features[f"{name}_sd_level"] = channel[mask].std()
    return {name: float(value) for name, value in features.items()}


def _shape(mask: Mask) -> dict[str, float]:
    """Measure the silhouette; several pieces count as one region.

    The perimeter is Crofton's, which is never 0. The form factor is 1 for a disc, less for a
    longer outline; pixels being square, a nucleus of a few of them can exceed 1.
    """
    region = regionprops(mask.astype(np.uint8))[0]
    return {
        "area_px": region.area,
        "perimeter_px": region.perimeter_crofton,
        "axis_major_px": region.axis_major_length,
        "axis_minor_px": region.axis_minor_length,
        "eccentricity": region.eccentricity,
        "solidity": region.solidity,
        "extent": region.extent,
        "form_factor": 4 * np.pi * region.area / region.perimeter_crofton**2,
    }


def _intensity(grey: Grey, mask: Mask, params: Features) -> dict[str, float]:
    levels = grey[mask]
    mean = levels.mean()
    sd = levels.std() if np.ptp(levels) else 0.0  # a rounded mean leaves equal levels a spread
    standard = (levels - mean) / (sd or 1.0)
    inner = ndimage.binary_erosion(mask, np.ones((3, 3), dtype=bool))  # Sobel looks at 3 x 3 pixels
    slope = np.hypot(sobel_h(grey), sobel_v(grey)) / 2  # their kernels span two pixels
    gradient = slope[inner] if inner.any() else np.zeros(1)
    return {
        "grey_mean_level": mean,
        "grey_sd_level": sd,
        **{f"grey_p{q:02d}_level": np.percentile(levels, q) for q in params.percentiles},
        "grey_skewness": (standard**3).mean(),
        "grey_kurtosis": (standard**4).mean() - 3 if sd else 0.0,
        "grey_sum_level": levels.sum(),
        "gradient_mean_level_per_px": gradient.mean(),
        "gradient_sd_level_per_px": gradient.std(),
    }


def _texture(grey: Grey, mask: Mask, params: Features) -> dict[str, float]:
    quantised = quantise(grey, mask, params.grey_levels)
    pairs = cooccurrence(quantised, params.grey_levels, params.distances_px)
    pairs[0, 0][pairs.sum(axis=(0, 1)) == 0] = 1  # no pair: as on an even surface
    features = {}
    for name in TEXTURE:
        by_distance = graycoprops(pairs, name)  # (distances, directions)
        for distance, values in zip(params.distances_px, by_distance, strict=True):
            features[f"glcm_{name.lower()}_{distance}px_mean"] = values.mean()
            features[f"glcm_{name.lower()}_{distance}px_range"] = np.ptp(values)
    return features


def quantise(grey: Grey, mask: Mask, levels: int) -> npt.NDArray[np.uint8]:
    """Divide a nucleus' own range of grey into `levels` equal steps: 1..levels, background 0.

    Texture thereby does not depend on brightness and contrast, which the intensities measure (the
    "fixed bin number" of the Image Biomarker Standardisation Initiative, Zwanenburg et al. 2020).
    """
    low, high = grey[mask].min(), grey[mask].max()
    steps = np.floor((grey - low) / ((high - low) or 1.0) * levels)
    return np.where(mask, 1 + np.clip(steps, 0, levels - 1), 0).astype(np.uint8)


def cooccurrence(
    quantised: npt.NDArray[np.uint8], levels: int, distances: tuple[int, ...]
) -> npt.NDArray[np.uint32]:
    """Count the pairs of pixels inside the nucleus by their grey levels, in both orders.

    Returns (levels, levels, distances, 4); the directions are along rows, along columns and the two
    diagonals. Distance is Haralick's (1973), chessboard: the diagonal step at distance d is (d, d).
    scikit-image steps by rounded Euclidean distance, in which the diagonals of 1 and 2 px are the
    same pairs, hence the factor of sqrt(2).
    """
    straight, diagonal = (
        graycomatrix(quantised, steps, angles, levels=levels + 1, symmetric=True)
        for steps, angles in (
            (np.array(distances), [0, np.pi / 2]),
            (np.array(distances) * np.sqrt(2), [np.pi / 4, 3 * np.pi / 4]),
        )
    )
    # Row and column 0 are the pairs with the background, that is, the outline.
    return np.concatenate([straight, diagonal], axis=-1)[1:, 1:]

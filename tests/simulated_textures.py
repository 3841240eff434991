"""A study of small nuclei whose label is drawn anew, and what is planted into them."""

from pathlib import Path

import numpy as np
from conftest import nuclei_of
from scipy import ndimage

from fathom.splitting.folds import write_splits
from fathom.study.nuclei import NUCLEUS_COLUMNS, Nuclei, read_nuclei, write_nuclei
from fathom.study.splits import Split
from fathom.texture.params import Texture

SIDE = 24
SPLIT = Split(group="slide", folds=2, validation_share=0.3, seed=0)
SLIDES, EACH = 12, 20


def texture(*strengths: float) -> Texture:
    return Texture(strengths=strengths, wavelength_px=4.0, seeds=(0,), seed=0)


def write_study(folder: Path, channels: int = 1) -> Nuclei:
    """Write nuclei, a shard a slide, and their splits; four in ten are positive, for no reason."""
    rng = np.random.default_rng(0)
    names = [f"s{number}" for number in range(SLIDES)]
    bare = nuclei_of(np.repeat(names, EACH).tolist(), [i % 5 < 2 for i in range(SLIDES * EACH)])
    table = bare.table.assign(
        shard=[f"{name}.npy" for name in np.repeat(names, EACH)],
        row=np.tile(np.arange(EACH), SLIDES),
    )
    table = table.reindex(columns=list(NUCLEUS_COLUMNS), fill_value=0)
    shards = {f"{name}.npy": _crops(rng, channels) for name in names}
    write_nuclei(folder / "nuclei", table, shards)
    nuclei = read_nuclei(folder / "nuclei")
    write_splits(nuclei, SPLIT, folder / "splits")
    return nuclei


def _crops(rng: np.random.Generator, channels: int) -> np.ndarray:
    """Return ellipses of blurred noise, (EACH, SIDE, SIDE, channels) uint8, 0 around them."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    shape = (EACH, SIDE, SIDE, channels)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), (0, 1, 1, 0)) * 60
    crops = np.clip(np.rint(90 + noise), 1, 255)
    for crop in crops:
        crop[np.hypot(y / rng.uniform(7, 11), x / rng.uniform(7, 11)) > 1] = 0
    return crops.astype(np.uint8)

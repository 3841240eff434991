"""A label that the texture tells and nothing else: drawn at random, planted by a known amount.

**The label** is drawn at random within each group, so that a group has the same share of it as all
nuclei together, and tells nothing.

**The texture** of the positive nuclei is changed, and nothing else of them. A band-limited Gaussian
pattern is mixed into the grey levels inside of the nucleus, both in standard deviations from their
mean:

    mixed = sqrt(1 - a^2) own + a pattern,    a: the strength, 0..1

The nucleus then keeps its own grey levels and puts them elsewhere: its brightest one where `mixed`
is largest, and so on down (as surrogate data keep their amplitudes: Theiler et al. 1992, Physica D
58:77). So the outline, the mean, the spread and the whole histogram of each nucleus are what they
were, to the last bit; only the arrangement tells the label. a^2 is the pattern's share of the
variance; at a = 1 nothing of the own arrangement is left.

Every nucleus has its own stream of chance, by its name: another nucleus in the study changes no
other's pattern, and a nucleus has the same pattern at every strength.
"""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft

from fathom.ground.arrays import Bools, Floats
from fathom.splitting.folds import balanced
from fathom.study.certificate import DUPLICATES
from fathom.study.nuclei import Nuclei, write_nuclei, write_shard
from fathom.study.splits import Split, check_splits
from fathom.texture.params import Texture

OWN, CHANGED = "own texture", "changed texture"  # the classes
BAND = 0.25  # SD of the pattern's frequencies, as a share of 1 / wavelength

Crop = npt.NDArray[np.uint8]  # (crop_px, crop_px, channels), background 0


def write_planted(nuclei: Nuclei, group: str, texture: Texture, strength: float, out: Path) -> None:
    """Write the kept nuclei as the stage `crop` does, with labels drawn and the texture planted.

    `group` is the column of the nuclei's table that stands on one side of a split.
    """
    positives = int(nuclei.kept["positive"].sum())
    groups = nuclei.kept[group].to_numpy(dtype=str)
    labels = random_labels(groups, positives, texture.seed)
    table = nuclei.kept.assign(positive=labels, label=np.where(labels, CHANGED, OWN))
    for name, rows in table.groupby("shard", sort=True):
        crops = np.load(nuclei.folder / str(name))
        for nucleus, row in rows.loc[rows["positive"], ["nucleus", "row"]].itertuples(index=False):
            crops[row] = planted(crops[row], str(nucleus), texture, strength)
        write_shard(out, str(name), crops)
    write_nuclei(out, table)


def random_labels(groups: npt.NDArray[np.str_], positives: int, seed: int) -> Bools:
    """Return labels, (n,) bool, of which `positives` are True, drawn at random within groups.

    Each group has its part of them, rounded up or down. `groups` is (n,), the name of each
    nucleus' group.
    """
    stream, n = np.random.default_rng(seed), len(groups)
    by_group = np.lexsort((stream.permutation(n), groups))
    dealt = (np.arange(n + 1) * positives + stream.integers(n)) // n
    labels = np.empty(n, dtype=np.bool_)
    labels[by_group] = np.diff(dealt) > 0
    return labels


def planted(crop: Crop, nucleus: str, texture: Texture, strength: float) -> Crop:
    """Return the crop of `nucleus` (its name) with its texture changed by `strength`, 0..1.

    Channels are changed alike. A nucleus of one grey level has no texture to change.
    """
    stream = _stream(texture.seed, nucleus)
    return rearranged(crop, pattern(len(crop), texture.wavelength_px, stream), strength)


def pattern(side: int, wavelength_px: float, stream: np.random.Generator) -> Floats:
    """Return a (side, side) Gaussian random field of frequencies about 1 / `wavelength_px`.

    It is periodic, as that of `fathom.simulation.simulated_chromatin`, and scaled by nobody: its
    user does that inside of a nucleus.
    """
    frequency = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side))
    band = np.exp(-(((frequency * wavelength_px - 1) / BAND) ** 2) / 2)
    white = stream.standard_normal((side, side))
    field: Floats = fft.irfft2(fft.rfft2(white) * band, s=(side, side))
    return field


def rearranged(crop: Crop, field: Floats, strength: float) -> Crop:
    """Return a crop whose grey levels are rearranged towards `field`, (crop_px, crop_px)."""
    inside = crop.any(axis=-1)
    wanted = _standard(field[inside])
    found = crop.copy()
    for channel in range(crop.shape[-1]):
        own = crop[inside, channel]
        mixed = np.sqrt(1 - strength**2) * _standard(own) + strength * wanted
        levels = np.empty_like(own)
        levels[np.argsort(mixed, kind="stable")] = np.sort(own)
        found[inside, channel] = levels
    return found


def planted_splits(
    splits: pd.DataFrame, folder: Path, nuclei: Nuclei, params: Split
) -> pd.DataFrame:
    """Return the study's folds and parts, balanced anew for the drawn labels of `nuclei`.

    `splits` is the study's own table, read from `folder`. Raises `FathomError` where what comes out
    breaks a promise of `fathom.study.splits`.
    """
    positive = nuclei.kept.set_index("nucleus")["positive"]
    tables = []
    for fold, here in splits.groupby("fold", sort=True):
        labels = positive.loc[here["nucleus"]].to_numpy(dtype=np.bool_)
        part = here["part"].to_numpy(dtype=object)
        tables.append(here.assign(kept=balanced(part, labels, params.seed, int(str(fold)))))
    table = pd.concat(tables, ignore_index=True)
    check_splits(table, nuclei, params.group, pd.read_parquet(folder / DUPLICATES))
    return table


def _standard(values: npt.NDArray[np.generic]) -> Floats:
    """Return values in standard deviations from their mean; 0 throughout where all are one."""
    centred: Floats = values.astype(np.float64)
    centred -= centred.mean()
    return centred / (float(centred.std()) or 1.0)


def _stream(seed: int, nucleus: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {nucleus}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))

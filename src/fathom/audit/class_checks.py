"""What gives a class away without a look at the chromatin.

That is brightness, a mark, the acquisition, or the patient.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import fisher_exact, norm, t
from sklearn.metrics import roc_auc_score

from fathom.audit.findings import Finding, in_words
from fathom.audit.image_traits import MARKS
from fathom.audit.params import Audit
from fathom.ground.arrays import Bools, Floats
from fathom.study.stored_crops import CropRows, Crops, by_batches

_FEWEST_NUCLEI = 5  # of either class in a slide, to compare them there
_FEWEST_SLIDES = 6
_CORNER_SHARE = 6  # a crop's corners are squares of a 6th of its side
# Of the background: what is measured of nuclei may differ because the classes do.
_ACQUISITION = ("bits", "channels", "background", "noise")


def audit_brightness(kept: pd.DataFrame, crops: CropRows, params: Audit) -> Iterator[Finding]:
    """Compare the classes' mean grey within slides, where exposure and stain are the same.

    The unit is the slide: the mean of their AUROC, and the standard error by their differences. A
    finding is beyond 0.5 by `told_margin` at the confidence that `chance` leaves.
    """
    grey = by_batches(crops, _grey)
    positive = kept["positive"].to_numpy(dtype=bool)
    found = []
    for rows in kept.groupby("slide", sort=True).indices.values():
        here = positive[rows]
        if min(here.sum(), (~here).sum()) >= _FEWEST_NUCLEI:
            n1, n0 = here.sum(), (~here).sum()
            # The variance of an AUROC of 0.5: the least that chance within a slide brings in.
            found.append((roc_auc_score(here, grey[rows]), (n1 + n0 + 1) / (12 * n1 * n0)))
    if not found:
        return
    values, variances = np.array(found).T
    n = len(values)
    between = values.var(ddof=1) / n if n > 1 else 0.0
    error = float(np.sqrt(max(between, variances.sum() / n**2)))
    away = abs(float(values.mean()) - 0.5)
    certain = float(norm.cdf((away - params.told_margin) / error))
    if certain > 1 - params.chance:
        brighter = "positive" if values.mean() > 0.5 else "negative"
        names = kept.loc[positive == (brighter == "positive"), "label"]
        yield Finding(
            "class_told_by_brightness",
            "nuclei",
            f"nuclei of the class '{names.iloc[0]}' are brighter than others of their slide with a "
            f"probability of {0.5 + away:.2f} ({n} slides): is that the biology?",
            certain,
            (),
        )


def _grey(crops: Crops) -> Floats:
    """Return the mean grey of each crop's nucleus."""
    total = crops.sum(axis=(1, 2, 3), dtype=np.float64) / crops.shape[-1]
    return np.asarray(total / np.maximum(crops.any(axis=-1).sum(axis=(1, 2)), 1))


def audit_marks(kept: pd.DataFrame, crops: CropRows, params: Audit) -> Iterator[Finding]:
    """Look for something in the crops' corners, where no round nucleus reaches."""
    side = max(crops.shape[1] // _CORNER_SHARE, 1)
    edge = np.r_[:side, crops.shape[1] - side : crops.shape[1]]
    corners = by_batches(
        crops, lambda some: np.asarray(some[:, edge][:, :, edge].any(axis=(1, 2, 3)))
    )
    yield from _told_by_corner(kept, corners, params)


def _told_by_corner(kept: pd.DataFrame, corners: Bools, params: Audit) -> Iterator[Finding]:
    positive = kept["positive"].to_numpy(dtype=bool)
    counts = np.array(
        [[(corners & of).sum(), (~corners & of).sum()] for of in (positive, ~positive)]
    )
    chance = float(fisher_exact(counts).pvalue)
    with_mark, marked = int(counts[:, 0].sum()), counts[:, 0]
    if chance < params.chance and marked.max() >= 0.8 * with_mark:
        one = kept.loc[positive == (marked[0] > marked[1]), "label"].iloc[0]
        yield Finding(
            "class_told_by_mark",
            "corners of crops",
            f"{with_mark} crops have pixels in a corner, {marked.max()} of them of class '{one}'",
            1 - chance,
            tuple(kept.loc[corners, "nucleus"]),
        )


def audit_acquisition(kept: pd.DataFrame, traits: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    """Correlate each slide's traits with its share of positive nuclei.

    The unit is the slide; the test is that of a correlation, times the number of traits
    (Bonferroni), and the correlation is at least `told_correlation`: it must nearly give the
    class away.
    """
    slides = kept.groupby("image")["slide"].first()
    sound = traits[(traits["error"] == "") & traits["image"].isin(slides.index)]
    names = [*_ACQUISITION, *MARKS]
    values = sound[names].astype(np.float64)
    # Ratios count, not differences: a camera's offset and gain.
    logarithms = pd.DataFrame(np.log(values.clip(lower=1e-6).to_numpy()), columns=names)
    by_slide = logarithms.groupby(sound["image"].map(slides).to_numpy()).mean()
    share = kept.groupby("slide")["positive"].mean().reindex(by_slide.index)
    told = [
        (name, *_correlation(by_slide[name].to_numpy(), share.to_numpy(dtype=np.float64)))
        for name in names
    ]
    for check, of in (("class_told_by_mark", MARKS), ("class_told_by_acquisition", _ACQUISITION)):
        found = [
            (abs(r), name, r, p * len(names))
            for name, r, p in told
            if name in of and abs(r) >= params.told_correlation and p * len(names) < params.chance
        ]
        if found:
            _, name, r, p = max(found)
            yield Finding(
                check,  # type: ignore[arg-type]
                "slides",
                f"a slide's {name.replace('_', ' ')} correlates with its share of positive nuclei, "
                f"r = {r:.2f} over {len(share)} slides: which "
                f"{'mark' if of is MARKS else 'camera'} it has tells the class",
                1 - p,
                tuple(by_slide.index),
            )


def _correlation(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return Pearson's r and its two-sided p; 0 and 1 where one of them does not vary."""
    n = len(x)
    if n < _FEWEST_SLIDES or np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return 0.0, 1.0
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1 + 1e-12, 1 - 1e-12))
    return r, float(2 * t.sf(abs(r) * np.sqrt((n - 2) / (1 - r**2)), n - 2))


def audit_patients(kept: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    """Yield patients with one class only, where chance is no reason and others have both.

    Where most patients have one class, the label is one of patients, and that is the study.
    """
    counts = class_counts(kept, "patient")
    single = (counts > 0).sum(axis=1) == 1
    if single.mean() > 0.5:
        return
    shares = kept["label"].value_counts(normalize=True)
    for patient in counts.index[single]:
        label, n = counts.loc[patient].idxmax(), int(counts.loc[patient].max())
        chance = float(shares[label] ** n)
        if chance < params.chance:
            yield Finding(
                "one_class_patient",
                f"patient {patient}",
                f"all {n} nuclei are '{label}'; in the whole set: {in_words(_totals(counts))}",
                1 - chance,
                tuple(kept.loc[kept["patient"] == patient, "nucleus"]),
            )


def class_counts(kept: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return the nuclei by patient, slide or image: a row a group, a column a class."""
    return kept.groupby([group, "label"]).size().unstack(fill_value=0)


def _totals(counts: pd.DataFrame) -> dict[str, int]:
    return {str(label): int(total) for label, total in counts.sum().items()}

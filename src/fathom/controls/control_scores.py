"""What is reported of the controls: scores, and how far they are from who sees everything.

All is computed with the same groups and seeds left out as in `fathom.statistics.comparison`, so
that a difference is paired.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import mutual_info_score

from fathom.ground.arrays import Bools, Floats
from fathom.statistics.intervals import (
    Design,
    Numbers,
    difference_interval,
    leave_out,
    share_interval,
    spread,
)
from fathom.statistics.measures import Strata, measures_of, stratified
from fathom.statistics.metrics import balanced_accuracy, share
from fathom.statistics.scores import Cells, Study
from fathom.study.nuclei import Nuclei


def control_scores(
    controls: Mapping[str, Cells],
    references: Mapping[str, Cells],
    design: Design,
    confidence: float,
) -> Numbers:
    """Return of each control its balanced accuracy and AUROC, and what its reference has beyond it.

    `references` holds, by control, who sees all that the control lacks. Names are
    `<control>.<measure>`; `beyond` is the reference's balanced accuracy minus the control's.
    """
    weights = leave_out(design)
    numbers: Numbers = {}
    for name, cells in controls.items():
        own, other = measures_of(cells, weights), measures_of(references[name], weights)
        for of in ("balanced_accuracy", "auroc"):
            numbers |= share_interval(own[of], design, confidence).as_numbers(f"{name}.{of}")
        beyond = other["balanced_accuracy"] - own["balanced_accuracy"]
        numbers |= _difference(beyond, design, confidence, f"{name}.beyond")
    return numbers


def batch_effect(
    everyone: Mapping[str, Cells],
    across: Mapping[str, Cells],
    strata: Strata,
    design: Design,
    confidence: float,
) -> Numbers:
    """Return scores as the folds have them, within acquisitions, and on acquisitions left out.

    Parameters
    ----------
    everyone : each run and classifier on the study's folds, read with `strata.study`
    across : those that were also trained with one acquisition left out, read likewise
    strata : the study by acquisition

    Returns
    -------
    `batch.<name>.default`: balanced accuracy. `.within`: the mean of that within each
    acquisition that has both classes; what only the acquisition's share of the label tells is not
    in it. `.across`: on the acquisition that training never saw, and `.loss`: that minus
    `.default`, paired. Each has its interval; one that cannot be computed is left out.
    """
    weights = leave_out(design)
    acquisitions = np.eye(int(strata.stratum.max()) + 1, dtype=np.bool_)
    anything = np.ones(len(acquisitions), dtype=np.bool_)
    numbers: Numbers = {}
    for name, cells in everyone.items():
        default = balanced_accuracy(strata.counts(cells, weights, anything))
        numbers |= share_interval(default, design, confidence).as_numbers(f"batch.{name}.default")
        each = [balanced_accuracy(strata.counts(cells, weights, one)) for one in acquisitions]
        usable = [values for values in each if np.isfinite(values[0])]
        if usable:
            # Of an acquisition of one group nothing is left without that: the others remain.
            within = _mean_of_finite(np.stack(usable, axis=1))
            numbers |= share_interval(within, design, confidence).as_numbers(f"batch.{name}.within")
        if name in across:
            values = balanced_accuracy(strata.counts(across[name], weights, anything))
            numbers |= share_interval(values, design, confidence).as_numbers(f"batch.{name}.across")
            numbers |= _difference(values - default, design, confidence, f"batch.{name}.loss")
    return numbers


def label_leak(
    everyone: Mapping[str, Cells], strata: Strata, design: Design, confidence: float
) -> Numbers:
    """Return scores on all nuclei and on those whose crop does not show what the label is about.

    `strata` divides the nuclei whose image has a label mask into 0, not shown, and 1, shown; 2 are
    the others, which are left out. Returns `label.<name>.all`, `.without`, `.leak` (all minus
    without, paired), and the sensitivities `.sensitivity_shown` and `.sensitivity_not_shown`.
    Thresholds are those that the whole validation parts chose.
    """
    weights = leave_out(design)
    not_shown, shown, known = (
        np.array(of) for of in ([True, False, False], [False, True, False], [True, True, False])
    )
    numbers: Numbers = {}
    for name, cells in everyone.items():
        whole = balanced_accuracy(strata.counts(cells, weights, known))
        without = balanced_accuracy(strata.counts(cells, weights, not_shown))
        if not (np.isfinite(whole[0]) and np.isfinite(without[0])):
            continue
        key = f"label.{name}"
        numbers |= share_interval(whole, design, confidence).as_numbers(f"{key}.all")
        numbers |= share_interval(without, design, confidence).as_numbers(f"{key}.without")
        numbers |= _difference(whole - without, design, confidence, f"{key}.leak")
        for of, strata_of in (("shown", shown), ("not_shown", not_shown)):
            counts = strata.counts(cells, weights, strata_of)
            found = share(counts[:, 0], counts[:, 0] + counts[:, 1])
            if np.isfinite(found[0]):
                interval = share_interval(found, design, confidence)
                numbers |= interval.as_numbers(f"{key}.sensitivity_{of}")
    return numbers


def recognition(
    predictions: pd.DataFrame, study: Study, design: Design, confidence: float, key: str
) -> Numbers:
    """Return how well acquisitions are recognised: balanced accuracy, chance, and their number.

    `predictions`: what `fathom.controls.acquisition.recognised` returns, in the order of the study.
    """
    codes, names = pd.factorize(predictions["true"], sort=True)
    cell = study.group * len(names) + codes
    size = study.groups * len(names)
    right = (predictions["true"] == predictions["predicted"]).to_numpy(dtype=np.float64)
    hits, total = (
        np.bincount(cell, weight, size).reshape(study.groups, -1)
        for weight in (right, np.ones(len(cell)))
    )
    groups = leave_out(design).groups
    recall = share(groups @ hits, groups @ total)
    found = share_interval(_mean_of_finite(recall), design, confidence)
    return {
        **found.as_numbers(f"{key}.recognised"),
        f"{key}.chance": 1 / len(names),
        f"{key}.number": len(names),
    }


def mutual_information(nuclei: Nuclei, column: str) -> tuple[float, float]:
    """Return how many bits `column` tells of the label, and how many it would by chance.

    Chance is the plug-in estimate's bias for independent nuclei, (k - 1) / 2n ln 2 of k values
    and n nuclei with two classes (Miller 1955).
    """
    kept = nuclei.kept
    bits = float(mutual_info_score(kept[column], kept["positive"]) / np.log(2))
    return bits, (kept[column].nunique() - 1) / (2 * len(kept) * np.log(2))


def label_strata(counts: pd.DataFrame, study: Study, least_px: int) -> tuple[Strata, Numbers]:
    """Return the strata of `label_leak`, and how many nuclei of either class are in them.

    `counts` is what `fathom.controls.control_crops.label_pixels` returns.
    """
    pixels = counts.set_index("nucleus")["label_px"].reindex(study.nucleus).to_numpy(np.float64)
    known, shown = np.isfinite(pixels), np.nan_to_num(pixels) >= least_px
    strata = stratified(study, np.where(known, shown, 2).astype(np.int64))
    numbers: Numbers = {"label_pixels.nuclei": int(known.sum())}
    for name, of in (("positive", study.positive), ("negative", ~study.positive)):
        here = known & of
        if here.any():
            numbers[f"label_pixels.{name}"] = float(shown[here].mean())
    return strata, numbers


def _difference(values: Floats, design: Design, confidence: float, name: str) -> Numbers:
    return difference_interval(spread(values, design), confidence).as_numbers(name)


def _mean_of_finite(values: Floats) -> Floats:
    """Return the mean of each row's finite values, NaN where there are none."""
    finite: Bools = np.isfinite(values)
    return share(np.where(finite, values, 0).sum(axis=1), finite.sum(axis=1))

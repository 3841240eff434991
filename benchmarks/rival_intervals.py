"""Intervals and a test that other papers use, of a mean of two shares over patients.

Every function takes what is known of one number of one study and returns the ends of its interval.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from fathom.statistics.metrics import balanced_accuracy


@dataclass(frozen=True)
class Known:
    """A number, what it is in resamples and without each patient, and its linear approximation."""

    estimate: float
    resampled: np.ndarray  # (resamples,)
    resampled_error: np.ndarray  # (resamples,) the linearised standard error in each
    without: np.ndarray  # (patients,)
    influence: np.ndarray  # (patients,)

    @property
    def error(self):
        """Return the standard error by linearisation (the sandwich, with G / (G - 1))."""
        groups = len(self.influence)
        return np.sqrt(groups / (groups - 1) * np.square(self.influence).sum())


def known(counts, draws, left_out, difference):
    """Return what is known of the first network, or of the second minus the first.

    `counts`: (networks, patients, 4); `draws`, `left_out`: (rows, patients), row 0 all ones.
    """
    chosen = (0, 1) if difference else (0,)
    values, influences, errors, without = [], [], [], []
    for network in chosen:
        totals = draws @ counts[network]
        values.append(balanced_accuracy(totals))
        influences.append(_influence(counts[network], totals))
        without.append(balanced_accuracy(left_out @ counts[network])[1:])
    value, influence, left = (
        (each[1] - each[0]) if difference else each[0] for each in (values, influences, without)
    )
    groups = draws.shape[1]
    errors = np.sqrt(groups / (groups - 1) * (draws * influence**2).sum(axis=1))
    usable = np.isfinite(value) & np.isfinite(errors)
    usable[0] = False
    return Known(float(value[0]), value[usable], errors[usable], left, influence[0])


def draw(groups, resamples, seed):
    """Return how often each patient stands in each resample: (1 + resamples, groups).

    Row 0 is the data. Whole patients are drawn with replacement, never nuclei (the cluster
    bootstrap: Field & Welsh 2007, J. R. Stat. Soc. B 69:369).
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    return np.vstack([np.ones(groups), drawn])


def percentile(number, confidence):
    """Efron & Tibshirani 1993, chapter 13: the usual choice."""
    tail = (1 - confidence) / 2
    return np.quantile(number.resampled, [tail, 1 - tail])


def expanded(number, confidence):
    """Hesterberg 2015, section 4.2: tails at Student's quantile times sqrt(G / (G - 1))."""
    groups = len(number.without)
    tail = norm.cdf(np.sqrt(groups / (groups - 1)) * student.ppf((1 - confidence) / 2, groups - 1))
    return np.quantile(number.resampled, [tail, 1 - tail])


def bca(number, confidence):
    """Efron & Tibshirani 1993, section 14.3: bias-corrected and accelerated."""
    below = (number.resampled < number.estimate).mean()
    tied = (number.resampled == number.estimate).mean()
    bias = norm.ppf(np.clip(below + tied / 2, 1e-3, 1 - 1e-3))
    apart = number.without.mean() - number.without
    cubed = np.square(apart).sum() ** 1.5
    acceleration = (apart**3).sum() / (6 * cubed) if cubed else 0.0
    tails = bias + norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    return np.quantile(number.resampled, norm.cdf(bias + tails / (1 - acceleration * tails)))


def studentised(number, confidence):
    """Efron & Tibshirani 1993, section 12.5: the bootstrap-t."""
    usable = number.resampled_error > 0
    pivots = (number.resampled - number.estimate)[usable] / number.resampled_error[usable]
    high, low = np.quantile(pivots, [(1 - confidence) / 2, (1 + confidence) / 2])
    return number.estimate - low * number.error, number.estimate - high * number.error


def linearised(number, confidence):
    """Sandwich variance of the two ratios, Student's t with G - 1 degrees of freedom."""
    half = student.ppf((1 + confidence) / 2, len(number.without) - 1) * number.error
    return number.estimate - half, number.estimate + half


def plain_jackknife(number, confidence):
    """Leave out one patient after another: t with G - 1 degrees of freedom, no change of scale."""
    groups = len(number.without)
    error = np.sqrt((groups - 1) / groups * np.square(number.without - number.without.mean()).sum())
    half = student.ppf((1 + confidence) / 2, groups - 1) * error
    return number.estimate - half, number.estimate + half


RIVALS = {
    "bootstrap, percentile": percentile,
    "bootstrap, BCa": bca,
    "bootstrap, expanded percentile": expanded,
    "bootstrap-t": studentised,
    "linearised variance, t(G - 1)": linearised,
    "jackknife, t(G - 1)": plain_jackknife,
}


def corrected_p_value(differences, folds):
    """Return the two-sided p value of the corrected resampled t test that the mean is 0.

    Folds share most of their training nuclei, so that their differences are less scattered than
    independent ones: the variance is multiplied by 1/n + test/training nuclei instead of 1/n
    (Nadeau & Bengio 2003, Mach. Learn. 52:239, section 4.1.2). `differences`: (n,), one a fold;
    NaN, where a fold lacks a class, is left out.
    """
    usable = differences[np.isfinite(differences)]
    if len(usable) < 2:
        return 1.0
    error = np.sqrt(usable.var(ddof=1) * (1 / len(usable) + 1 / (folds - 1)))
    if not error:
        return float(usable[0] == 0)
    return float(2 * student.sf(abs(usable.mean()) / error, len(usable) - 1))


def _influence(counts, totals):
    """Return each patient's part in the linear approximation, by resample: (rows, patients)."""
    parts = []
    for right, wrong in ((0, 1), (2, 3)):
        whole = totals[:, right] + totals[:, wrong]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = totals[:, right] / whole
            own = counts[:, right] - share[:, None] * (counts[:, right] + counts[:, wrong])
            parts.append(own / whole[:, None])
    return (parts[0] + parts[1]) / 2

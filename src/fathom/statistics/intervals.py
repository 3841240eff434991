"""Intervals that keep their word with few groups: the jackknife over groups and seeds.

Nuclei of one patient resemble each other, so the unit is the group, never the nucleus. Every group
is left out once, and the spread of what remains is the standard error (Efron & Tibshirani 1993, eq.
11.5; of clusters: MacKinnon, Nielsen & Webb 2023, J. Econometrics 232:272, "CV3"). The interval is
Student's. Percentiles of a bootstrap over groups, the usual choice, cover the truth in 89 % of
studies of 8 patients where they promise 95 %; docs/calibration.md has the figures of both.

- *Degrees of freedom* are the effective number of groups minus 1: one patient with half of the
  nuclei is worth less than its count (Kish 1965: 1 / sum of squared shares of the nuclei).
- *A share* (balanced accuracy, AUROC) has its interval on the logit scale: symmetric there, it
  never leaves 0 to 1 and is no more wrong above than below. A difference has it as it is.
- *Seeds* are left out in turn likewise. The interval is the widest of three: over groups, over
  seeds, and over both, their variances added and their degrees of freedom Satterthwaite's
  (Satterthwaite 1946, Biometrics Bull. 2:110). Adding counts the interaction twice, which errs on
  the wide side; the widest of three follows MacKinnon, Nielsen & Webb 2024 (arXiv:2406.08880).
  Of a run of one seed, what another seed would have changed is not in the interval.
- *All runs* are computed with the same units left out, so a difference of two is paired: what both
  find hard cancels.

Where a class would be absent without one group, the number rests on that group alone, and the
interval is everything that is possible.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

from fathom.ground.arrays import Bools, Floats, Ints
from fathom.ground.errors import FathomError

Numbers = dict[str, float | int]  # of a file of metrics, by name


@dataclass(frozen=True)
class GroupWeights:
    """How often each group and each seed counts, a row a computation; row 0 is the data as such."""

    groups: Floats  # (rows, groups)
    seeds: Mapping[int, Floats]  # of each seed: (rows,)


@dataclass(frozen=True)
class Design:
    """The units of a study."""

    groups: int
    seeds: tuple[int, ...]
    effective_groups: float


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its interval."""

    estimate: float
    low: float
    high: float

    def as_numbers(self, name: str) -> Numbers:
        """Return the three as `name`, `<name>_low` and `<name>_high`."""
        return {name: self.estimate, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True)
class Spread:
    """An estimate and its standard errors, each with its degrees of freedom; the widest counts."""

    estimate: float
    errors: tuple[tuple[float, float], ...]

    def half_width(self, confidence: float) -> float:
        """Return how far the interval reaches to either side; infinite where nothing is known."""
        return max(quantile(df, confidence) * error if error else 0 for error, df in self.errors)

    def p_value(self) -> float:
        """Return the two-sided p value of the hypothesis that the truth is 0."""
        return max(_p_value(self.estimate, error, df) for error, df in self.errors)


def design_of(positive: Bools, group: Ints, groups: int, seeds: tuple[int, ...] = (0,)) -> Design:
    """Return the design of nuclei, (n,) each, whose `group` is in 0..groups-1.

    A group's weight is its mean share of the two classes, which is what it has in a balanced
    accuracy.
    """
    each = [np.bincount(group[of], minlength=groups) for of in (positive, ~positive)]
    return design_of_classes(np.stack(each).astype(np.float64), seeds)


def design_of_classes(each: Floats, seeds: tuple[int, ...] = (0,)) -> Design:
    """Return the same design by how many nuclei of either class each group has, (2, groups)."""
    weight = (each / np.maximum(each.sum(axis=1, keepdims=True), 1)).mean(axis=0)
    return Design(each.shape[1], seeds, float(weight.sum() ** 2 / np.square(weight).sum()))


def leave_out(design: Design) -> GroupWeights:
    """Return the weights of the data, then of each group left out, then of each of several seeds.

    Of one seed nothing is left out: rows are 1 + groups, or 1 + groups + seeds.
    """
    left_out = len(design.seeds) if len(design.seeds) > 1 else 0
    groups = np.ones((1 + design.groups + left_out, design.groups))
    seeds = np.ones((len(groups), len(design.seeds)))
    np.fill_diagonal(groups[1:], 0)
    np.fill_diagonal(seeds[1 + design.groups :], 0)
    return GroupWeights(groups, dict(zip(design.seeds, seeds.T, strict=True)))


def spread(values: Floats, design: Design) -> Spread:
    """Return the spread of a number that was computed for each row of `leave_out`.

    Parameters
    ----------
    values : (rows,) float64
        The estimate, then one value a unit left out; NaN where a class is absent without it.

    Raises
    ------
    FathomError
        Where the estimate is missing.
    """
    if not np.isfinite(values[0]):
        raise FathomError("a class is absent: use a finer split.group or more nuclei")
    estimate, without_group, without_seed = np.split(values, [1, 1 + design.groups])
    over_groups = (_variance(without_group), design.effective_groups - 1)
    parts = [over_groups]
    if len(without_seed):
        over_seeds = (_variance(without_seed), float(len(design.seeds) - 1))
        parts += [over_seeds, _sum(over_groups, over_seeds)]
    return Spread(float(estimate[0]), tuple((float(np.sqrt(of)), df) for of, df in parts))


def share_interval(values: Floats, design: Design, confidence: float) -> Interval:
    """Return the interval of a number between 0 and 1; `values` as in `spread`."""
    inside = bool(((values > 0) & (values < 1)).all())
    if inside:
        return _interval(spread(logit(values), design), confidence, float(values[0]), expit)
    # Of a share that is 0 or 1, with or without a group, there is no logit.
    return _interval(spread(values, design), confidence, float(values[0]), _within_0_and_1)


def difference_interval(found: Spread, confidence: float) -> Interval:
    """Return the interval of a difference of two numbers between 0 and 1."""
    return _interval(found, confidence, found.estimate, lambda end: float(np.clip(end, -1, 1)))


def quantile(df: float, confidence: float) -> float:
    """Return Student's two-sided quantile; infinite without a degree of freedom."""
    return float(student.ppf((1 + confidence) / 2, df)) if df > 0 else np.inf


def _interval(
    found: Spread, confidence: float, estimate: float, back: Callable[[float], float]
) -> Interval:
    half = found.half_width(confidence)
    # Rounding on the way to the scale and back must not shut the estimate out.
    low = min(estimate, float(back(found.estimate - half))) if half else estimate
    high = max(estimate, float(back(found.estimate + half))) if half else estimate
    return Interval(estimate, low, high)


def _within_0_and_1(end: float) -> float:
    return float(np.clip(end, 0, 1))


def _variance(without: Floats) -> float:
    """Return the jackknife's variance; infinite where a value is missing."""
    if not np.isfinite(without).all():
        return np.inf
    units = len(without)
    return float((units - 1) / units * np.square(without - without.mean()).sum())


def _sum(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the sum of two variances with Satterthwaite's degrees of freedom."""
    (a, df_a), (b, df_b) = one, other
    if not a or not b or not np.isfinite(a + b) or df_a <= 0:
        return one if a >= b else other
    return a + b, (a + b) ** 2 / (a**2 / df_a + b**2 / df_b)


def _p_value(estimate: float, error: float, df: float) -> float:
    if not error:
        return float(estimate == 0)
    if df <= 0:
        return 1.0
    return float(2 * student.sf(abs(estimate) / error, df))

"""What an intervention changes, cell by cell on the same folds and seeds, with an interval.

A study of a microscope's size has few cells, three folds and one seed, say, and the standard
deviation of three differences says little. So the variances of all rungs of a ladder are taken
together by the empirical Bayes rule that genomics uses for as few replicates (`moderated`), and
enlarged by the correction of Nadeau & Bengio 2003 (Machine Learning 52:239, section 3) for training
parts that overlap: (1 / cells + validation / training nuclei) instead of 1 / cells.

Whether a network is worse than a shallower one is asked of the held-out nuclei instead, group by
group, as the comparison reports it (`held_out_effect`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
from scipy import optimize, special, stats

from fathom.diagnosis.evidence import Evidence, paired
from fathom.ground.arrays import Floats
from fathom.statistics.claims import POWER
from fathom.statistics.intervals import (
    Design,
    Interval,
    design_of_classes,
    difference_interval,
    share_interval,
    spread,
)
from fathom.statistics.metrics import balanced_accuracy

TINY = 1e-16  # a variance of differences that are the same but for rounding
MOST = 1e6  # half the degrees of freedom beyond which a prior is as good as certain


@dataclass(frozen=True)
class Effect:
    """How much higher a number is in one row than in another."""

    estimate: float
    low: float  # -inf where nothing can be said
    high: float
    standard_error: float
    freedom: float  # degrees of freedom
    units: int  # cells, or groups of held-out nuclei

    @property
    def is_above(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0

    @property
    def is_below(self) -> bool:
        """Whether the interval lies below 0."""
        return self.high < 0


@dataclass(frozen=True)
class Prior:
    """What all rungs together say of the variance of paired differences (Smyth 2004)."""

    variance: float = 0.0
    freedom: float = 0.0


NO_PRIOR = Prior()


def effect(
    base: Evidence, changed: Evidence, measure: str, confidence: float, prior: Prior = NO_PRIOR
) -> Effect:
    """Return how much higher `measure` is in `changed` than in `base`, over the cells they share.

    `measure` is a number of `fathom.diagnosis.evidence.CellEvidence`. Without a `prior` the
    interval is Student's with the correction of Nadeau & Bengio.
    """
    cells = paired(base, changed)
    differences = np.array([getattr(b, measure) - getattr(a, measure) for a, b in cells])
    n = len(differences)
    estimate = float(differences.mean()) if n else 0.0
    own = n - 1
    if n < 2:
        return Effect(estimate, -inf, inf, inf, 0, n)
    freedom = prior.freedom + own
    variance = (prior.freedom * prior.variance + own * differences.var(ddof=1)) / freedom
    overlap = np.mean([a.validation_nuclei / a.train_nuclei for a, _ in cells])
    error = float(np.sqrt(variance * (1 / n + overlap)))
    return _with_interval(estimate, error, freedom, n, confidence)


def moderated(base: Evidence, rows: Sequence[Evidence], measure: str) -> Prior:
    """Return the prior that the paired differences of `rows` to `base` have in common.

    Smyth 2004 (Stat. Appl. Genet. Mol. Biol. 3:3, section 6.2): the variances are a scaled inverse
    chi square around s0^2 with d0 degrees of freedom, both by matching the mean and the variance of
    their logarithms. d0 is no more than what all rows have together, as in limma, so that a few
    rows never make a prior that a row's own differences cannot move. Rows that differ from the base
    by the same in every cell are left out, as are those of fewer cells than the others.
    """
    differences = [
        np.array([getattr(b, measure) - getattr(a, measure) for a, b in paired(base, row)])
        for row in rows
    ]
    cells = max(map(len, differences), default=0)
    variances = [d.var(ddof=1) for d in differences if len(d) == cells and cells > 1]
    logs = np.log([variance for variance in variances if variance > TINY])
    if len(logs) < 2:
        return NO_PRIOR
    together = float(len(logs) * (cells - 1))
    half = (cells - 1) / 2
    centred = logs - special.digamma(half) + np.log(half)
    excess = centred.var(ddof=1) - special.polygamma(1, half)
    if excess <= special.polygamma(1, MOST):  # no more different than chance makes them
        return Prior(float(np.exp(centred.mean())), together)
    half_prior = optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-3, MOST)
    location = centred.mean() + special.digamma(half_prior) - np.log(half_prior)
    return Prior(float(np.exp(location)), min(2 * half_prior, together))


def held_out_effect(base: Evidence, changed: Evidence, confidence: float) -> Effect | None:
    """Return how much higher the balanced accuracy of held-out nuclei is in `changed`.

    All cells are counted together, as `fathom.statistics.comparison` reports it, with the interval
    of `fathom.statistics.intervals` over groups: no random numbers. None where either has no
    counts.
    """
    if base.held_out is None or changed.held_out is None:
        return None
    before, after = np.array(base.held_out), np.array(changed.held_out)
    found = spread(_left_out(after) - _left_out(before), _design(before))
    interval = difference_interval(found, confidence)
    ((error, freedom),) = found.errors
    return Effect(interval.estimate, interval.low, interval.high, error, freedom, len(before))


def held_out_accuracy(row: Evidence, confidence: float) -> Interval | None:
    """Return the balanced accuracy of a row's held-out nuclei, with its interval over groups."""
    if row.held_out is None:
        return None
    counts = np.array(row.held_out)
    return share_interval(_left_out(counts), _design(counts), confidence)


def _left_out(counts: Floats) -> Floats:
    """Return the balanced accuracy of all groups, (groups, 4), then of all but each."""
    total = counts.sum(axis=0)
    return balanced_accuracy(np.vstack([total, total - counts]))


def _design(counts: Floats) -> Design:
    """Return the groups as units, by their counts: (groups, 4)."""
    return design_of_classes(np.stack([counts[:, :2].sum(axis=1), counts[:, 2:].sum(axis=1)]))


def smallest_visible(found: Effect, confidence: float) -> float:
    """Return the smallest difference that would have been seen with `POWER`, in the same units.

    (t of the confidence + t of the power) standard errors, the usual approximation (Cohen 1988).
    """
    if not isfinite(found.standard_error):
        return inf
    freedom = found.freedom
    quantiles = stats.t.ppf((1 + confidence) / 2, freedom) + stats.t.ppf(POWER, freedom)
    return float(quantiles * found.standard_error)


def _with_interval(
    estimate: float, error: float, freedom: float, units: int, confidence: float
) -> Effect:
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return Effect(estimate, estimate - reach, estimate + reach, error, freedom, units)

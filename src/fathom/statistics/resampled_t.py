"""A second opinion on a difference: the corrected resampled t test of Nadeau & Bengio.

It looks at how the difference varies from fold to fold and seed to seed, where the interval looks
at groups. Folds share most of their training nuclei, so their differences are less scattered than
independent ones: the variance is multiplied by 1/n + test/training nuclei instead of 1/n (Nadeau &
Bengio 2003, Mach. Learn. 52:239, section 4.1.2; Bouckaert & Frank 2004 for repeated folds). With
three folds it has two degrees of freedom and sees large differences only.
"""

import numpy as np
from scipy.stats import t as student

from fathom.ground.arrays import Floats


def corrected_p_value(differences: Floats, folds: int) -> float:
    """Return the two-sided p value of the hypothesis that the mean difference is 0.

    Parameters
    ----------
    differences : (n,) float64, one a fold and seed; NaN, where a fold lacks a class, is left out
    folds : int, whose number gives the ratio of test to training nuclei, 1 / (folds - 1)
    """
    usable = differences[np.isfinite(differences)]
    if len(usable) < 2 or folds < 2:
        return 1.0
    error = np.sqrt(usable.var(ddof=1) * (1 / len(usable) + 1 / (folds - 1)))
    if not error:
        return float(usable[0] == 0)
    return float(2 * student.sf(abs(usable.mean()) / error, len(usable) - 1))

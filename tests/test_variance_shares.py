import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from fathom.ground.errors import FathomError
from fathom.statistics.variance_shares import variance_components, variance_shares


def crossed(rng, patients, runs, seeds, sd):
    """Scores of every patient, run and seed, each factor's levels normal with its own SD."""
    patient, run, seed = (
        a.ravel() for a in np.meshgrid(range(patients), range(runs), range(seeds), indexing="ij")
    )
    network = run * seeds + seed
    scores = sum(
        rng.normal(0, sd[name], level.max() + 1)[level]
        for name, level in (("patient", patient), ("run", run), ("network", network))
    )
    scores = scores + rng.normal(0, sd["rest"], len(scores))
    return scores, {"patient": patient, "run": run, "network": network}


SD = {"patient": 0.3, "run": 0.2, "network": 0.15, "rest": 0.1}


def test_balanced_data_give_the_estimates_of_an_analysis_of_variance():
    scores, factors = crossed(np.random.default_rng(0), 9, 4, 1, SD)
    del factors["network"]
    table = pd.DataFrame({"score": scores, **factors})
    squares = anova_lm(ols("score ~ C(patient) + C(run)", table).fit())["mean_sq"]
    expected = {
        "patient": (squares["C(patient)"] - squares["Residual"]) / 4,
        "run": (squares["C(run)"] - squares["Residual"]) / 9,
        "rest": squares["Residual"],
    }
    assert variance_components(scores, factors) == pytest.approx(expected)


def test_a_factor_within_another_too():
    scores, factors = crossed(np.random.default_rng(1), 7, 3, 4, SD)
    table = pd.DataFrame({"score": scores, **factors})
    fit = ols("score ~ C(patient) + C(run) + C(network):C(run)", table)
    squares = anova_lm(ols("score ~ C(patient) + C(network)", table).fit())["mean_sq"]
    between = 7 * 4 * table.groupby("run")["score"].mean().var()
    within = 7 * table.groupby(["run", "network"])["score"].mean().groupby("run").var().mean()
    assert fit is not None
    assert variance_components(scores, factors) == pytest.approx(
        {
            "patient": (squares["C(patient)"] - squares["Residual"]) / 12,
            "run": (between - within) / 28,
            "network": (within - squares["Residual"]) / 7,
            "rest": squares["Residual"],
        }
    )


def test_unbalanced_data_are_right_on_average():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(600):
        scores, factors = crossed(rng, 10, 5, 3, SD)
        keep = rng.random(len(scores)) < np.linspace(0.2, 1, len(scores))
        found.append(
            variance_components(scores[keep], {n: level[keep] for n, level in factors.items()})
        )
    for name, value in pd.DataFrame(found).items():
        error = value.std() / np.sqrt(len(value))
        assert abs(value.mean() - SD[name] ** 2) < 4 * error, name
        assert error < 0.1 * SD[name] ** 2, name


def test_shares_add_up_and_what_does_not_vary_has_none():
    scores, factors = crossed(np.random.default_rng(2), 40, 6, 5, {**SD, "run": 0})
    shares = variance_shares(scores, factors)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["patient"] > 0.5 > 0.05 > shares["run"] >= 0
    assert set(variance_shares(np.ones(len(scores)), factors).values()) == {0}


def test_factors_that_cannot_be_told_apart_are_refused():
    scores, factors = crossed(np.random.default_rng(0), 5, 3, 2, SD)
    with pytest.raises(FathomError, match="cannot tell apart the variances of patient, slide"):
        variance_components(scores, {"patient": factors["patient"], "slide": factors["patient"]})
    each = np.arange(len(scores))
    with pytest.raises(FathomError, match="nucleus"):
        variance_components(scores, {"nucleus": each})

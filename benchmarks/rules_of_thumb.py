"""Ten rules of thumb that people go by when a network does not learn: what a diagnosis has to beat.

They read what the six networks of a case show, and its recipe; no cure is tried. The first rule
that holds names the cause; where none does, the network is called healthy. Their limits are those
of the sources, or the round number that is commonly said; none was fitted to a case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, log

import numpy as np

from fathom.diagnosis.evidence import Evidence

HEALTHY = "healthy"
FITTED = 0.9  # training accuracy
DEEP_WITHOUT_NORM = 10  # layers with weights
DEEP_WITHOUT_SKIPS = 20


@dataclass(frozen=True)
class Rule:
    """What is said, what it names (None: it does not hold), and where it comes from."""

    says: str
    names: Callable[[Evidence], str | None]
    source: str


def _inputs(six: Evidence) -> str | None:
    return "input scale" if six.median("input_rms") > 10 else None


def _classes(six: Evidence) -> str | None:
    return "classes out of balance" if six.median("majority") > 0.7 else None


def _units(six: Evidence) -> str | None:
    named = {"none": "no non-linearity"} | dict.fromkeys(
        ("sigmoid", "tanh"), "saturating non-linearity"
    )
    return named.get(six.plan.recipe.activation)


def _diverges(six: Evidence) -> str | None:
    losses = [cell.losses[-1] for cell in six.cells]
    high = any(not isfinite(loss) or loss > 1.1 * log(2) for loss in losses)
    return "learning rate too high" if high or six.median("first_update") > 0.1 else None


def _hardly_moves(six: Evidence) -> str | None:
    return "learning rate too low" if six.median("first_update") < 1e-5 else None


def _initialisation(six: Evidence) -> str | None:
    recipe = six.plan.recipe
    if recipe.norm != "none" or six.weight_layers < DEEP_WITHOUT_NORM:
        return None
    if recipe.initial_scale > 1:
        return "signal explodes"
    for_relu = recipe.initialisation in {"he", "lsuv", "looks-linear"}
    if not for_relu or recipe.initial_scale < 1:
        return "no signal reaches the output at initialisation"
    return None


def _depth(six: Evidence) -> str | None:
    deep = six.weight_layers > DEEP_WITHOUT_SKIPS and "res(" not in six.plan.line
    return "true degradation" if deep else None


def _regularised(six: Evidence) -> str | None:
    if six.median("train_accuracy") >= FITTED:
        return None
    if six.plan.recipe.dropout >= 0.5:
        return "dropout too strong"
    return "weight decay too strong" if six.plan.recipe.weight_decay >= 0.01 else None


def _falling(six: Evidence) -> str | None:
    if six.median("train_accuracy") >= FITTED:
        return None
    falls = [
        np.mean(cell.losses[-3:]) < 0.99 * np.mean(cell.losses[-6:-3])
        for cell in six.finished
        if len(cell.losses) >= 6
    ]
    return "stopped too early" if falls and np.mean(falls) > 0.5 else None


def _gap(six: Evidence) -> str | None:
    gap = six.median("train_accuracy") - six.median("validation")
    return "overfitting" if gap > 0.15 else None


RULES = (
    Rule("scale the inputs", _inputs, "LeCun et al. 1998, Efficient BackProp, section 4.3"),
    Rule("balance the classes", _classes, "Japkowicz & Stephen 2002"),
    Rule("take ReLU", _units, "Glorot, Bordes & Bengio 2011"),
    Rule(
        "a loss above chance, or a step that moves the weights by a tenth: lower the rate",
        _diverges,
        "Bengio 2012, section 3.1.1; Karpathy, CS231n, Learning: updates of a thousandth",
    ),
    Rule(
        "a step that moves the weights by less than a hundred-thousandth: raise the rate",
        _hardly_moves,
        "Karpathy, CS231n, Learning",
    ),
    Rule(
        "deep without a norm: initialise for ReLU, unscaled",
        _initialisation,
        "He et al. 2015, Delving deep into rectifiers",
    ),
    Rule("more than 20 layers: add skips", _depth, "He et al. 2015, Deep residual learning"),
    Rule(
        "training nuclei not fitted: less dropout, less weight decay",
        _regularised,
        "Ng 2018, Machine Learning Yearning, chapter 25",
    ),
    Rule(
        "the loss still falls: train longer",
        _falling,
        "Karpathy 2019, A recipe for training neural networks",
    ),
    Rule(
        "training far above validation: it overfits",
        _gap,
        "Ng 2018, Machine Learning Yearning, chapter 27",
    ),
)


def named_by_rules(six: Evidence) -> str:
    """Return the cause that the first rule that holds names, or that the network is healthy."""
    return next((name for rule in RULES if (name := rule.names(six))), HEALTHY)

"""What shows each cause without another training: numbers of a network, or None.

A finding is a property of a network; only a cure makes it a cause (`fathom.diagnosis.causes`).
Thresholds stand in params.yaml (`diagnosis`).
"""

from collections.abc import Callable
from math import isnan, nan

import numpy as np
import numpy.typing as npt
from scipy import stats

from fathom.diagnosis.case import Case, Diagnosis
from fathom.diagnosis.evidence import TINY
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import cost
from fathom.networks.recipe import Recipe

SymptomNumbers = dict[str, float]
Symptom = Callable[[Case, Diagnosis], SymptomNumbers | None]

CLEARLY_LESS = 0.7  # of the residuals' standard deviation: noise alone seldom makes it


def pooled_away(case: Case, _: Diagnosis) -> SymptomNumbers | None:
    """Count convolutions whose kernel is larger than their map."""
    beyond = cost(parse(case.base.plan.line), 1, case.crop_px).kernels_beyond_map
    return {"kernels larger than their map": beyond} if beyond else None


def input_scale(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how large the input is."""
    rms = case.base.median("input_rms")
    return {"RMS of the input": rms} if rms > limits.large_input else None


def no_signal(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say what is left of the differences between nuclei, of the gradient, and what drowns them."""
    signal, growth = case.base.median("signal"), case.base.median("growth")
    step, gradient = _first_step_in_spreads(case), _first_gradient(case, limits)
    found = {
        "signal in the last hidden layer at the start": signal,
        "growth of the signal through the layers at the start": growth,
        STEP: step,
        GRADIENT: gradient,
    }
    lost = signal < limits.lost_signal or growth < limits.vanishing_growth
    drowned, vanished = step > limits.large_step, gradient < limits.vanishing_gradient
    return found if lost or drowned or vanished else None


STEP = "how far the first step moves each bias, in SDs between nuclei of the last hidden layer"


def _first_step_in_spreads(case: Case) -> float:
    """Return how far the first step moves all nuclei alike, in units of what tells them apart.

    RMSProp and Adam divide a gradient by its own size, so that the first step moves every bias by
    the rate, times 1 / sqrt(1 - alpha) with RMSProp (Tieleman & Hinton 2012; Kingma & Ba 2015,
    section 2.1), however weak the signal is. Above 1 the step drowns the differences between
    nuclei. SGD has no such step, and under warm-up it is many times shorter: NaN, which is above
    nothing.
    """
    recipe = case.base.plan.recipe
    if recipe.warmup_epochs:
        return nan
    first = {"rmsprop": (1 - recipe.alpha) ** -0.5, "adam": 1.0}.get(recipe.optimiser, nan)
    return float(first) * recipe.learning_rate / max(case.base.median("spread"), TINY)


GRADIENT = "first gradient of the loss by the weights, per weight (SGD)"


def _first_gradient(case: Case, limits: Diagnosis) -> float:
    """Return the size of the first gradient in that of the weights, the median over layers.

    SGD moves the weights by the rate times the gradient, so the rate is taken out of the first
    step: a signal that shrinks from layer to layer is told from a low rate (Glorot & Bengio 2010,
    section 4.2). Weight decay pulls along the weights, about at right angles to the gradient. NaN,
    which is below nothing, where a first step does not tell: RMSProp and Adam divide a gradient by
    its size, warm-up and clipping shorten that step, a large decay is most of it.
    """
    recipe, decay = case.base.plan.recipe, case.base.plan.recipe.weight_decay
    if recipe.optimiser != "sgd" or _is_shortened(recipe) or decay >= limits.vanishing_gradient:
        return nan
    step = case.base.median("first_update") / recipe.learning_rate
    return float(np.sqrt(max(0.0, step**2 - decay**2)))


def _is_shortened(recipe: Recipe) -> bool:
    """Whether the first step is shorter than the rate says: by warm-up; of SGD also by clipping."""
    return bool(recipe.warmup_epochs or (recipe.optimiser == "sgd" and recipe.clip_norm))


def saturates(case: Case, _: Diagnosis) -> SymptomNumbers | None:
    """Say what is left of the signal under tanh or sigmoid."""
    if case.base.plan.recipe.activation not in {"tanh", "sigmoid"}:
        return None
    signal = case.base.median("signal"), case.base.median("growth")
    return {
        "signal in the last hidden layer at the start": signal[0],
        "growth of the signal through the layers at the start": signal[1],
    }


def linear(case: Case, _: Diagnosis) -> SymptomNumbers | None:
    """Count the hidden layers without a non-linearity."""
    if case.base.plan.recipe.activation != "none":
        return None
    return {"hidden layers without a non-linearity": case.base.weight_layers - 1}


def lost_its_signal(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say what was there at the start and is gone at the end."""
    base = case.base
    start, end = base.median("signal"), base.median("signal_end")
    found = {
        "signal in the last hidden layer at the start": start,
        "signal in the last hidden layer at the end": end,
        "silent units of the last hidden layer at the end": base.median("silent"),
        "networks that left the plateau and came back": base.fell_back,
    }
    gone = end < limits.lost_signal or base.median("silent") > limits.silent or base.fell_back > 0
    return found if start >= limits.lost_signal and gone else None


def batch_too_small(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how many nuclei are in a batch, where they are few."""
    size = case.base.plan.recipe.batch_size
    return {"nuclei in a batch": float(size)} if size <= limits.small_batch else None


def schedule_ran_out(case: Case, _: Diagnosis) -> SymptomNumbers | None:
    """Count the networks that were still on the plateau when half of the epochs were over."""
    recipe = case.base.plan.recipe
    if recipe.schedule == "constant":
        return None
    late = [epoch for epoch in case.base.left_at if epoch is None or 2 * epoch > recipe.epochs]
    name = "networks that had not left the plateau when half of the epochs were over"
    return {name: float(len(late))} if late else None


def initial_bias(case: Case, _: Diagnosis) -> SymptomNumbers | None:
    """Say where the biases start, if not at 0."""
    bias = case.base.plan.recipe.initial_bias
    return {"initial bias of the hidden layers": bias} if bias else None


def hangs_on_the_seed(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how many networks learn, where others surely do not."""
    found = case.base.tally
    low, high = found.interval(limits.confidence)
    if not found.left or high >= limits.reliable:
        return None
    return {
        "networks that left the plateau": found.left,
        "networks": found.networks,
        "lower end of the share's interval": low,
        "upper end of the share's interval": high,
    }


def explodes(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how the differences between nuclei grow through the layers."""
    growth = case.base.median("growth")
    found = {"growth of the signal through the layers at the start": growth}
    return found if growth > limits.exploding_growth else None


def rate_too_high(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how far the first steps go, and what they leave behind."""
    base = case.base
    found = {
        "relative change of the weights in the first step": base.median("first_update"),
        STEP: _first_step_in_spreads(case),
        "silent units of the last hidden layer at the end": base.median("silent"),
        "signal in the last hidden layer at the end": base.median("signal_end"),
        "share of networks with a constant output": base.share("constant"),
        "share of networks that diverged": float(
            np.mean([_diverged(c.losses) for c in base.finished])
        ),
    }
    shown = (
        base.median("first_update") > limits.large_update
        or found[STEP] > limits.large_step
        or base.median("silent") > limits.silent
        or base.median("signal_end") < limits.lost_signal
        or base.share("constant") > 0
        or any(_diverged(cell.losses) for cell in base.finished)
    )
    return found if shown else None


def rate_too_low(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how little the first step moves the weights, where nothing else shortens it."""
    if _is_shortened(case.base.plan.recipe):
        return None
    update = case.base.median("first_update")
    found = {"relative change of the weights in the first step": update}
    return found if update < limits.small_update else None


def dropout(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how much dropout there is, where it is strong."""
    rate = case.base.plan.recipe.dropout
    return {"dropout": rate} if rate >= limits.strong_dropout else None


def weight_decay(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how much weight decay there is, where it is strong."""
    decay = case.base.plan.recipe.weight_decay
    return {"weight decay": decay} if decay >= limits.strong_decay else None


def imbalance(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how unlike the classes are, and how many networks answer one of them."""
    majority, constant = case.base.median("majority"), case.base.share("one_class")
    found = {
        "share of the larger class in training": majority,
        "share of networks that answer one class": constant,
    }
    return found if majority > limits.majority and constant > 0 else None


def stopped_early(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Extrapolate the training loss to three times the epochs; see `extrapolated`."""
    curves = [
        extrapolated(np.array(cell.losses), 3, limits.confidence) for cell in case.base.finished
    ]
    falls = [1 - high / now if now > 0 else 0.0 for now, _, high in curves]
    fall = float(np.median(falls)) if falls else 0.0
    found = {"sure fall of the training loss in three times the epochs, share": fall}
    return found if fall > limits.falling_loss else None


def degradation(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how much worse the network fits than a shallower one, signals being healthy.

    Degraded networks train, and fit worse (He et al. 2015, section 1): most of them have left the
    plateau. The few networks that a study has of the shallower one are no sure measure; what is
    sure is asked of the cure.
    """
    healthy = (
        case.base.median("signal") >= limits.lost_signal
        and case.base.median("growth") <= limits.exploding_growth
        and 2 * case.base.tally.left > case.base.tally.networks
    )
    if not case.shallower or not healthy:
        return None
    best = max(case.shallower, key=lambda one: one.median("train_accuracy"))
    behind = best.median("train_accuracy") - case.base.median("train_accuracy")
    if behind < limits.least_gain:
        return None
    numbers = {
        f"training accuracy against {best.name}": -behind,
        "signal in the last hidden layer at the start": case.base.median("signal"),
    }
    skips = [row.median("identity_distance") for row in case.ladder]
    if distances := [value for value in skips if not isnan(value)]:
        numbers["|F(x)| / |x| of the blocks with skips"] = min(distances)
    return numbers


def overfitting(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Say how far validation stays behind training."""
    train, validation = case.base.median("train_accuracy"), case.base.median("validation")
    found = {"training accuracy": train, "validation balanced accuracy": validation}
    return found if train - validation > limits.overfitting_gap else None


def _diverged(losses: tuple[float, ...]) -> bool:
    return any(isnan(loss) for loss in losses)


def extrapolated(
    losses: npt.NDArray[np.float64], times: float, confidence: float
) -> tuple[float, float, float]:
    """Return the loss now, at `times` the epochs, and the upper end of that prediction.

    The logarithm of the loss is a straight line in the logarithm of the epoch, a power law, as
    learning curves are (Hestness et al. 2017), fitted to the second half of the curve by least
    squares, with the prediction interval of a new epoch. Where learning has just begun it can be a
    line in the epoch itself: this bolder law is taken where it leaves clearly less. A diverged or
    too short curve predicts nothing: the loss now, and no fall.
    """
    n = len(losses)
    y = losses[n // 2 :]
    if len(y) < 4 or not np.isfinite(y).all() or not (y > 0).all():
        now = float(losses[-1]) if n and np.isfinite(losses[-1]) else 0.0
        return now, now, now
    epochs = np.arange(1, n + 1)
    power = _line(np.log(epochs[n // 2 :]), np.log(y), float(np.log(n * times)))
    steady = _line(epochs[n // 2 :].astype(np.float64), np.log(y), n * times)
    chosen = steady if steady[0] < CLEARLY_LESS * power[0] else power
    spread, now, later, error = chosen
    high = later + stats.t.ppf((1 + confidence) / 2, len(y) - 2) * spread * error
    return float(np.exp(now)), float(np.exp(later)), float(np.exp(high))


def _line(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], far: float
) -> tuple[float, float, float, float]:
    """Fit a line; return the SD of its residuals, its values at the end and at `far`, its error.

    The error of a prediction at `far` is in residuals' standard deviations.
    """
    line = stats.linregress(x, y)
    residuals = y - (line.intercept + line.slope * x)
    spread = float(np.sqrt((residuals**2).sum() / (len(x) - 2)))
    away = float((far - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    now, later = line.intercept + line.slope * x[-1], line.intercept + line.slope * far
    return spread, float(now), float(later), float(np.sqrt(1 + 1 / len(x) + away))
